"""CoGAN as a baseline of CycleGAN's comparison (Liu and Tuzel, NIPS 2016, arXiv 1606.07536; Zhu et al. 2017, 5.1.2).

Two generators draw a picture of each domain from one code; their first layers are the same, and so are the last layers of
the two discriminators. Nothing else couples the domains. A source picture is translated by finding a code from which G_A
draws it, and drawing that code with G_B.

As published: the coupled layers, noise as the only input, D before G, no loss between the domains. Not as published:
- A code is a map, not one vector of 100 numbers, so that pictures of any size can be drawn. It holds more of a picture
  and ties less of it together.
- The published code is searched for each picture by gradient descent (L-BFGS), which depends on where it begins. Here a net E
  learns to find it: E alone is trained so that G_A draws source pictures from their codes, L1. So a translation is one
  pass, the same in any company. What E cannot find, a search of minutes a picture might.
- Nets have the widths and norms, and the loss is the least squares, of the other baselines here.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.engine.settings import Count, MethodSettings, TrainSettings, check_crop
from pipeline.engine.step import Update
from pipeline.files import UserError
from pipeline.losses import lsgan
from pipeline.methods import cyclegan
from pipeline.methods.cyclegan import adam, discriminator
from pipeline.methods.pixel_gan import ABILITY, DOMAINS, USES_TARGET_LABELS
from pipeline.methods.pixel_gan import UNUSED as UNUSED_OF_PIXEL_GAN
from pipeline.nets.cogan import LEAST, MULTIPLE, code_encoder, own_layers, shared_layers
from pipeline.nets.init import init_normal
from pipeline.nets.passes import passes
from pipeline.nets.resnet_generator import pad_to_multiple
from pipeline.noise import normal
from pipeline.shards.order import uniforms

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "UNUSED", "USES_TARGET_LABELS", "build", "check", "exported", "translate"]

BLOCKS = ("train", "cyclegan", "cogan")
UNUSED = (*UNUSED_OF_PIXEL_GAN, "cyclegan.pool", "cyclegan.adversarial", "cyclegan.upsampling")
OWN = 2  # modules of a discriminator that each domain has for itself: the first convolution and its LeakyReLU


class Settings(MethodSettings):
    """Numbers of a code, one code to 16 x 16 pixels; nets else as CycleGAN's."""

    latent: Count = 64


class CoGAN:
    """G (shared) before G_A and G_B, D_A and D_B before D (shared), and E."""

    def __init__(self, train: TrainSettings, nets: cyclegan.Settings, latent: int, seed: int) -> None:
        if any(side % MULTIPLE or side < LEAST * MULTIPLE for side in train.crop):
            raise UserError(f"cogan draws multiples of {MULTIPLE} pixels, {LEAST * MULTIPLE} or more; set crop so.")
        self.train, self.own, self.latent, self.seed = train, nets, latent, seed
        random, width = torch.Generator().manual_seed(seed), nets.generator_width
        self.nets = nn.ModuleDict({"G": shared_layers(latent, width, nets.generator_blocks)})
        self.nets.update({"G_A": own_layers(width), "G_B": own_layers(width), "E": code_encoder(latent, width)})
        for net in self.nets.values():
            init_normal(net, random)
        first, second = (discriminator(nets, random).model for _ in "AB")
        self.nets.update({"D_A": first[:OWN], "D_B": second[:OWN], "D": first[OWN:]})

    def optimizers(self) -> dict[str, Optimizer]:
        parts = {"discriminator": ("D_A", "D_B", "D"), "generator": ("G", "G_A", "G_B"), "encoder": ("E",)}
        nets = {update: [self.nets[name] for name in names] for update, names in parts.items()}
        rates = {"discriminator": self.own.discriminator_lr}
        return {update: adam(self.train, *nets[update], lr=rates.get(update)) for update in parts}

    def step(self, batch: Any) -> Iterator[Update]:
        x, y, nets, judge = batch.source.image, batch.target.image, self.nets, self._judge
        drawn = nets["G"](self._codes(x, batch.source.positions))
        fake_A, fake_B = nets["G_A"](drawn), nets["G_B"](drawn)
        told = {"D_A": self._discriminate("D_A", x, fake_A), "D_B": self._discriminate("D_B", y, fake_B)}
        yield Update("discriminator", told)
        gan = {"gan_A": lsgan(judge("D_A")(fake_A), True), "gan_B": lsgan(judge("D_B")(fake_B), True)}
        yield Update("generator", gan)
        yield Update("encoder", {"inversion": F.l1_loss(nets["G_A"](nets["G"](nets["E"](x))), x)})

    def _codes(self, x: Tensor, positions: Any) -> Tensor:
        """Standard normal codes for pictures of x's size; both domains are drawn from the same."""
        places = (x.shape[-2] // MULTIPLE, x.shape[-1] // MULTIPLE)
        draws = uniforms(self.seed, "cogan", positions, 1)[:, 0]
        return normal(draws, self.latent * places[0] * places[1]).view(len(x), self.latent, *places).to(x)

    def _judge(self, own: str) -> nn.Module:
        return nn.Sequential(self.nets[own], self.nets["D"])

    def _discriminate(self, own: str, real: Tensor, fake: Tensor) -> Tensor:
        told_real, told_fake = passes(self._judge(own), real, fake, joined=self.train.joined)
        return (lsgan(told_real, True) + lsgan(told_fake, False)) / 2

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but nets and optimizers is state."""


def build(params: dict[str, Any], classes: int, seed: int) -> CoGAN:
    nets, own = cyclegan.Settings(**params["cyclegan"]), Settings(**params["cogan"])
    return CoGAN(TrainSettings(**params["train"]), nets, own.latent, seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    nets, latent = cyclegan.Settings(**params["cyclegan"]), Settings(**params["cogan"]).latent
    width = nets.generator_width
    drawing = {"G": shared_layers(latent, width, nets.generator_blocks), "G_B": own_layers(width)}
    return nn.ModuleDict({"E": code_encoder(latent, width), **drawing})


def translate(nets: nn.ModuleDict, image: Tensor) -> Tensor:
    """G_B(E(x)) for N3HW in [-1, 1] of any size: reflected to multiples of 16, cropped back."""
    padded, crop = pad_to_multiple(image, MULTIPLE, LEAST)
    return crop(nets["G_B"](nets["G"](nets["E"](padded))))


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    return check_crop(params, "cogan", MULTIPLE, LEAST)
