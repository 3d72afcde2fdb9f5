"""Pixel loss + GAN: a baseline of CycleGAN's comparison ("SimGAN" in its table 1; Zhu et al. 2017, section 5.1.2).

One generator, one discriminator; what keeps the picture to its labels is the L1 distance between it and its translation.
Nets, pool and weight of the GAN are CycleGAN's.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.engine.settings import MethodSettings, TrainSettings, Weight, check_crop
from pipeline.engine.step import Update
from pipeline.losses import lsgan
from pipeline.methods import cyclegan
from pipeline.methods.cyclegan import adam, discriminator, generator, translate
from pipeline.nets.passes import passes
from pipeline.nets.resnet_generator import MULTIPLE
from pipeline.pool import Pool

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "UNUSED", "USES_TARGET_LABELS", "build", "check", "exported", "translate"]

ABILITY = "translator"
USES_TARGET_LABELS = False
DOMAINS = {"source": ("image",), "target": ("image",)}
BLOCKS = ("train", "cyclegan", "pixel_gan")
UNUSED = (*cyclegan.UNUSED, "cyclegan.cycle_forward", "cyclegan.cycle_backward", "cyclegan.identity", "cyclegan.train")


class Settings(MethodSettings):
    """The weight of the distance between a picture and its translation."""

    weight: Weight = 10.0


class PixelGAN:
    """G_A and D_A; `distance` is what a translation is held to its picture by."""

    def __init__(self, train: TrainSettings, nets: cyclegan.Settings, weight: float, seed: int) -> None:
        self.train, self.own, self.weight = train, nets, weight
        random = torch.Generator().manual_seed(seed)
        self.nets = nn.ModuleDict({"G_A": generator(nets, random), "D_A": discriminator(nets, random)})
        self.pool = Pool(nets.pool, seed, "B")

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            "generator": adam(self.train, self.nets["G_A"]),
            "discriminator": adam(self.train, self.nets["D_A"], lr=self.own.discriminator_lr),
        }

    def step(self, batch: Any) -> Iterator[Update]:
        x, D = batch.source.image, self.nets["D_A"]
        fake = self.nets["G_A"](x)
        losses = {"gan": self.own.adversarial * lsgan(D(fake), True), "distance": self.weight * self.distance(x, fake)}
        yield Update("generator", losses)
        old = self.pool(fake, batch.source.positions)
        real, drawn = passes(D, batch.target.image, old, joined=self.train.joined)
        yield Update("discriminator", {"D": (lsgan(real, True) + lsgan(drawn, False)) / 2})

    def distance(self, x: Tensor, fake: Tensor) -> Tensor:
        return F.l1_loss(fake, x)

    def state(self) -> dict[str, Any]:
        return self.pool.state()

    def load_state(self, state: dict[str, Any]) -> None:
        self.pool.load_state(state)


def build(params: dict[str, Any], classes: int, seed: int) -> PixelGAN:
    nets = cyclegan.Settings(**params["cyclegan"])
    return PixelGAN(TrainSettings(**params["train"]), nets, params["pixel_gan"]["weight"], seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    return nn.ModuleDict({"G_A": generator(cyclegan.Settings(**params["cyclegan"]))})


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    return check_crop(params, "pixel_gan", MULTIPLE)
