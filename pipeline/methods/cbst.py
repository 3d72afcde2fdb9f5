"""CBST: class-balanced self-training (Zou, Yu, Vijaya Kumar, Wang; ECCV 2018, arXiv 1810.07911).

The segmenter S first learns from labelled source pictures alone. Then come rounds: at the start of each a copy of S, the
labeller, is put aside, and S learns from target pictures too, where the labeller is sure. It is sure of a pixel where the
class belongs to the surest `portion` of all pixels that it gave to that class: a threshold for each class, so that rare
and difficult classes are not left out (eq. 5 to 8). The portion grows from round to round. docs/segmenters.md says how
rounds fit into one training. Net, budget and augmentation are those of `source_only` (block `segment`).
"""

import copy
from collections.abc import Iterator
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.classes import IGNORE
from pipeline.engine.settings import Count, MethodSettings, SegmentSettings, Weight
from pipeline.engine.step import Update, mean_over_ranks, ranks
from pipeline.losses import cross_entropy, labelled_pixels
from pipeline.methods import source_only
from pipeline.methods.source_only import exported, logits, new_net, optimizer

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "USES_TARGET_LABELS", "build", "check", "exported", "logits"]

ABILITY = "segmenter"
USES_TARGET_LABELS = False
DOMAINS = {"source": ("image", "label"), "target": ("image",)}
BLOCKS = ("segment", "cbst")

BINS, LOWEST, HIGHEST = 2**14, -4.0, 17.0  # of the log odds of a probability; 17 is what float32 tells from certainty
CELLS = 16  # of the spatial prior, along either side: about the published kernel, 70 of 1052 rows

Portion = Annotated[float, Field(gt=0, le=1)]


class Settings(MethodSettings):
    """Rounds and portions of CBST; the published ones for SYNTHIA as defaults."""

    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.4  # share of the steps before the first round
    rounds: Count = 6
    portion: Portion = 0.2  # of the pixels of each class, in the first round
    growth: Annotated[float, Field(ge=0)] = 0.05  # of the portion, from round to round
    portion_most: Portion = 0.5
    pseudo: Weight = 1.0  # of the loss on target pictures
    spatial_prior: bool = False  # where a class is in source pictures counts too (CBST-SP)


class CBST:
    """S, with the round's labeller and what is known of its probabilities, which are state and no nets."""

    def __init__(self, settings: SegmentSettings, own: Settings, classes: int, seed: int) -> None:
        self.settings, self.own, self.classes = settings, own, classes
        self.nets = nn.ModuleDict({"S": new_net(settings, classes, torch.Generator().manual_seed(seed))})
        self.labeller = copy.deepcopy(self.nets["S"]).eval().requires_grad_(False)
        self.counts = torch.zeros(classes, BINS, dtype=torch.long)  # of this round, by class and probability
        self.places = torch.zeros(classes, CELLS, CELLS)  # how much of each class was where in source pictures

    def optimizers(self) -> dict[str, Optimizer]:
        return {"segmenter": optimizer(self.nets["S"], self.settings)}

    def step(self, batch: Any) -> Iterator[Update]:
        S, source, target = self.nets["S"], batch.source, batch.target
        n = int(source.positions[0]) // self.settings.batch
        now = self._round(n)
        if now != self._round(n - 1):
            self.labeller.load_state_dict(S.state_dict())
            self.counts.zero_()
        if self.own.spatial_prior:
            fresh = mean_over_ranks(where_classes_are(source.label, self.classes))
            self.places = self.places.to(fresh.device) + fresh
        pixels = mean_over_ranks(labelled_pixels(source.label))
        losses = {"task": cross_entropy(S(source.image), source.label, pixels)}
        losses["pseudo"] = self.own.pseudo * self._taught(target, now) if now else losses["task"].new_zeros(())
        yield Update("segmenter", losses)

    def _round(self, step: int) -> int:
        """0 before the first round, then 1 to `rounds`, of equal length."""
        first = int(self.own.warmup * self.settings.steps)
        return 0 if step < first else 1 + (step - first) * self.own.rounds // (self.settings.steps - first)

    def _taught(self, target: Any, now: int) -> Tensor:
        with torch.no_grad():
            probabilities = self.labeller.to(target.image.device)(target.image).softmax(1)
            if self.own.spatial_prior:
                probabilities = with_prior(probabilities, self.places)
            seen = target.inside[:, 0] if target.inside is not None else None
            fresh = mean_over_ranks(histogram(probabilities, seen)) * ranks()
            self.counts = self.counts.to(fresh.device) + fresh.round().long()
            portion = min(self.own.portion + (now - 1) * self.own.growth, self.own.portion_most)
            label = pseudo_labels(probabilities, thresholds(self.counts, portion))
            if seen is not None:
                label = label.masked_fill(~seen, IGNORE)
        return cross_entropy(self.nets["S"](target.image), label, mean_over_ranks(labelled_pixels(label)))

    def state(self) -> dict[str, Any]:
        return {"labeller": self.labeller.state_dict(), "counts": self.counts, "places": self.places}

    def load_state(self, state: dict[str, Any]) -> None:
        self.labeller.load_state_dict(state["labeller"])
        self.counts, self.places = state["counts"], state["places"]


def histogram(probabilities: Tensor, seen: Tensor | None = None) -> Tensor:
    """How often each class won with which probability: int64 classes x BINS, for probabilities N classes H W.

    Bins are equal steps of the log odds, fine near 1, where a net's probabilities crowd. seen: bool N H W, what counts.
    """
    classes = probabilities.shape[1]
    probability, label = probabilities.max(1)
    if seen is not None:
        label = label.masked_fill(~seen, classes)  # counted apart
    odds = torch.logit(probability.double(), 2.0**-24)
    bins = (label * BINS + ((odds - LOWEST) * (BINS / (HIGHEST - LOWEST))).long().clamp(0, BINS - 1)).flatten()
    counts = torch.zeros((classes + 1) * BINS, dtype=torch.long, device=bins.device)
    return counts.scatter_add_(0, bins, torch.ones_like(bins)).view(classes + 1, BINS)[:classes]


def thresholds(counts: Tensor, portion: float) -> Tensor:
    """The probability from which a pixel is among the surest `portion` of its class, to a bin: float64 (classes,).

    1 for a class with too few pixels for one of them to be that, as published.
    """
    rank = (counts.sum(1, keepdim=True).double() * portion).floor()
    below = (counts.flip(1).cumsum(1) < rank).sum(1)  # bins from the top that hold fewer than that
    lower = LOWEST + (BINS - 1 - below.double()) * ((HIGHEST - LOWEST) / BINS)
    return torch.where(rank[:, 0] >= 1, torch.sigmoid(lower), 1.0)


def pseudo_labels(probabilities: Tensor, least: Tensor) -> Tensor:
    """The class with the largest probability / threshold, 255 where that is below 1: int64 N H W (eq. 8)."""
    ratio, label = (probabilities / least.to(probabilities)[:, None, None]).max(1)
    return label.masked_fill(ratio < 1, IGNORE)


def where_classes_are(label: Tensor, classes: int) -> Tensor:
    """The share of each class in every cell of a grid over the picture, mean over pictures: classes CELLS CELLS."""
    known = F.one_hot(label.clamp(max=classes), classes + 1)[..., :classes].permute(0, 3, 1, 2)
    return F.adaptive_avg_pool2d(known.float(), CELLS).mean(0)


def with_prior(probabilities: Tensor, places: Tensor) -> Tensor:
    """Probabilities N classes H W times how much likelier than on average a class is at the place, made probabilities.

    By its own average, so that a class is not thought rarer for being rare, but for being elsewhere.
    """
    average = places.mean((1, 2), keepdim=True)
    prior = torch.where(average > 0, places / average.clamp(min=1e-12), 1.0)
    prior = F.interpolate(prior[None], probabilities.shape[-2:], mode="bilinear", align_corners=False)
    product = probabilities * prior
    return product / product.sum(1, keepdim=True).clamp(min=1e-12)


def build(params: dict[str, Any], classes: int, seed: int) -> CBST:
    return CBST(SegmentSettings(**params["segment"]), Settings(**params["cbst"]), classes, seed)


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    settings, own, found = SegmentSettings(**params["segment"]), Settings(**params["cbst"]), source_only.check(params)
    left = settings.steps - int(own.warmup * settings.steps)
    if left < own.rounds:
        found.append(
            f"params.yaml: cbst has {own.rounds} rounds in the {left} steps after its warm-up; set cbst.rounds, cbst.warmup "
            "or segment.steps"
        )
    if own.portion > own.portion_most:
        found.append(
            f"params.yaml: cbst.portion is {own.portion}, above cbst.portion_most, {own.portion_most}; lower it"
        )
    return found
