"""A training step as a generator: the method states its updates in order, the engine carries them out."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn


@dataclass
class Update:
    """One optimizer step: `losses` are summed and pushed into the parameters of optimizer `name` only.

    Every step of a training gives the same losses; where an update is not due (a warm-up, one update in several steps),
    they are recorded and nothing else.
    """

    name: str
    losses: dict[str, Tensor]
    due: bool = True


def run_step(
    updates: Iterator[Update],
    optimizers: dict[str, torch.optim.Optimizer],
    clip: float = 0.0,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
) -> dict[str, Tensor]:
    """Carry out every update of one step; return all losses, detached and still on their device.

    Gradients reach nothing but the named optimizer's parameters (`backward(inputs=...)`), so a method needs neither
    `detach` nor `requires_grad_`: a discriminator's loss may run through the generator's graph without touching it.
    clip: largest gradient norm of an update, 0 for none.
    """
    losses: dict[str, Tensor] = {}
    while True:
        with autocast():
            update = next(updates, None)
            if update is None:
                return losses
            total = torch.stack([loss.float() for loss in update.losses.values()]).sum()
        losses |= {name: loss.detach() for name, loss in update.losses.items()}
        if not update.due:
            continue
        optimizer = optimizers[update.name]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        optimizer.zero_grad(set_to_none=True)
        total.backward(inputs=parameters)
        average_gradients(parameters)
        if clip:
            nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()


def several_ranks() -> bool:
    """Whether more than one process trains."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def ranks() -> int:
    """Processes that train together."""
    return distributed.get_world_size() if several_ranks() else 1


def average_gradients(parameters: list[Tensor]) -> None:
    """Average gradients over ranks in one flat message; a single process passes through."""
    if not several_ranks():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    distributed.all_reduce(flat)
    flat /= ranks()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def gathered(part: Tensor) -> Tensor:
    """The whole batch from every rank's part of it, in the order of the ranks, without gradient."""
    part = part.detach()
    if not several_ranks():
        return part
    parts = [torch.empty_like(part) for _ in range(ranks())]
    distributed.all_gather(parts, part.contiguous())
    return torch.cat(parts)


def own_part(whole: Tensor) -> Tensor:
    """This rank's part of a whole batch: the inverse of `gathered`."""
    return whole.chunk(ranks())[distributed.get_rank()] if several_ranks() else whole


def mean_over_ranks(value: Tensor) -> Tensor:
    """The mean over ranks, without gradient: what a rank divides by so that the average is the global mean."""
    value = value.detach().float()
    if several_ranks():
        distributed.all_reduce(value)
        value = value / ranks()
    return value
