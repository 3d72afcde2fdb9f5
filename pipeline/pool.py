"""Pools of generated pictures: what a discriminator sees is partly old, so that it does not forget (SimGAN, CycleGAN).

Several processes keep the same pool: each gathers the pictures of the whole batch, and takes its own part of what is
shown. So they train as one process does, and a checkpoint of one of them holds everything.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.engine.step import gathered, own_part
from pipeline.files import UserError
from pipeline.shards.order import uniforms

# Which pictures are shown and which are kept, as indices into the kept pictures followed by the new ones.
Plan = tuple[list[int], list[int]]


def swap_some(kept: int, size: int, draws: np.ndarray) -> Plan:
    """CycleGAN's rule, one picture after the other.

    Until the pool is full a picture is shown and kept. Then with probability one half an old picture is shown and the
    new one takes its slot; otherwise the new one is shown and not kept.

    Args:
        kept: pictures in the pool. size: its capacity; 0 shows every picture as it is.
        draws: (N, 2) in [0, 1) for N new pictures: an old one if the first is above 0.5, from the slot of the second.
    """
    slots, shown = list(range(kept)), []
    for new, (chance, which) in enumerate(draws, kept):
        shown.append(new)
        if len(slots) < size:
            slots.append(new)
        elif size and chance > 0.5:
            at = int(which * size)
            shown[-1], slots[at] = slots[at], new
    return shown, slots


def swap_half(kept: int, size: int, draws: np.ndarray) -> Plan:
    """SimGAN's rule (Shrivastava et al. 2017, section 2.3), for a whole batch.

    The first half of the batch is shown. In place of the second half as many old pictures are shown, and the second half
    goes into free slots, then over random old pictures, so that the pool fills and every picture can be shown. While the
    pool holds less than half a batch, the batch is shown as it is.

    Args:
        kept: pictures in the pool. size: its capacity, at least half a batch, or it is a UserError.
        draws: (N, 2) in [0, 1); of the second half the first says which is shown, the second which is replaced.
    """
    new, half = kept + len(draws), len(draws) // 2
    if half == 0:
        raise UserError("A history of pictures swaps half a batch; give a batch of at least 2 pictures.")
    if size < half:
        raise UserError(
            f"A history of {size} pictures is less than half a batch; give it {half} or more, or batch less."
        )
    shown, late = list(range(kept, new)), list(range(new - half, new))
    if kept >= half:
        shown[-half:] = _distinct(draws[-half:, 0], kept)
    free = min(size - kept, half)
    slots = list(range(kept)) + late[:free]
    for at, picture in zip(_distinct(draws[len(draws) - half + free :, 1], kept), late[free:], strict=True):
        slots[at] = picture
    return shown, slots


def _distinct(draws: Sequence[float] | np.ndarray, n: int) -> list[int]:
    """Distinct numbers of range(n), one for each draw in [0, 1): the start of a Fisher-Yates shuffle."""
    numbers = list(range(n))
    for at, draw in enumerate(draws):
        other = at + int(draw * (n - at))
        numbers[at], numbers[other] = numbers[other], numbers[at]
    return numbers[: len(draws)]


class Pool:
    """A pool of `size` pictures: `pool(pictures, positions)` gives as many pictures, some of them old.

    What is drawn depends on (seed, name, position in the training order) alone, so a run that goes on from `state()`
    ends as one that was never stopped.

    Args:
        size: capacity (50 in CycleGAN). name: tells the pools of one method apart.
        rule: `swap_some` (CycleGAN) or `swap_half` (SimGAN).
    """

    def __init__(
        self, size: int, seed: int, name: str, rule: Callable[[int, int, np.ndarray], Plan] = swap_some
    ) -> None:
        self.size, self.seed, self.name, self.rule = size, seed, name, rule
        self.kept: list[Tensor] = []

    def __call__(self, pictures: Tensor, positions: np.ndarray) -> Tensor:
        """N C H W and the N positions of what they were made from -> N C H W, copied and without gradient."""
        new, places = gathered(pictures), gathered(torch.as_tensor(positions, device=pictures.device))
        draws = uniforms(self.seed, f"pool/{self.name}", places.cpu().numpy(), 2)
        shown, slots = self.rule(len(self.kept), self.size, draws)
        # Copied one by one: a view would keep its whole batch alive for as long as the slot lives.
        known = [picture.to(pictures) for picture in self.kept] + [picture.clone() for picture in new]
        self.kept = [known[n] for n in slots]
        return own_part(torch.stack([known[n] for n in shown]))

    def state(self) -> dict[str, Tensor]:
        """The kept pictures in their slots, on the CPU; nothing else is state."""
        return {"pictures": torch.stack([picture.cpu() for picture in self.kept]) if self.kept else torch.empty(0)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.kept = [picture.clone() for picture in state["pictures"]]
