"""AdaptSegNet: learning to adapt structured output space (Tsai et al.; CVPR 2018, arXiv 1802.10349).

The segmenter S learns from labelled source pictures. At each level a discriminator D tells from the softmax of S, at the
picture's size, which domain it was made of (source 0, target 1), and S learns to be taken for source on target
pictures. S first, then D on what S said before its step: as published, where all gradients are there before any step.
The net, its budget and its augmentation are those of `source_only` (block `segment`), so that rows compare.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pipeline.engine.settings import Count, MethodSettings, NetSettings, Rate, SegmentSettings, Weight
from pipeline.engine.step import Update, mean_over_ranks
from pipeline.losses import cross_entropy, labelled_pixels, lsgan, vanilla
from pipeline.methods import source_only
from pipeline.methods.source_only import empty_net, logits, new_net, optimizer
from pipeline.nets.fc_discriminator import HALVINGS, FCDiscriminator, init_as_published
from pipeline.nets.levels import Level

__all__ = ["ABILITY", "ADVERSARIAL", "BLOCKS", "DOMAINS", "USES_TARGET_LABELS", "build", "check", "exported", "logits"]

ABILITY = "segmenter"
USES_TARGET_LABELS = False
ADVERSARIAL = True  # its last snapshots are kept and scored
DOMAINS = {"source": ("image", "label"), "target": ("image",)}
BLOCKS = ("segment", "adaptsegnet")
SOURCE, TARGET = False, True  # the discriminators' labels, 0 and 1


class Settings(MethodSettings):
    """Levels, losses and discriminators of AdaptSegNet; the published multi-level ones as defaults."""

    level: Literal["single", "multi"] = "multi"  # multi: an auxiliary head and its discriminator too
    space: Literal["output", "feature"] = "output"  # what D sees; feature: the map that a head reads (the ablation)
    block: Literal[1, 2, 4, 8] = 1  # output: scores are averaged over blocks of so many pixels a side; 1 as published
    loss: Literal["vanilla", "ls"] = "vanilla"
    adversarial: Weight = 0.001  # lambda_adv of the main head; published with ls, single: 0.01
    adversarial_auxiliary: Weight = 0.0002
    task_auxiliary: Weight = 0.1  # lambda_seg of the auxiliary head
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of the steps from source labels alone; 0 as published
    discriminator_width: Count = 64
    discriminator_lr: Rate = 1e-4


class AdaptSegNet:
    """S, and at each level a discriminator, with their losses (eq. 1 to 6)."""

    def __init__(self, settings: SegmentSettings, own: Settings, classes: int, seed: int) -> None:
        self.settings, self.own = settings, own
        random = torch.Generator().manual_seed(seed)
        net = new_net(settings, classes, random, own.level == "multi")
        self.nets = nn.ModuleDict({"S": net})
        self.levels = ("_auxiliary", "")[
            -2 if own.level == "multi" else -1 :
        ]  # ends of names, in the order of `levels`
        for n, level in enumerate(self.levels):
            discriminator = _discriminator(own, net, n, classes)
            init_as_published(discriminator, random)
            self.nets[f"D{level}"] = discriminator

    def optimizers(self) -> dict[str, Optimizer]:
        """The segmenter's as for source_only; one Adam for all discriminators, betas 0.9, 0.99."""
        S = self.nets["S"]
        parameters = [p for level in self.levels for p in self.nets[f"D{level}"].parameters()]
        return {
            "segmenter": optimizer(S, self.settings),
            "discriminator": Adam(parameters, self.own.discriminator_lr, (0.9, 0.99)),
        }

    def step(self, batch: Any) -> Iterator[Update]:
        own, label = self.own, batch.source.label
        due = int(batch.source.positions[0]) // self.settings.batch >= int(own.warmup * self.settings.steps)
        tasks = {"": 1.0, "_auxiliary": own.task_auxiliary}
        weights = {"": own.adversarial, "_auxiliary": own.adversarial_auxiliary}
        on_source = self._said(batch.source.image)
        on_target = self._said(batch.target.image) if due else {}
        pixels = mean_over_ranks(labelled_pixels(label))
        losses = {f"task{at}": tasks[at] * cross_entropy(on_source[at].logits, label, pixels) for at in self.levels}
        nothing = losses["task"].new_zeros(())
        for at in self.levels:
            losses[f"gan{at}"] = weights[at] * self._told(at, on_target[at], SOURCE) if due else nothing
        yield Update("segmenter", losses)
        told = {f"D{at}": self._halves(at, on_source[at], on_target[at]) if due else nothing for at in self.levels}
        yield Update("discriminator", told, due)

    def _said(self, image: Tensor) -> dict[str, Level]:
        S: Any = self.nets["S"]
        return dict(zip(self.levels, S.levels(image), strict=True))

    def _halves(self, level: str, on_source: Level, on_target: Level) -> Tensor:
        return (self._told(level, on_source, SOURCE) + self._told(level, on_target, TARGET)) / 2

    def _told(self, level: str, said: Level, domain: bool) -> Tensor:
        """The adversarial loss of a level's discriminator, or against it, for the label `domain`."""
        return (vanilla if self.own.loss == "vanilla" else lsgan)(self.nets[f"D{level}"](self._seen(said)), domain)

    def _seen(self, said: Level) -> Tensor:
        if self.own.space == "feature":
            return said.features
        return (F.avg_pool2d(said.logits, self.own.block) if self.own.block > 1 else said.logits).softmax(1)

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but nets and optimizers is state."""


def _discriminator(own: Settings, net: Any, level: int, classes: int) -> FCDiscriminator:
    """For softmaxes as published; of a map at 1/2^n with n halvings fewer, so that a score stands for as much."""
    channels, stride = (classes, own.block) if own.space == "output" else net.feature_maps[level]
    return FCDiscriminator(channels, own.discriminator_width, HALVINGS - int(math.log2(stride)))


def build(params: dict[str, Any], classes: int, seed: int) -> AdaptSegNet:
    return AdaptSegNet(SegmentSettings(**params["segment"]), Settings(**params["adaptsegnet"]), classes, seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    auxiliary = Settings(**params["adaptsegnet"]).level == "multi"
    settings = (NetSettings if "imported" in params else SegmentSettings)(**params["segment"])
    return nn.ModuleDict({"S": empty_net(settings, classes, auxiliary)})


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    settings, own = SegmentSettings(**params["segment"]), Settings(**params["adaptsegnet"])
    found = source_only.check(params)
    if settings.net.startswith("fcn8s") and own.level != "single":
        found.append(
            f"params.yaml: segment.net is {settings.net}, which has no auxiliary head; set adaptsegnet.level to single, "
            "or take small or deeplab_v2"
        )
    if min(settings.crop) < 2**HALVINGS:
        found.append(
            f"params.yaml: segment.crop is {settings.crop}, but adaptsegnet's discriminator halves a map {HALVINGS} times; "
            f"crop {2**HALVINGS} pixels or more"
        )
    return found
