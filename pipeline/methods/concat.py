"""SPADE's ablation "concat": the label map is the input of an encoder-decoder and stands nowhere else.

The generator is pix2pixHD's; discriminator, losses and rates are SPADE's, so that the generator is all that differs.
(The paper's own "pix2pixHD++ w/ concat" stacks the label map on every layer; this one stacks it on the first.)
"""

from typing import Any

from torch import nn

from pipeline.engine.settings import Count, Depth, MethodSettings, TrainSettings, check_crop
from pipeline.methods import spade
from pipeline.methods.spade import ABILITY, DOMAINS, READS, USES_TARGET_LABELS, Spade, translate
from pipeline.nets.pix2pixhd import GlobalGenerator

__all__ = [
    "ABILITY", "BLOCKS", "DOMAINS", "READS", "UNUSED", "USES_TARGET_LABELS", "build", "check", "exported", "translate",
]  # fmt: skip

BLOCKS = ("train", "spade", "concat")
_OF_THE_GENERATOR = (
    "generator_width",
    "hidden",
    "upsampling",
    "norm",
    "style",
    "z_dim",
    "encoder_width",
    "encoder_layers",
)
UNUSED = (*spade.UNUSED, "spade.train", "spade.kld", *(f"spade.{name}" for name in _OF_THE_GENERATOR))


class Settings(MethodSettings):
    """The generator; all else is the block `spade`."""

    generator_width: Count = 64
    generator_blocks: Depth = 9
    halvings: Depth = 4


def _generator(own: Settings, planes: int) -> GlobalGenerator:
    return GlobalGenerator(planes, own.generator_width, own.halvings, own.generator_blocks)


def build(params: dict[str, Any], classes: int, seed: int) -> Spade:
    own = Settings(**params["concat"])
    rest = spade.Settings(**params["spade"], style=False)
    return Spade(TrainSettings(**params["train"]), rest, _generator(own, classes + 1), classes, seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    return nn.ModuleDict({"G": _generator(Settings(**params["concat"]), classes + 1)})


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    return check_crop(params, "concat", 2 ** params["concat"]["halvings"])
