"""CycleGAN: unpaired image-to-image translation with cycle consistency (Zhu, Park, Isola, Efros; ICCV 2017, arXiv 1703.10593).

G_A draws target pictures from source pictures, G_B the way back; D_A judges target pictures, D_B source pictures. As
published: all pictures are drawn once, both generators step, then both discriminators step on pooled fakes. Not as
published: the rate falls to 0 at the end of training and not an epoch early, and the identity loss is off unless asked
for (the paper has it for paintings alone).
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pipeline.engine.settings import Count, Depth, MethodSettings, Rate, TrainSettings, Weight, check_crop
from pipeline.engine.step import Update
from pipeline.losses import lsgan
from pipeline.nets.init import init_normal
from pipeline.nets.passes import passes
from pipeline.nets.patchgan import PatchGAN
from pipeline.nets.resnet_generator import MULTIPLE, ResnetGenerator, pad_to_multiple
from pipeline.pool import Pool

ABILITY = "translator"
USES_TARGET_LABELS = False
DOMAINS = {"source": ("image",), "target": ("image",)}
BLOCKS = ("train", "cyclegan")
UNUSED = ("train.alpha", "train.beta", "train.gamma", "train.delta")


class Settings(MethodSettings):
    """Nets and weights of CycleGAN; the paper's as defaults. A weight of 0 takes its loss away (the paper's ablations)."""

    generator_width: Count = 64
    generator_blocks: Depth = 9
    upsampling: Literal["transposed", "resize"] = "transposed"
    discriminator_width: Count = 64
    discriminator_layers: Depth = 3
    discriminator_norm: Literal["instance", "none"] = "instance"
    discriminator_lr: Rate | None = None  # None: as the generators', train.lr
    pool: Annotated[int, Field(ge=0)] = 50  # pictures of each domain
    adversarial: Weight = 1.0
    cycle_forward: Weight = 10.0  # source -> target -> source
    cycle_backward: Weight = 10.0  # target -> source -> target
    identity: Weight = 0.0  # share of the cycle's weight; 0.5 in the published code


class CycleGAN:
    """G_A, G_B, D_A and D_B with their losses (eq. 1 to 3)."""

    def __init__(self, train: TrainSettings, own: Settings, seed: int) -> None:
        self.train, self.own = train, own
        random = torch.Generator().manual_seed(seed)
        self.nets = nn.ModuleDict({"G_A": generator(own, random), "G_B": generator(own, random)})
        self.nets.update({"D_A": discriminator(own, random), "D_B": discriminator(own, random)})
        self.pools = {name: Pool(own.pool, seed, name) for name in ("A", "B")}

    def optimizers(self) -> dict[str, Optimizer]:
        """One Adam for both generators, one for both discriminators; betas 0.5, 0.999."""
        return {
            "generator": adam(self.train, self.nets["G_A"], self.nets["G_B"]),
            "discriminator": adam(self.train, self.nets["D_A"], self.nets["D_B"], lr=self.own.discriminator_lr),
        }

    def step(self, batch: Any) -> Iterator[Update]:
        real_A, real_B = batch.source.image, batch.target.image
        fake_A, fake_B = self.nets["G_B"](real_B), self.nets["G_A"](real_A)
        yield Update("generator", self._generator_losses(real_A, real_B, fake_A, fake_B))
        if self.own.adversarial:
            old_B = self.pools["B"](fake_B, batch.source.positions)
            old_A = self.pools["A"](fake_A, batch.target.positions)
            losses = {"D_A": self._discriminate("D_A", real_B, old_B), "D_B": self._discriminate("D_B", real_A, old_A)}
            yield Update("discriminator", losses)

    def _generator_losses(self, real_A: Tensor, real_B: Tensor, fake_A: Tensor, fake_B: Tensor) -> dict[str, Tensor]:
        nets, own, losses = self.nets, self.own, {}
        if own.adversarial:
            losses["gan_A"] = own.adversarial * lsgan(nets["D_A"](fake_B), True)
            losses["gan_B"] = own.adversarial * lsgan(nets["D_B"](fake_A), True)
        if own.cycle_forward:
            losses["cycle_A"] = own.cycle_forward * F.l1_loss(nets["G_B"](fake_B), real_A)
        if own.cycle_backward:
            losses["cycle_B"] = own.cycle_backward * F.l1_loss(nets["G_A"](fake_A), real_B)
        if own.identity:
            losses["identity_A"] = own.identity * own.cycle_backward * F.l1_loss(nets["G_A"](real_B), real_B)
            losses["identity_B"] = own.identity * own.cycle_forward * F.l1_loss(nets["G_B"](real_A), real_A)
        return losses

    def _discriminate(self, name: str, real: Tensor, fake: Tensor) -> Tensor:
        told_real, told_fake = passes(self.nets[name], real, fake, joined=self.train.joined)
        return (lsgan(told_real, True) + lsgan(told_fake, False)) / 2

    def state(self) -> dict[str, Any]:
        return {name: pool.state() for name, pool in self.pools.items()}

    def load_state(self, state: dict[str, Any]) -> None:
        for name, pool in self.pools.items():
            pool.load_state(state[name])


def adam(train: TrainSettings, *nets: nn.Module, lr: float | None = None) -> Adam:
    return Adam([p for net in nets for p in net.parameters()], lr or train.lr, (0.5, 0.999))


def generator(own: Settings, random: torch.Generator | None = None) -> ResnetGenerator:
    """A generator of CycleGAN and its baselines; without a random stream its weights are to be loaded."""
    net = ResnetGenerator(own.generator_width, own.generator_blocks, own.upsampling)
    if random:
        init_normal(net, random)
    return net


def discriminator(own: Settings, random: torch.Generator, channels: int = 3) -> PatchGAN:
    """A discriminator of CycleGAN and its baselines."""
    net = PatchGAN(own.discriminator_layers, own.discriminator_width, channels, own.discriminator_norm)
    init_normal(net, random)
    return net


def build(params: dict[str, Any], classes: int, seed: int) -> CycleGAN:
    return CycleGAN(TrainSettings(**params["train"]), Settings(**params["cyclegan"]), seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    return nn.ModuleDict({"G_A": generator(Settings(**params["cyclegan"]))})


def translate(nets: nn.ModuleDict, image: Tensor) -> Tensor:
    """G_A(x) for N3HW in [-1, 1] of any size: reflected to multiples of 4, cropped back."""
    padded, crop = pad_to_multiple(image)
    return crop(nets["G_A"](padded))


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    own, found = Settings(**params["cyclegan"]), check_crop(params, "cyclegan", MULTIPLE)
    if not (own.adversarial or own.cycle_forward or own.cycle_backward):
        found.append(
            "params.yaml: cyclegan has no loss left; give adversarial, cycle_forward or cycle_backward a weight"
        )
    if own.identity and not (own.cycle_forward and own.cycle_backward):
        found.append(
            "params.yaml: cyclegan.identity is a share of both cycles' weights, and one of them is 0; set identity to 0 too"
        )
    return found
