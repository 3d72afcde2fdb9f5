"""Normal noise from named streams: what is drawn for a picture depends on its draw alone, not on its company."""

import numpy as np
import torch
from torch import Tensor


def normal(draws: np.ndarray, count: int) -> Tensor:
    """Standard normal (len(draws), count) on the CPU, a stream for each draw in [0, 1)."""
    streams = [torch.Generator().manual_seed(int(draw * 2**53)) for draw in draws]
    return torch.stack([torch.randn(count, generator=stream) for stream in streams])
