"""pix2pixHD: pictures from label maps with instance edges (Wang et al.; CVPR 2018, arXiv 1711.11585). What SPADE is up against.

A global generator, with `enhancers` a local one around it; discriminators of several scales; least squares, feature
matching and a perceptual loss. The step is that of the published code: all losses with the same weights, then G, then D.
Not here: the encoder of instance features, whose codes a user picks by hand.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn
from torch.optim import Optimizer

from pipeline.engine.settings import Count, Depth, MethodSettings, TrainSettings, Weight, check_crop
from pipeline.engine.step import Update
from pipeline.losses_semantic import conditions, feature_matching, lsgan_scales
from pipeline.methods import cyclegan
from pipeline.methods.cyclegan import adam
from pipeline.methods.spade import ABILITY, DOMAINS, READS, USES_TARGET_LABELS, perceptual, perceptual_net, translate
from pipeline.nets.init import init_normal
from pipeline.nets.multiscale import Pix2pixHDDiscriminator
from pipeline.nets.pix2pixhd import GlobalGenerator, LocalEnhancer

__all__ = [
    "ABILITY", "BLOCKS", "DOMAINS", "READS", "UNUSED", "USES_TARGET_LABELS", "build", "check", "exported", "translate",
]  # fmt: skip

BLOCKS = ("train", "pix2pixhd")
UNUSED = (*cyclegan.UNUSED, "train.joined")  # the pass of the real pictures serves both updates


class Settings(MethodSettings):
    """Nets and weights of pix2pixHD; the published ones as defaults."""

    generator_width: Count = 64
    generator_blocks: Depth = 9
    halvings: Depth = 4
    enhancers: Annotated[int, Field(ge=0, le=100)] = 0  # local generators, each at twice the size
    discriminator_width: Count = 64
    discriminator_layers: Depth = 3
    discriminator_scales: Count = 2
    matching: Weight = 10.0
    perceptual: Weight = 10.0
    features: Literal["lite0", "vgg19"] = "vgg19"
    features_file: str | None = None


class Pix2pixHD:
    """G and D with their losses (eq. 1 to 5)."""

    def __init__(self, train: TrainSettings, own: Settings, classes: int, seed: int) -> None:
        self.train, self.own, self.classes = train, own, classes
        random = torch.Generator().manual_seed(seed)
        planes = classes + 1
        discriminator = Pix2pixHDDiscriminator(
            planes + 3, own.discriminator_width, own.discriminator_layers, own.discriminator_scales
        )
        self.nets = nn.ModuleDict({"G": _generator(own, planes), "D": discriminator})
        for net in self.nets.values():
            init_normal(net, random)
        self.features = perceptual_net(own.features, own.features_file) if own.perceptual else None

    def optimizers(self) -> dict[str, Optimizer]:
        return {"generator": adam(self.train, self.nets["G"]), "discriminator": adam(self.train, self.nets["D"])}

    def step(self, batch: Any) -> Iterator[Update]:
        real, own, D = batch.labelled_target, self.own, self.nets["D"]
        planes = conditions(real.label, real.instance, self.classes).to(real.image)
        fake = self.nets["G"](planes)
        pair = torch.cat([planes, fake], 1)
        maps, real_maps = D(pair), D(torch.cat([planes, real.image], 1))
        # a pass of its own: the generator's update frees the first one's graph
        judged = {"D_fake": lsgan_scales(D(pair), False) / 2, "D_real": lsgan_scales(real_maps, True) / 2}
        losses = {
            "gan": lsgan_scales(maps, True),
            "matching": own.matching * feature_matching(maps, real_maps, own.discriminator_layers),
        }
        if self.features:
            losses["perceptual"] = own.perceptual * perceptual(self.features, fake, real.image)
        yield Update("generator", losses)
        yield Update("discriminator", judged)

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but nets and optimizers is state."""


def _generator(own: Settings, planes: int) -> nn.Module:
    if own.enhancers:
        return LocalEnhancer(planes, own.generator_width, own.halvings, own.generator_blocks, own.enhancers)
    return GlobalGenerator(planes, own.generator_width, own.halvings, own.generator_blocks)


def build(params: dict[str, Any], classes: int, seed: int) -> Pix2pixHD:
    return Pix2pixHD(TrainSettings(**params["train"]), Settings(**params["pix2pixhd"]), classes, seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    return nn.ModuleDict({"G": _generator(Settings(**params["pix2pixhd"]), classes + 1)})


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    own = Settings(**params["pix2pixhd"])
    return check_crop(params, "pix2pixhd", 2 ** (own.halvings + own.enhancers))
