"""What a segmenter says at one depth: for methods that look at more than its scores."""

from typing import NamedTuple

from torch import Tensor


class Level(NamedTuple):
    """logits: N classes H W at the picture's size. features: N C h w, what they are read from."""

    logits: Tensor
    features: Tensor
