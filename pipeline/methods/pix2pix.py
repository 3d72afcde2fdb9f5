"""pix2pix: pictures from label maps by a conditional GAN (Isola, Zhu, Zhou, Efros; CVPR 2017, arXiv 1611.07004).

Trained on labelled target pictures like SPADE. A U-Net draws, a PatchGAN judges the picture together with its label map;
L1 to the real picture. `pix2pix_pairs` draws from pictures by the same step. The paper's ablation are settings: L1 alone is
`adversarial: 0`, the GAN that does not see the labels `conditional: false`, the GANs alone `l1: 0`. The step is that of the
published code: D on the fake and on the real pair as batches apart, then G against the new D.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.engine.settings import Count, Depth, MethodSettings, TrainSettings, Weight, check_crop
from pipeline.engine.step import Update
from pipeline.losses import vanilla
from pipeline.losses_semantic import conditions
from pipeline.methods import cyclegan
from pipeline.methods.cyclegan import adam
from pipeline.methods.spade import ABILITY, DOMAINS, READS, USES_TARGET_LABELS
from pipeline.nets.init import init_normal
from pipeline.nets.patchgan import PatchGAN
from pipeline.nets.resnet_generator import pad_to_multiple
from pipeline.nets.unet import UNetGenerator

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "READS", "UNUSED", "USES_TARGET_LABELS", "build", "exported", "translate"]

BLOCKS = ("train", "pix2pix")
UNUSED = (*cyclegan.UNUSED, "train.joined")  # D has a batch norm
Pair = Callable[[Any], tuple[Tensor, Tensor]]


class Settings(MethodSettings):
    """Nets and weights of pix2pix; the paper's as defaults."""

    levels: Depth = 8  # halvings of the U-Net; the crop is a multiple of 2^levels
    generator_width: Count = 64
    norm: Literal["batch", "instance"] = "batch"
    dropout: bool = True  # the noise of the paper, in training and in use
    inference: Literal["as_trained", "running_statistics"] = "as_trained"
    discriminator_width: Count = 64
    discriminator_layers: Depth = 3  # 1, 3, 5: patches of 16, 70, 286 pixels
    conditional: bool = True  # D sees what the picture was drawn from
    adversarial: Weight = 1.0
    l1: Weight = 100.0


class Pix2pix:
    """G and D with their losses (eq. 1 to 4). `pair`: batch -> what is drawn from, N `channels` H W, and the picture."""

    def __init__(self, train: TrainSettings, own: Settings, channels: int, pair: Pair, seed: int) -> None:
        self.train, self.own, self.pair = train, own, pair
        random = torch.Generator().manual_seed(seed)
        seen = (channels if own.conditional else 0) + 3
        D = PatchGAN(own.discriminator_layers, own.discriminator_width, seen, norm=own.norm)
        self.nets = nn.ModuleDict({"G": generator(own, channels), "D": D})
        for net in self.nets.values():
            init_normal(net, random)

    def optimizers(self) -> dict[str, Optimizer]:
        return {"discriminator": adam(self.train, self.nets["D"]), "generator": adam(self.train, self.nets["G"])}

    def step(self, batch: Any) -> Iterator[Update]:
        D, own = self.nets["D"], self.own
        x, y = self.pair(batch)
        fake = self.nets["G"](x)
        losses = {"l1": own.l1 * F.l1_loss(fake, y)}
        if own.adversarial:
            real, drawn = (torch.cat([x, picture], 1) if own.conditional else picture for picture in (y, fake))
            told = {"D_fake": vanilla(D(drawn), False) / 2, "D_real": vanilla(D(real), True) / 2}
            yield Update("discriminator", told)
            losses["gan"] = own.adversarial * vanilla(D(drawn), True)
        yield Update("generator", losses)

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but nets and optimizers is state."""


def generator(own: Settings, channels: int) -> UNetGenerator:
    """The U-Net that draws from `channels` planes."""
    return UNetGenerator(
        own.levels, own.generator_width, own.norm, own.dropout, channels_in=channels, inference=own.inference
    )


def build(params: dict[str, Any], classes: int, seed: int) -> Pix2pix:
    def pair(batch: Any) -> tuple[Tensor, Tensor]:
        given = batch.labelled_target
        return conditions(given.label, given.instance, classes).to(given.image), given.image

    return Pix2pix(TrainSettings(**params["train"]), Settings(**params["pix2pix"]), classes + 1, pair, seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    planes = 3 if "image" in params.get("imported", {}).get("reads", READS) else classes + 1
    return nn.ModuleDict({"G": generator(Settings(**params["pix2pix"]), planes)})


def translate(nets: nn.ModuleDict, given: Tensor, instance: Tensor | None = None) -> Tensor:
    """Labels and instances NHW of any size, or for a published net pictures N3HW -> pictures N3HW in [-1, 1]."""
    G: Any = nets["G"]
    planes = given if given.ndim == 4 else conditions(given, instance, G.channels - 1)
    padded, crop = pad_to_multiple(planes, G.multiple, least=1)
    return crop(G(padded))


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    return check_crop(params, "pix2pix", 2 ** params["pix2pix"]["levels"], least=1)
