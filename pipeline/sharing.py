"""The processes that share a translation or an evaluation, launched as those of a training are."""

from typing import Any

import torch

from pipeline.engine.device import launch, places
from pipeline.engine.settings import DeviceSettings
from pipeline.ranks import ONE, Ranks


def launch_ranks(settings: DeviceSettings) -> Ranks:
    """The ranks that the settings or torchrun ask for, each with its device; a lone process is left as it is."""
    devices, nodes = places(settings)
    if devices * nodes == 1:
        return ONE
    fabric = launch(settings)
    return Ranks(fabric.global_rank, fabric.world_size, _gather)


def _gather(value: Any) -> list[Any]:
    out: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(out, value)
    return out
