"""Several batches through one net."""

import torch
from torch import Tensor, nn


def passes(net: nn.Module, *batches: Tensor, joined: bool) -> tuple[Tensor, ...]:
    """The outputs for batches of pictures of one size: by a pass each or, `joined`, by one pass over all of them.

    Equal but for rounding, where the net treats every picture by itself: instance norm does, batch norm does not.
    """
    if not joined:
        return tuple(net(batch) for batch in batches)
    return net(torch.cat(batches)).split([len(batch) for batch in batches])
