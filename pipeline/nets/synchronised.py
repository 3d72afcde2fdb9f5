"""Batch norm that does on several processes what it does on one."""

from typing import Any

import torch
from torch import distributed, nn


class _AllReduce(torch.autograd.Function):
    """Sum over ranks; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _AllReduce.apply(gradient)


def shared_mean(value: torch.Tensor) -> torch.Tensor:
    """The mean over ranks, with its gradient: for a loss that is no mean over pictures."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    return _AllReduce.apply(value) / distributed.get_world_size()


class SynchronisedNorm(nn.BatchNorm2d):
    """Batch norm over the global batch, with gradients through the statistics, on any device; each rank has equal shares.

    On one process it is torch's BatchNorm2d, whose keys it has (SyncBatchNorm's too). The published multi-GPU code
    divides by sqrt(max(variance, eps)), its single-GPU code and this layer by sqrt(variance + eps) on any number of ranks.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        together = distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
        if not (self.training and together):
            return super().forward(x)
        ranks = distributed.get_world_size()
        wide = x if x.dtype == torch.float64 else x.float()
        mean = _AllReduce.apply(wide.mean((0, 2, 3))) / ranks
        centred = wide - mean[:, None, None]
        variance = _AllReduce.apply(centred.square().mean((0, 2, 3))) / ranks
        self._track(mean, variance, ranks * x.numel() // x.shape[1])
        normed = (centred * (variance + self.eps).rsqrt()[:, None, None]).to(x.dtype)
        return normed * self.weight[:, None, None] + self.bias[:, None, None] if self.affine else normed

    @torch.no_grad()
    def _track(self, mean: torch.Tensor, variance: torch.Tensor, count: int) -> None:
        assert self.momentum is not None and self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        self.num_batches_tracked += 1
