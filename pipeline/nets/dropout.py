"""Dropout whose noise belongs to the picture, not to the process: the same on any rank and after a restart."""

from collections.abc import Sequence

import torch
from torch import nn


class SampleDropout2d(nn.Module):
    """Dropout of whole channels (Tompson et al. 2015), drawn for each picture from a stream of its own.

    In training, `seed_dropout` must have named the streams of the current batch; in eval mode it does nothing.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p
        self.streams: list[torch.Generator] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        if len(self.streams) != len(x):
            raise RuntimeError(f"dropout has streams for {len(self.streams)} pictures, not {len(x)}; call seed_dropout")
        kept = torch.stack([torch.rand(x.shape[1], generator=stream) for stream in self.streams]) >= self.p
        return x * (kept.to(x) / (1 - self.p))[:, :, None, None]


def seed_dropout(net: nn.Module, seeds: Sequence[int]) -> None:
    """Name the streams of the next batch, one seed a picture (made of run seed, step and global position).

    Passes through the net after this draw on along the streams; layers of one net have streams of their own.
    """
    layers = [layer for layer in net.modules() if isinstance(layer, SampleDropout2d)]
    for depth, layer in enumerate(layers):
        layer.streams = [torch.Generator().manual_seed((seed * len(layers) + depth) % 2**63) for seed in seeds]
