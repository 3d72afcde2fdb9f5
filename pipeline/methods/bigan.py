"""BiGAN / ALI as a baseline of CycleGAN's comparison (Donahue et al. 2017, Dumoulin et al. 2017; Zhu et al. 2017, 5.1.2).

The latent space of the original is the source domain here: G_A draws a target picture from a source picture, G_B the way
back, and one discriminator tells pairs (x, G_A(x)) from pairs (G_B(y), y). Nothing else ties the two together.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from pipeline.engine.settings import MethodSettings, TrainSettings, check_crop
from pipeline.engine.step import Update
from pipeline.losses import lsgan
from pipeline.methods import cyclegan
from pipeline.methods.cyclegan import adam, discriminator, generator, translate
from pipeline.methods.pixel_gan import ABILITY, DOMAINS, USES_TARGET_LABELS, exported
from pipeline.methods.pixel_gan import UNUSED as UNUSED_OF_PIXEL_GAN
from pipeline.nets.passes import passes
from pipeline.nets.resnet_generator import MULTIPLE

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "UNUSED", "USES_TARGET_LABELS", "build", "check", "exported", "translate"]

BLOCKS = ("train", "cyclegan", "bigan")
UNUSED = (*UNUSED_OF_PIXEL_GAN, "cyclegan.pool", "cyclegan.adversarial")


class Settings(MethodSettings):
    """Nothing of its own: nets as CycleGAN's."""


class BiGAN:
    """G_A, G_B and D on pairs of pictures, stacked to 6 channels."""

    def __init__(self, train: TrainSettings, nets: cyclegan.Settings, seed: int) -> None:
        self.train, self.own = train, nets
        random = torch.Generator().manual_seed(seed)
        self.nets = nn.ModuleDict({"G_A": generator(nets, random), "G_B": generator(nets, random)})
        self.nets["D"] = discriminator(nets, random, channels=6)

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            "generator": adam(self.train, self.nets["G_A"], self.nets["G_B"]),
            "discriminator": adam(self.train, self.nets["D"], lr=self.own.discriminator_lr),
        }

    def step(self, batch: Any) -> Iterator[Update]:
        x, y, D = batch.source.image, batch.target.image, self.nets["D"]
        there, back = torch.cat([x, self.nets["G_A"](x)], 1), torch.cat([self.nets["G_B"](y), y], 1)
        told_there, told_back = passes(D, there, back, joined=self.train.joined)
        yield Update("discriminator", {"D": (lsgan(told_there, True) + lsgan(told_back, False)) / 2})
        yield Update("generator", {"gan_A": lsgan(D(there), False), "gan_B": lsgan(D(back), True)})

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but nets and optimizers is state."""


def build(params: dict[str, Any], classes: int, seed: int) -> BiGAN:
    return BiGAN(TrainSettings(**params["train"]), cyclegan.Settings(**params["cyclegan"]), seed)


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    return check_crop(params, "bigan", MULTIPLE)
