"""Source only: a segmenter trained on labelled pictures by cross-entropy, whatever translator made the pictures.

The first rung of every comparison, and the judge of every translator: pictures in, labels out, one budget for all.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from pipeline.engine.settings import NetSettings, SegmentSettings
from pipeline.engine.step import Update, mean_over_ranks
from pipeline.files import UserError
from pipeline.losses import cross_entropy, labelled_pixels
from pipeline.nets import deeplab_v2
from pipeline.nets.deeplab_v2 import DeepLabV2
from pipeline.nets.segmenters import new_segmenter, segmenter

ABILITY = "segmenter"
USES_TARGET_LABELS = False
DOMAINS = {"source": ("image", "label")}
BLOCKS = ("segment",)
FITS = {"vgg16": ("fcn8s", "fcn8s_same"), "resnet101": ("deeplab_v2",)}  # files of weights, and the nets that they fit


class Supervised:
    """One net, one loss: mean cross-entropy over the labelled pixels of the global batch."""

    def __init__(self, settings: SegmentSettings, classes: int, seed: int, domain: str) -> None:
        self.settings, self.domain = settings, domain
        self.nets = nn.ModuleDict({"S": new_net(settings, classes, torch.Generator().manual_seed(seed))})

    def optimizers(self) -> dict[str, Optimizer]:
        return {"segmenter": optimizer(self.nets["S"], self.settings)}

    def step(self, batch: Any) -> Iterator[Update]:
        given = getattr(batch, self.domain)
        pixels = mean_over_ranks(labelled_pixels(given.label))
        yield Update("segmenter", {"task": cross_entropy(self.nets["S"](given.image), given.label, pixels)})

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but the net and its optimizer is state."""


def empty_net(settings: NetSettings, classes: int, auxiliary: bool = False) -> nn.Module:
    """The net of the block `segment`, with a second head where `auxiliary`; its weights are to be drawn or loaded."""
    if settings.net != "deeplab_v2":
        return segmenter(settings.net, classes, settings.width, auxiliary)
    frozen = settings.batch_norm == "frozen"
    return DeepLabV2(classes, settings.width, auxiliary, settings.aspp, frozen, settings.align_corners)


def new_net(settings: SegmentSettings, classes: int, random: torch.Generator, auxiliary: bool = False) -> nn.Module:
    """The net of the block `segment` with its first weights, drawn and, where a file is named, read."""
    if wrong := _misfits(settings):
        raise UserError(wrong[0])
    if settings.net != "deeplab_v2":
        return new_segmenter(settings.net, classes, settings.width, random, settings.vgg16, auxiliary)
    net = empty_net(settings, classes, auxiliary)
    assert isinstance(net, DeepLabV2)
    deeplab_v2.init_as_published(net, random)
    if settings.resnet101:
        deeplab_v2.load_backbone(net, settings.resnet101)
    return net


def optimizer(net: nn.Module, settings: SegmentSettings) -> Optimizer:
    """One for all that learns in a segmenter; under SGD the heads of a DeepLab learn ten times as fast (AdaptSegNet)."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    if settings.optimizer == "adamw":
        return AdamW(parameters, settings.lr, weight_decay=settings.weight_decay)
    heads = net.head_parameters() if isinstance(net, DeepLabV2) else []
    rest = [p for p in parameters if not any(p is head for head in heads)]
    groups: list[dict[str, Any]] = [{"params": rest}]
    if heads:
        groups.append({"params": heads, "lr": 10 * settings.lr})
    return SGD(groups, settings.lr, momentum=0.9, weight_decay=settings.weight_decay)


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the block `segment`, a sentence each."""
    settings = SegmentSettings(**params["segment"])
    found = _misfits(settings)
    try:
        with torch.device("meta"):
            empty_net(settings, 2)
    except UserError as error:
        found.append(f"params.yaml: segment: {error}")
    return found


def _misfits(settings: SegmentSettings) -> list[str]:
    return [
        f"params.yaml: segment.{key} names weights that fit {' and '.join(nets)} alone, not {settings.net}; set it to null"
        for key, nets in FITS.items()
        if getattr(settings, key) and settings.net not in nets
    ]


def build(params: dict[str, Any], classes: int, seed: int) -> Supervised:
    return Supervised(SegmentSettings(**params["segment"]), classes, seed, "source")


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    return nn.ModuleDict({"S": empty_net(SegmentSettings(**params["segment"]), classes)})


def logits(nets: nn.ModuleDict, image: Tensor) -> Tensor:
    """Class scores N classes H W for pictures N3HW in [-1, 1]."""
    return nets["S"](image)
