"""SPIGAN: privileged adversarial learning from simulation (Lee, Ros, Li, Gaidon; ICLR 2019, arXiv 1810.03756).

Four nets: G translates x_s to the target's look, D judges patches, T segments, P predicts the privileged information
(depth). D first; then G, T and P together, so that the gradients of task and depth reach G: they keep its pictures
true to their labels. The T in here serves G alone; the segmenter that is scored is always trained afresh.
"""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pipeline.engine.settings import Count, Depth, MethodSettings, Rate, TrainSettings, check_crop
from pipeline.engine.step import Update, mean_over_ranks
from pipeline.losses import cross_entropy, depth_l1, depth_transform, labelled_pixels, lsgan, perceptual_l1
from pipeline.nets.init import init_normal
from pipeline.nets.passes import passes
from pipeline.nets.patchgan import PatchGAN
from pipeline.nets.perceptual import feature_net
from pipeline.nets.resnet_generator import MULTIPLE, ResnetGenerator, pad_to_multiple
from pipeline.nets.segmenters import SegmenterName, new_segmenter

ABILITY = "translator"
USES_TARGET_LABELS = False
DOMAINS = {"source": ("image", "label", "depth"), "target": ("image",)}
BLOCKS = ("train", "spigan")


class Settings(MethodSettings):
    """Nets and depth of SPIGAN. The paper: width 64, 9 blocks, FCN8s for T and P, vgg19; rates all 2e-4."""

    generator_width: Count = 64
    generator_blocks: Depth = 9
    upsampling: Literal["transposed", "resize"] = "transposed"
    discriminator_width: Count = 64
    discriminator_layers: Depth = 3
    discriminator_norm: Literal["instance", "none"] = "instance"
    discriminator_lr: Rate | None = None  # None: as G's, train.lr
    task_net: SegmenterName = "fcn8s"
    task_width: Count = 64
    task_lr: Rate = 2e-4  # of T and P
    vgg16: str | None = None  # file of torchvision's VGG16 weights for T and P, where they are fcn8s
    features: Literal["lite0", "vgg19"] = "vgg19"  # of the perceptual loss
    features_file: str | None = None
    depth: Literal["linear", "log", "inverse"] = "linear"  # what P predicts; 0..1
    depth_reach: Rate = 100.0  # metres


class Spigan:
    """G, D, T and, where `privileged`, P, with their losses (eq. 1 to 6)."""

    def __init__(self, train: TrainSettings, own: Settings, classes: int, seed: int, privileged: bool = True) -> None:
        self.train, self.own, self.privileged = train, own, privileged
        random = torch.Generator().manual_seed(seed)
        generator = _generator(own)
        critic = PatchGAN(own.discriminator_layers, own.discriminator_width, norm=own.discriminator_norm)
        init_normal(generator, random)
        init_normal(critic, random)
        self.nets = nn.ModuleDict({"G": generator, "D": critic, "T": self._dense(classes, random)})
        if privileged:
            self.nets["P"] = self._dense(1, random)
        self.features = feature_net(own.features, own.features_file)

    def _dense(self, channels: int, random: torch.Generator) -> nn.Module:
        return new_segmenter(self.own.task_net, channels, self.own.task_width, random, self.own.vgg16)

    def optimizers(self) -> dict[str, Optimizer]:
        """One Adam for D, one for G, T and P; beta1 0.5 as CycleGAN for the adversarial pair, 0.9 for T and P."""
        dense = [p for name in ("T", "P") if name in self.nets for p in self.nets[name].parameters() if p.requires_grad]
        betas = (0.5, 0.999)
        return {
            "discriminator": Adam(self.nets["D"].parameters(), self.own.discriminator_lr or self.train.lr, betas),
            "generator": Adam(
                [
                    {"params": list(self.nets["G"].parameters()), "lr": self.train.lr, "betas": betas},
                    {"params": dense, "lr": self.own.task_lr, "betas": (0.9, 0.999)},
                ],
                lr=self.train.lr,
            ),
        }

    def step(self, batch: Any) -> Iterator[Update]:
        D, T, weights = self.nets["D"], self.nets["T"], self.train
        x_s, y_s, x_t = batch.source.image, batch.source.label, batch.target.image
        self.features.to(x_s.device)
        fake = self.nets["G"](x_s)
        told_x, told_fake = passes(D, x_t, fake, joined=self.train.joined)
        yield Update("discriminator", {"D": (lsgan(told_x, True) + lsgan(told_fake, False)) / 2})
        pixels = mean_over_ranks(labelled_pixels(y_s))
        losses = {
            "gan": weights.alpha * lsgan(D(fake), True),
            "task": weights.beta * (cross_entropy(T(x_s), y_s, pixels) + cross_entropy(T(fake), y_s, pixels)),
            "perceptual": weights.delta * perceptual_l1(self.features(x_s), self.features(fake)),
        }
        if self.privileged:
            P = self.nets["P"]
            z_s = depth_transform(batch.source.depth, self.own.depth, self.own.depth_reach)
            losses["privileged"] = weights.gamma * (depth_l1(P(x_s), z_s) + depth_l1(P(fake), z_s))
        yield Update("generator", losses)

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but nets and optimizers is state."""


def _generator(own: Settings) -> ResnetGenerator:
    return ResnetGenerator(own.generator_width, own.generator_blocks, own.upsampling)


def build(params: dict[str, Any], classes: int, seed: int) -> Spigan:
    return Spigan(TrainSettings(**params["train"]), Settings(**params["spigan"]), classes, seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    return nn.ModuleDict({"G": _generator(Settings(**params["spigan"]))})


def translate(nets: nn.ModuleDict, image: Tensor) -> Tensor:
    """G(x) for N3HW in [-1, 1] of any size: reflected to multiples of 4, cropped back."""
    padded, crop = pad_to_multiple(image)
    return crop(nets["G"](padded))


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    return check_crop(params, "spigan", MULTIPLE)
