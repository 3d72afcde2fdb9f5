"""CDA: curriculum domain adaptation (Zhang, David, Gong; ICCV 2017, arXiv 1707.09465).

What is easy to tell of a target picture is learnt first, and then binds what is hard. Easy: how the pixels of the whole
picture are spread over the classes, and the class of some of its parts, those of which one is surest. Two linear models on
the features of a fixed net learn both from source pictures. Hard: the class of every pixel. The segmenter S learns it from
labelled source pictures, and on target pictures keeps to the spread and to the sure parts that the linear models name.
The net, its budget and its augmentation are those of `source_only` (block `segment`).
"""

from collections.abc import Iterator
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pipeline.classes import IGNORE
from pipeline.engine.settings import MethodSettings, Rate, SegmentSettings, Weight
from pipeline.engine.step import Update, gathered, mean_over_ranks
from pipeline.losses import cross_entropy, labelled_pixels
from pipeline.methods.source_only import check, exported, logits, new_net, optimizer
from pipeline.nets.init import init_kaiming
from pipeline.nets.perceptual import feature_net

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "USES_TARGET_LABELS", "build", "check", "exported", "logits"]

ABILITY = "segmenter"
USES_TARGET_LABELS = False
DOMAINS = {"source": ("image", "label"), "target": ("image",)}
BLOCKS = ("segment", "cda")

PART_MAP, PART_CHANNELS, PICTURE_CHANNELS = 2, 40, 320  # lite0: its map at 1/8, and its last
SHARPNESS, CLIP = 5, 30.0  # of the spread, of scores (published)


class Settings(MethodSettings):
    """Weights of the easy tasks on target pictures; the published ones where there are any."""

    spread: Weight = 0.1
    parts: Weight = 0.1
    sure: Annotated[float, Field(gt=0, le=1)] = 0.6  # of a batch's parts that are taken for known
    easy_lr: Rate = 1e-3  # Adam, of the linear models


class Easy(nn.Module):
    """The linear models: scores of a picture's spread over the classes, and of the class of each of its parts."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.score_spread = nn.Linear(PICTURE_CHANNELS, classes)
        self.score_parts = nn.Conv2d(PART_CHANNELS, classes, 1)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """N classes, and N classes h w at 1/8, from the maps of lite0."""
        return self.score_spread(maps[-1].mean((2, 3))), self.score_parts(maps[PART_MAP])


class CDA:
    """S, and E for what is easy."""

    def __init__(self, settings: SegmentSettings, own: Settings, classes: int, seed: int) -> None:
        self.settings, self.own, self.classes = settings, own, classes
        random = torch.Generator().manual_seed(seed)
        self.nets = nn.ModuleDict({"S": new_net(settings, classes, random), "E": Easy(classes)})
        init_kaiming(self.nets["E"], random)
        self.features = feature_net("lite0")

    def optimizers(self) -> dict[str, Optimizer]:
        easy = Adam(self.nets["E"].parameters(), self.own.easy_lr)
        return {"easy": easy, "segmenter": optimizer(self.nets["S"], self.settings)}

    def step(self, batch: Any) -> Iterator[Update]:
        S, E, own, source, target = self.nets["S"], self.nets["E"], self.own, batch.source, batch.target
        self.features.to(source.image.device)
        with torch.no_grad():
            known, seen = self.features(source.image), self.features(target.image)
        told, parts = E(known)
        label = part_labels(source.label, self.classes, (parts.shape[-2], parts.shape[-1]))
        easy = {
            "easy_spread": spread_loss(spread_of(source.label, self.classes), told.log_softmax(1)),
            "easy_parts": cross_entropy(parts, label, mean_over_ranks(labelled_pixels(label))),
        }
        yield Update("easy", easy)
        with torch.no_grad():
            told, parts = E(seen)
            sure = sure_parts(parts, own.sure, target.image.shape[-2:], target.inside)
        on_target = S(target.image)
        spread = sharpened_spread(on_target, target.inside).clamp(min=1e-7)
        pixels = mean_over_ranks(labelled_pixels(source.label))
        losses = {
            "task": cross_entropy(S(source.image), source.label, pixels),
            "spread": own.spread * spread_loss(told.softmax(1), spread.log()),
            "parts": own.parts * cross_entropy(on_target, sure, mean_over_ranks(labelled_pixels(sure))),
        }
        yield Update("segmenter", losses)

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but nets and optimizers is state."""


def spread_of(label: Tensor, classes: int) -> Tensor:
    """The share of each class of a picture's labelled pixels, N classes; 0 throughout for a picture without any."""
    label = label.clamp(max=classes).flatten(1)  # what is ignored becomes a class of its own
    empty = torch.zeros(len(label), classes + 1, dtype=torch.long, device=label.device)
    known = empty.scatter_add_(1, label, torch.ones_like(label))[:, :classes]
    return known / known.sum(1, keepdim=True).clamp(min=1)


def sharpened_spread(scores: Tensor, inside: Tensor | None = None) -> Tensor:
    """What S thinks the spread is: (p / max p)^5 of every pixel, mean over pixels, made to sum to 1; N classes.

    inside: bool N1HW, the pixels that vote; None: all.
    """
    probability = scores.clamp(-CLIP, CLIP).softmax(1)
    votes = (probability / probability.amax(1, keepdim=True)).pow(SHARPNESS)
    votes = (votes if inside is None else votes * inside).mean((2, 3))
    return votes / (votes.sum(1, keepdim=True) + 1e-7)


def spread_loss(spread: Tensor, told: Tensor) -> Tensor:
    """Cross entropy of two spreads over the classes, the second as logarithms; mean over pictures (eq. 2)."""
    return -(spread * told).sum(1).mean()


def part_labels(label: Tensor, classes: int, size: tuple[int, int]) -> Tensor:
    """The class that most labelled pixels of each part have, N h w; 255 for a part without any."""
    known = F.one_hot(label.clamp(max=classes), classes + 1)[..., :classes].permute(0, 3, 1, 2)
    most, found = F.adaptive_avg_pool2d(known.float(), size).max(1)
    return found.masked_fill(most == 0, IGNORE)


def sure_parts(scores: Tensor, share: float, size: torch.Size, inside: Tensor | None = None) -> Tensor:
    """Labels of the surest `share` of all parts of the global batch at the picture's size, 255 elsewhere: int64 N H W.

    inside: bool N1HW, where the picture is, beyond which there is no part; None: everywhere.
    """
    probability, label = scores.softmax(1).max(1)
    if inside is not None:
        nothing = F.adaptive_max_pool2d(inside.float(), probability.shape[-2:])[:, 0] == 0
        probability = probability.masked_fill(nothing, -1.0)
    everywhere = gathered(probability).flatten()
    count = int((everywhere >= 0).sum())
    least = everywhere.sort(descending=True).values[max(0, int(share * count) - 1)]
    label = F.interpolate(label.masked_fill(probability < least, IGNORE)[:, None].float(), size)[:, 0].long()
    return label if inside is None else label.masked_fill(~inside[:, 0], IGNORE)


def build(params: dict[str, Any], classes: int, seed: int) -> CDA:
    return CDA(SegmentSettings(**params["segment"]), Settings(**params["cda"]), classes, seed)
