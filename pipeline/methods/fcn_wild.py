"""FCNs in the Wild: pixel-level adversarial and constraint-based adaptation (Hoffman et al. 2016, arXiv 1612.02649).

The segmenter S learns from labelled source pictures. A discriminator D tells from S's last features, at each position by
itself, which domain they are of; S learns to leave it undecided, on both domains. And on target pictures S learns to give
the classes that it finds about the share of the picture that they have in source pictures. No code was published;
docs/segmenters.md says how its words are read here. Net, budget and augmentation are those of `source_only`.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pipeline.engine.settings import Count, MethodSettings, Rate, SegmentSettings, Weight
from pipeline.engine.step import Update, mean_over_ranks, ranks
from pipeline.losses import cross_entropy, labelled_pixels, vanilla
from pipeline.methods.source_only import check, exported, logits, new_net, optimizer
from pipeline.nets.init import init_kaiming

__all__ = ["ABILITY", "ADVERSARIAL", "BLOCKS", "DOMAINS", "USES_TARGET_LABELS", "build", "check", "exported", "logits"]

ABILITY = "segmenter"
USES_TARGET_LABELS = False
ADVERSARIAL = True  # its last snapshots are kept and scored
DOMAINS = {"source": ("image", "label"), "target": ("image",)}
BLOCKS = ("segment", "fcn_wild")

DECADES, BINS = 5, 500  # of a share of the picture, down to 1e-5
LOWER, UPPER = 0.1, 0.9  # of the pictures with a class, that show less of it
FOUND = 0.1  # a class is in a target picture that gives it this part of the lower share


class Settings(MethodSettings):
    """Weights and discriminator; the paper gives none."""

    adversarial: Weight = 0.01
    size: Weight = 0.1
    discriminator_width: Count = 256
    discriminator_lr: Rate = 1e-4


class Sizes(NamedTuple):
    """Shares of the picture that classes have where they are, each (classes,); 0 for a class that was never seen."""

    lower: Tensor
    mean: Tensor
    upper: Tensor


class FCNWild:
    """S and D; the shares of the classes in the source pictures so far are state."""

    def __init__(self, settings: SegmentSettings, own: Settings, classes: int, seed: int) -> None:
        self.settings, self.own, self.classes = settings, own, classes
        random = torch.Generator().manual_seed(seed)
        S: Any = new_net(settings, classes, random)
        D = position_discriminator(S.feature_maps[-1][0], own.discriminator_width)
        init_kaiming(D, random)
        self.nets = nn.ModuleDict({"S": S, "D": D})
        self.shares = torch.zeros(classes, BINS, dtype=torch.long)  # pictures, by class and share

    def optimizers(self) -> dict[str, Optimizer]:
        discriminator = Adam(self.nets["D"].parameters(), self.own.discriminator_lr, (0.9, 0.99))
        return {"segmenter": optimizer(self.nets["S"], self.settings), "discriminator": discriminator}

    def step(self, batch: Any) -> Iterator[Update]:
        S: Any = self.nets["S"]
        D, own, source, target = self.nets["D"], self.own, batch.source, batch.target
        on_source, on_target = S.levels(source.image)[-1], S.levels(target.image)[-1]
        yield Update("discriminator", {"D": told_apart(D(on_source.features), D(on_target.features)) / 2})
        told = D(on_source.features), D(on_target.features)
        fresh = mean_over_ranks(share_histogram(source.label, self.classes)) * ranks()
        self.shares = self.shares.to(fresh.device) + fresh.round().long()
        size = size_loss(on_target.logits.softmax(1), sizes(self.shares), target.inside)
        losses = {
            "task": cross_entropy(on_source.logits, source.label, mean_over_ranks(labelled_pixels(source.label))),
            "gan": own.adversarial * (told_apart(*told) + told_apart(*told[::-1])) / 2,
            "size": own.size * size,
        }
        yield Update("segmenter", losses)

    def state(self) -> dict[str, Any]:
        return {"shares": self.shares}

    def load_state(self, state: dict[str, Any]) -> None:
        self.shares = state["shares"]


def position_discriminator(channels: int, width: int) -> nn.Sequential:
    """Features N C h w -> raw scores N1hw, each from its own position: three 1x1 convolutions."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(width, width, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(width, 1, 1),
    )  # fmt: skip


def told_apart(source: Tensor, target: Tensor) -> Tensor:
    """L_D of the scores, for labels source 0 and target 1 (eq. 3); with its arguments exchanged L_Dinv (eq. 4)."""
    return vanilla(source, False) + vanilla(target, True)


def share_histogram(label: Tensor, classes: int) -> Tensor:
    """In how many pictures each class has which share of the labelled pixels: int64 classes x BINS, steps of its logarithm."""
    label = label.clamp(max=classes).flatten(1)  # what is ignored becomes a class of its own
    empty = torch.zeros(len(label), classes + 1, dtype=torch.long, device=label.device)
    known = empty.scatter_add_(1, label, torch.ones_like(label))[:, :classes]  # pixels
    share = known / known.sum(1, keepdim=True).clamp(min=1)
    bins = ((share.clamp(min=1e-12).log10() / DECADES + 1) * BINS).long().clamp(0, BINS - 1)
    return (F.one_hot(bins, BINS) * (known > 0)[..., None]).sum(0)


def sizes(counts: Tensor) -> Sizes:
    """What `share_histogram` says of each class, to a bin (2.3 %): bounds that a tenth of the pictures lie beyond."""
    total = counts.sum(1, keepdim=True)
    share = 10 ** (((torch.arange(BINS, device=counts.device) + 0.5) / BINS - 1) * DECADES)
    below = counts.cumsum(1)
    lower, upper = (share[(below < part * total).sum(1).clamp(max=BINS - 1)] for part in (LOWER, UPPER))
    seen = (total[:, 0] > 0).to(share)
    return Sizes(lower * seen, (counts * share).sum(1) / total[:, 0].clamp(min=1), upper * seen)


def size_loss(probabilities: Tensor, size: Sizes, inside: Tensor | None) -> Tensor:
    """How far the shares of found classes are beyond their bounds, by the class's mean share; mean over what is found.

    probabilities: N classes H W, whose mean over the picture is a class's share. A class is found where it is the likeliest
    on enough pixels (FOUND). inside: bool N1HW, what of a picture counts; None: all.
    """
    part = torch.ones_like(probabilities[:, :1]) if inside is None else inside.to(probabilities)
    area = part.sum((2, 3)).clamp(min=1)
    share = (probabilities * part).sum((2, 3)) / area
    likeliest = torch.zeros_like(share).scatter_add_(1, probabilities.argmax(1).flatten(1), part.flatten(1))
    found = (likeliest / area > FOUND * size.lower) & (size.mean > 0)
    beyond = (F.relu(size.lower - share) + F.relu(share - size.upper)) / size.mean.clamp(min=1e-12)
    return (beyond * found).sum() / mean_over_ranks(found.sum()).clamp(min=1 / ranks())


def build(params: dict[str, Any], classes: int, seed: int) -> FCNWild:
    return FCNWild(SegmentSettings(**params["segment"]), Settings(**params["fcn_wild"]), classes, seed)
