"""An exponential moving average of a method's nets: parameters averaged, buffers copied."""

import copy

import torch
from torch import nn


class Ema:
    """shadow = decay * shadow + (1 - decay) * net, after every step; the decay warms up as (1 + k) / (10 + k)."""

    def __init__(self, nets: nn.ModuleDict, decay: float) -> None:
        self.decay = decay
        self.nets = copy.deepcopy(nets).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, nets: nn.ModuleDict, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for mean, now in zip(self.nets.parameters(), nets.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)
        for kept, new in zip(self.nets.buffers(), nets.buffers(), strict=True):
            kept.copy_(new)
