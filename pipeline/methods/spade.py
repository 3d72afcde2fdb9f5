"""SPADE: pictures drawn from label maps (Park, Liu, Wang, Zhu; CVPR 2019, arXiv 1903.07291).

Trained on labelled target pictures; then the synthetic labels, drawn as the target looks, are the translated set. So its
rows stand apart from those of methods that see no target label. The step is that of the published code: G (and E) first,
then the pictures are drawn once more with the new weights for D. With `style` an encoder gives each picture a code.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pipeline.engine.settings import Count, Depth, MethodSettings, TrainSettings, Weight, check_crop
from pipeline.engine.step import Update, ranks
from pipeline.losses import perceptual_l1
from pipeline.losses_semantic import (
    Maps,
    conditions,
    feature_matching,
    hinge_generator_scales,
    hinge_scales,
    kld,
    vgg_l1,
)
from pipeline.methods import cyclegan
from pipeline.nets.multiscale import SpadeDiscriminator, init_xavier
from pipeline.nets.perceptual import FeatureNet, feature_net
from pipeline.nets.resnet_generator import pad_to_multiple
from pipeline.nets.spade import DOUBLINGS, SpadeEncoder, SpadeGenerator, SpadeNorm, Upsampling, sample_style
from pipeline.noise import normal
from pipeline.shards.order import uniforms

__all__ = [
    "ABILITY", "BLOCKS", "DOMAINS", "READS", "UNUSED", "USES_TARGET_LABELS", "build", "check", "exported", "translate",
]  # fmt: skip

ABILITY = "translator"
USES_TARGET_LABELS = True
DOMAINS = {"labelled_target": ("image", "label", "instance?")}
READS = ("label", "instance?")
BLOCKS = ("train", "spade")
UNUSED = (*cyclegan.UNUSED, "train.joined")  # D sees both as one batch anyway


class Settings(MethodSettings):
    """Nets and weights of SPADE; the published Cityscapes settings as defaults, at half of `train.lr` for G and E and
    twice of it for D (TTUR: 1e-4 and 4e-4 of 2e-4)."""

    generator_width: Count = 64
    hidden: Count = 128  # channels inside every SPADE layer
    upsampling: Upsampling = "more"
    norm: SpadeNorm = "synchronised"
    discriminator_width: Count = 64
    discriminator_layers: Depth = 3
    discriminator_scales: Count = 2
    style: bool = False  # an image encoder and a code z for each picture
    z_dim: Count = 256
    encoder_width: Count = 64
    encoder_layers: Depth = 6
    matching: Weight = 10.0  # weight of the discriminator's features
    perceptual: Weight = 10.0
    kld: Weight = 0.05
    features: Literal["lite0", "vgg19"] = "vgg19"  # of the perceptual loss
    features_file: str | None = None


class Spade:
    """G, D and, with style, E, with their losses (section 3 and appendix A)."""

    def __init__(self, train: TrainSettings, own: Settings, generator: nn.Module, classes: int, seed: int) -> None:
        self.train, self.own, self.classes, self.seed = train, own, classes, seed
        random = torch.Generator().manual_seed(seed)
        planes = classes + 1
        self.nets = nn.ModuleDict({"G": generator})
        self.nets["D"] = SpadeDiscriminator(
            planes + 3, own.discriminator_width, own.discriminator_layers, own.discriminator_scales
        )
        if own.style:
            self.nets["E"] = SpadeEncoder(own.encoder_width, own.z_dim, own.encoder_layers)
        for net in self.nets.values():
            init_xavier(net, random)
        self.features = perceptual_net(own.features, own.features_file) if own.perceptual else None

    def optimizers(self) -> dict[str, Optimizer]:
        generator = [p for name in ("G", "E") if name in self.nets for p in self.nets[name].parameters()]
        return {
            "generator": Adam(generator, self.train.lr / 2, (0.0, 0.9)),
            "discriminator": Adam(self.nets["D"].parameters(), self.train.lr * 2, (0.0, 0.9)),
        }

    def step(self, batch: Any) -> Iterator[Update]:
        real, own = batch.labelled_target, self.own
        planes = conditions(real.label, real.instance, self.classes).to(real.image)
        fake, losses = self._draw(planes, real, "generator")
        maps, real_maps = self._judge(planes, fake, real.image)
        losses |= {"gan": hinge_generator_scales(maps), "matching": own.matching * feature_matching(maps, real_maps)}
        if self.features:
            losses["perceptual"] = own.perceptual * perceptual(self.features, fake, real.image)
        yield Update("generator", losses)
        with torch.no_grad():
            fake, _ = self._draw(planes, real, "discriminator")
        maps, real_maps = self._judge(planes, fake, real.image)
        yield Update("discriminator", {"D_fake": hinge_scales(maps, False), "D_real": hinge_scales(real_maps, True)})

    def _draw(self, planes: Tensor, real: Any, stream: str) -> tuple[Tensor, dict[str, Tensor]]:
        """The pictures, and with style the encoder's loss."""
        if not self.own.style:
            return self.nets["G"](planes), {}
        mu, logvar = self.nets["E"](real.image)
        noise = normal(uniforms(self.seed, f"spade/{stream}", real.positions, 1)[:, 0], self.own.z_dim).to(mu)
        z = sample_style(mu, logvar, noise)
        return self.nets["G"](planes, z), {"kld": self.own.kld * ranks() * kld(mu, logvar)}

    def _judge(self, planes: Tensor, fake: Tensor, real: Tensor) -> tuple[Maps, Maps]:
        """Maps of fakes and real pictures from one pass: one step of the spectral norm's iteration, as published."""
        maps = self.nets["D"](torch.cat([torch.cat([planes, image], 1) for image in (fake, real)]))
        halves = [[layer.chunk(2) for layer in scale] for scale in maps]
        return [[half[0] for half in scale] for scale in halves], [[half[1] for half in scale] for scale in halves]

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but nets and optimizers is state."""


def perceptual_net(name: str, file: str | None) -> FeatureNet:
    """The frozen net of the perceptual loss of SPADE and pix2pixHD."""
    return feature_net("vgg19_relu" if name == "vgg19" else name, file)


def perceptual(net: FeatureNet, fake: Tensor, real: Tensor) -> Tensor:
    """L1 distances of features, the real ones held fixed; weighted over depth where the net is the published one."""
    net.to(fake.device)
    with torch.no_grad():
        held = net(real)
    return (vgg_l1 if net.name == "vgg19_relu" else perceptual_l1)(net(fake), held)


def _generator(own: Settings, planes: int, crop: list[int]) -> SpadeGenerator:
    net = SpadeGenerator(planes, own.generator_width, own.upsampling, own.norm, own.hidden)
    if not own.style:
        return net
    start = (max(1, crop[0] // net.multiple), max(1, crop[1] // net.multiple))
    return SpadeGenerator(planes, own.generator_width, own.upsampling, own.norm, own.hidden, own.z_dim, start)


def build(params: dict[str, Any], classes: int, seed: int) -> Spade:
    train, own = TrainSettings(**params["train"]), Settings(**params["spade"])
    return Spade(train, own, _generator(own, classes + 1, train.crop), classes, seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    """G, and with style E: a picture of one's own can give its style."""
    own = Settings(**params["spade"])
    nets = nn.ModuleDict({"G": _generator(own, classes + 1, params["train"]["crop"])})
    if own.style and params.get("imported", {}).get("encoder", True):  # published generators come without
        nets["E"] = SpadeEncoder(own.encoder_width, own.z_dim, own.encoder_layers)
    return nets


def translate(nets: nn.ModuleDict, label: Tensor, instance: Tensor | None) -> Tensor:
    """Labels and instances NHW of any size -> pictures N3HW in [-1, 1]; the style belongs to the label map's values."""
    size = getattr(nets["G"], "z_dim", 0)
    return drawn_with(nets, label, instance, normal(np.array([_draw_of(one) for one in label]), size) if size else None)


def drawn_with(nets: nn.ModuleDict, label: Tensor, instance: Tensor | None, z: Tensor | None) -> Tensor:
    """`translate` with codes z (N, z_dim), of `style_of` or standard normal; None for a generator without style."""
    G: Any = nets["G"]
    padded, crop = pad_to_multiple(conditions(label, instance, G.channels - 1), G.multiple)
    return crop(G(padded) if z is None else G(padded, z.to(padded)))


def style_of(nets: nn.ModuleDict, image: Tensor) -> Tensor:
    """Codes (N, z_dim) of pictures N3HW in [-1, 1]: the encoder's mean."""
    return nets["E"](image)[0]


def _draw_of(label: Tensor) -> float:
    digest = hashlib.sha256(label.cpu().numpy().tobytes()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    return check_crop(params, "spade", 2 ** DOUBLINGS[params["spade"]["upsampling"]], least=1)
