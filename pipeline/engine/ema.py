"""Exponential moving averages of nets: parameters averaged, buffers copied."""

import copy

import torch
from torch import nn


class Ema:
    """shadow = decay * shadow + (1 - decay) * net, after every step; the decay warms up as (1 + k) / (10 + k)."""

    def __init__(self, nets: nn.ModuleDict, decay: float) -> None:
        self.decay = decay
        self.nets = copy.deepcopy(nets).eval().requires_grad_(False)

    def update(self, nets: nn.ModuleDict, step: int) -> None:
        blend(self.nets, nets, min(self.decay, (1 + step) / (10 + step)))


@torch.no_grad()
def blend(mean: nn.Module, now: nn.Module, decay: float) -> None:
    """mean = decay * mean + (1 - decay) * now for every parameter; buffers (running statistics) are copied."""
    for old, new in zip(mean.parameters(), now.parameters(), strict=True):
        old.lerp_(new, 1 - decay)
    for kept, buffer in zip(mean.buffers(), now.buffers(), strict=True):
        kept.copy_(buffer)
