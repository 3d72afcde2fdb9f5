"""What is measured when a training has ended and stored with the weights: constants of scores, classes of codes, norms."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn


class Calibration(nn.Module):
    """Named constants, and maps of (cells, cells) places, stored with the weights; 0 until `set` gives them."""

    def __init__(self, names: Sequence[str], maps: Sequence[str] = (), cells: int = 1) -> None:
        super().__init__()
        for name in names:
            self.register_buffer(name, torch.zeros(()))
        for name in maps:
            self.register_buffer(name, torch.zeros(cells, cells))

    def set(self, values: Mapping[str, float | torch.Tensor]) -> None:
        """Give all of them; a KeyError for one that is missing."""
        for name, buffer in self.named_buffers():
            buffer.copy_(torch.as_tensor(values[name]))

    def values(self) -> dict[str, float]:
        """The constants."""
        return {name: float(buffer) for name, buffer in self.named_buffers() if buffer.ndim == 0}


def recent(scores: np.ndarray, clips: Sequence[Hashable], memory: int) -> np.ndarray:
    """Each of scores (n,) as the mean of it and the memory - 1 before it in its clip, fewer where the clip begins.

    clips: of each frame; frames of a clip stand together and in order. Nothing looks ahead.
    """
    out, begin = np.empty(len(scores)), 0
    for at, clip in enumerate(clips):
        begin = at if at and clips[at - 1] != clip else begin
        out[at] = scores[max(begin, at + 1 - memory) : at + 1].mean()
    return out


class Matching(nn.Module):
    """The class that each category of a code stands for, -1 for none: one class for one code, and each code's most frequent."""

    single: torch.Tensor
    frequent: torch.Tensor

    def __init__(self, categories: int) -> None:
        super().__init__()
        for name in ("single", "frequent"):
            self.register_buffer(name, torch.full((categories,), -1))


@torch.no_grad()
def measure_norms(net: nn.Module, show: Callable[[], Any]) -> None:
    """Replace the running statistics of the batch norms of `net`, in eval mode, by those of all that `show` passes through it.

    Running ones are of weights that are past and of all kinds of pictures by turns. One norm after another, in the order in
    which they are registered, as each sees what those before it make; without the training mode, in which ranks wait for
    each other.
    """
    for norm in (layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)):
        seen: list[torch.Tensor] = []

        def take(layer: nn.Module, given: tuple[torch.Tensor, ...], seen: list[torch.Tensor] = seen) -> None:
            x = given[0].double().transpose(0, 1).flatten(1)
            seen.append(torch.stack([x.sum(1), x.square().sum(1), torch.full_like(x[:, 0], x.shape[1])]))

        hook = norm.register_forward_pre_hook(take)
        show()
        hook.remove()
        total, squares, count = torch.stack(seen).sum(0)
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.copy_(total / count)
        norm.running_var.copy_((squares / count - (total / count).square()).clamp(min=0) * count / (count - 1))
