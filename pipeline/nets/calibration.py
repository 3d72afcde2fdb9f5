"""What a scorer keeps of the normal data that it was not trained on: the constants that make its scores comparable."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn


class Calibration(nn.Module):
    """Named constants, stored with the weights; 0 until `set` gives them."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        for name in names:
            self.register_buffer(name, torch.zeros(()))

    def set(self, values: Mapping[str, float]) -> None:
        """Give all of the constants; a KeyError for one that is missing."""
        for name, buffer in self.named_buffers():
            buffer.fill_(values[name])

    def values(self) -> dict[str, float]:
        return {name: float(buffer) for name, buffer in self.named_buffers()}
