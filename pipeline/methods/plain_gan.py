"""The control of InfoGAN (Chen et al. 2016, figure 1): the same nets without the term of the information.

G is told nothing of its codes and the trunk nothing of Q, which reads what happens to be there; so its bound is what a GAN
gives by chance.
"""

from typing import Any

from pipeline.engine.settings import TrainSettings
from pipeline.methods import infogan
from pipeline.methods.infogan import (
    ABILITY,
    BLOCKS,
    DOMAINS,
    HELD_OUT,
    USES_TARGET_LABELS,
    InfoGAN,
    Settings,
    calibrate,
    check,
    codes,
    exported,
    join,
    read,
    sample,
)

__all__ = [
    "ABILITY", "BLOCKS", "DOMAINS", "HELD_OUT", "UNUSED", "USES_TARGET_LABELS", "Settings", "build", "calibrate", "check", "codes",
    "exported", "join", "read", "sample",
]  # fmt: skip

UNUSED = (
    *infogan.UNUSED, "infogan.head_start", "infogan.warmup", "infogan.labelled", "infogan.labelled_weight", "infogan.invariance", "infogan.balance",
    "infogan.slant", "infogan.turn", "infogan.shift", "infogan.scale",
)  # fmt: skip


def build(params: dict[str, Any], classes: int, seed: int) -> InfoGAN:
    return InfoGAN(TrainSettings(**params["train"]), Settings(**params["infogan"]), seed, informed=False)
