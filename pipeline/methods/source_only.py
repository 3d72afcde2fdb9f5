"""Source only: a segmenter trained on labelled pictures by cross-entropy, whatever translator made the pictures.

The first rung of every comparison, and the judge of every translator: pictures in, labels out, one budget for all.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from pipeline.engine.settings import SegmentSettings
from pipeline.engine.step import Update, mean_over_ranks
from pipeline.losses import cross_entropy, labelled_pixels
from pipeline.nets.segmenters import new_segmenter, segmenter

ABILITY = "segmenter"
USES_TARGET_LABELS = False
DOMAINS = {"source": ("image", "label")}
BLOCKS = ("segment",)


class Supervised:
    """One net, one loss: mean cross-entropy over the labelled pixels of the global batch."""

    def __init__(self, settings: SegmentSettings, classes: int, seed: int, domain: str) -> None:
        self.settings, self.domain = settings, domain
        random = torch.Generator().manual_seed(seed)
        net = new_segmenter(settings.net, classes, settings.width, random, settings.vgg16)
        self.nets = nn.ModuleDict({"S": net})

    def optimizers(self) -> dict[str, Optimizer]:
        parameters = [p for p in self.nets.parameters() if p.requires_grad]
        return {"segmenter": AdamW(parameters, self.settings.lr, weight_decay=self.settings.weight_decay)}

    def step(self, batch: Any) -> Iterator[Update]:
        given = getattr(batch, self.domain)
        pixels = mean_over_ranks(labelled_pixels(given.label))
        yield Update("segmenter", {"task": cross_entropy(self.nets["S"](given.image), given.label, pixels)})

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but the net and its optimizer is state."""


def build(params: dict[str, Any], classes: int, seed: int) -> Supervised:
    return Supervised(SegmentSettings(**params["segment"]), classes, seed, "source")


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    settings = SegmentSettings(**params["segment"])
    return nn.ModuleDict({"S": segmenter(settings.net, classes, settings.width)})


def logits(nets: nn.ModuleDict, image: Tensor) -> Tensor:
    """Class scores N classes H W for pictures N3HW in [-1, 1]."""
    return nets["S"](image)
