"""Self-training, today's recipe in small: DACS (Tranheden et al. 2021), DAFormer (Hoyer et al. 2022), MIC (Hoyer et al. 2023).

A teacher, the moving average of the segmenter S, labels the target pictures. S learns from labelled source pictures; from
target pictures with half of a source picture's classes pasted in (ClassMix, Olsson et al. 2021); and from target pictures
with most of their blocks hidden. What the teacher said counts the more, the surer it was. Source pictures come rare
classes first. The net, its budget and its augmentation are those of `source_only` (block `segment`), so that rows compare.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.classes import IGNORE
from pipeline.engine.ema import blend
from pipeline.engine.settings import Count, MethodSettings, Rate, SegmentSettings, Weight
from pipeline.engine.step import Update, mean_over_ranks, ranks
from pipeline.losses import cross_entropy, labelled_pixels
from pipeline.methods.source_only import check, exported, logits, new_net, optimizer
from pipeline.shards.augment import jitter
from pipeline.shards.index import ShardSet
from pipeline.shards.joined import ShardSource
from pipeline.shards.order import Order, uniforms
from pipeline.shards.rare import rare_first

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "USES_TARGET_LABELS", "build", "check", "exported", "logits", "orders"]

ABILITY = "segmenter"
USES_TARGET_LABELS = False
DOMAINS = {"source": ("image", "label"), "target": ("image",)}
BLOCKS = ("segment", "selftrain")

Share = Annotated[float, Field(ge=0, lt=1)]


class Settings(MethodSettings):
    """Teacher, mixing and masking; DAFormer's and MIC's as defaults."""

    teacher: Share = 0.999  # decay of its average
    threshold: Share = 0.968  # probability from which a pixel is sure
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of the steps from source labels alone; 0 as published
    mixed: Weight = 1.0
    masked: Weight = 1.0  # 0: without masked pictures and their pass, as DAFormer
    mask_share: Share = 0.7
    mask_block: Count = 64  # pixels
    jitter: Share = 0.2  # of what S is shown of the target; the teacher sees pictures as they come
    rare_temperature: Rate | None = 0.01  # None: source pictures by epochs, as for the other segmenters


class SelfTraining:
    """S and its teacher, which is state and no net: nothing is back-propagated into it, and it is not kept."""

    def __init__(self, settings: SegmentSettings, own: Settings, classes: int, seed: int) -> None:
        self.settings, self.own, self.classes, self.seed = settings, own, classes, seed
        self.nets = nn.ModuleDict({"S": new_net(settings, classes, torch.Generator().manual_seed(seed))})
        self.teacher = copy.deepcopy(self.nets["S"]).eval().requires_grad_(False)

    def optimizers(self) -> dict[str, Optimizer]:
        return {"segmenter": optimizer(self.nets["S"], self.settings)}

    def step(self, batch: Any) -> Iterator[Update]:
        S, own, source, target = self.nets["S"], self.own, batch.source, batch.target
        n = int(target.positions[0]) // self.settings.batch
        blend(self.teacher.to(target.image.device), S, teacher_decay(n, own.teacher))
        pixels = mean_over_ranks(labelled_pixels(source.label))
        losses = {"task": cross_entropy(S(source.image), source.label, pixels)}
        if n < int(own.warmup * self.settings.steps):
            losses |= dict.fromkeys(("mixed", "masked") if own.masked else ("mixed",), pixels.new_zeros(()))
        else:
            losses |= self._adapted(source, target)
        yield Update("segmenter", losses)

    def _adapted(self, source: Any, target: Any) -> dict[str, Tensor]:
        S, own = self.nets["S"], self.own
        with torch.no_grad():
            label, sure = pseudo_labels(self.teacher(target.image), own.threshold, target.inside)
            mixed, mixed_label, weight = self._mixed(source, target, label, sure)
        losses = {"mixed": own.mixed * weighted_cross_entropy(S(mixed), mixed_label, weight)}
        if own.masked:
            losses["masked"] = own.masked * weighted_cross_entropy(S(self._masked(target)), label, sure)
        return losses

    def _mixed(self, source: Any, target: Any, label: Tensor, sure: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures, labels and weights of the target with classes of the source pasted in."""
        pasted = class_mask(source.label, self._draw("classes", source, self.classes))
        image = torch.where(pasted[:, None], source.image, target.image)
        weight = torch.where(pasted, torch.ones_like(sure), sure)
        return self._jittered(image, "mixed", target), torch.where(pasted, source.label, label), weight

    def _masked(self, target: Any) -> Tensor:
        height, width = target.image.shape[-2:]
        rows, columns = (max(1, round(side / self.own.mask_block)) for side in (height, width))
        draws = self._draw("mask", target, rows * columns).view(-1, rows, columns)
        return self._jittered(target.image, "masked", target) * visible(draws, self.own.mask_share, (height, width))

    def _jittered(self, image: Tensor, name: str, batch: Any) -> Tensor:
        drawn = 2 * uniforms(self.seed, f"selftrain/{name}", batch.positions, 3) - 1
        return jitter(image, 1 + self.own.jitter * drawn, 0 * drawn[:, 0])

    def _draw(self, name: str, batch: Any, count: int) -> Tensor:
        """Numbers in [0, 1] for each picture, by its place in the training order: no generator is state."""
        drawn = uniforms(self.seed, f"selftrain/{name}", batch.positions, count)
        return torch.from_numpy(drawn).float().to(batch.image.device)

    def state(self) -> dict[str, Any]:
        return {"teacher": self.teacher.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        self.teacher.load_state_dict(state["teacher"])


def teacher_decay(step: int, most: float) -> float:
    """0 at the first step, where the teacher becomes S; then of the average of all that S has been, up to `most`."""
    return min(1 - 1 / (step + 1), most)


def pseudo_labels(logits: Tensor, threshold: float, inside: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The likeliest class of each pixel, N H W, and their weight: the share of the global batch's pixels that are sure (DACS).

    inside: bool N1HW, where the picture is, beyond which there is no label (255) and nothing counts; None: everywhere.
    """
    probability, label = logits.softmax(1).max(1)
    sure = probability >= threshold
    seen = torch.ones_like(sure) if inside is None else inside[:, 0]
    count = mean_over_ranks(seen.sum()).clamp(min=1 / ranks())
    return label.masked_fill(~seen, IGNORE), mean_over_ranks((sure & seen).sum()) / count


def class_mask(label: Tensor, draws: Tensor) -> Tensor:
    """Where a random half (rounded up) of the classes of each picture is: bool N H W. Ignored pixels never are.

    label: N H W, 255 = ignore. draws: N x classes, which order the classes of a picture.
    """
    n, classes = draws.shape
    known = label.clamp(max=classes).flatten(1)  # what is ignored becomes a class of its own
    present = torch.zeros(n, classes + 1, dtype=torch.bool, device=label.device).scatter_(1, known, True)[:, :classes]
    rank = draws.masked_fill(~present, 2.0).argsort(1).argsort(1)  # those that are absent come last
    chosen = rank < (present.sum(1, keepdim=True) + 1) // 2
    return F.pad(chosen, (0, 1)).gather(1, known).view_as(label)


def visible(draws: Tensor, share: float, size: tuple[int, int]) -> Tensor:
    """1 where a block is seen and 0 where it is hidden, N1HW: hidden with probability `share`. draws: N rows columns."""
    return F.interpolate((draws > share).float()[:, None], size)


def weighted_cross_entropy(logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """Sum of weight * cross entropy over the labelled pixels, by their number in the global batch; 0 without any.

    weight: N H W or for all pixels alike. It is not divided by: labels that are not trusted teach less.
    """
    total = (weight * F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")).sum()
    return total / mean_over_ranks(labelled_pixels(label)).clamp(min=1 / ranks())


def orders(params: dict[str, Any], sets: Mapping[str, ShardSource], seed: int) -> dict[str, Order]:
    """The source's pictures, rare classes first."""
    temperature, source = params["selftrain"]["rare_temperature"], sets["source"]
    if temperature is None:
        return {}
    assert isinstance(source, ShardSet)  # which has an index of classes
    return {"source": rare_first(source.histograms(), seed, temperature)}


def build(params: dict[str, Any], classes: int, seed: int) -> SelfTraining:
    return SelfTraining(SegmentSettings(**params["segment"]), Settings(**params["selftrain"]), classes, seed)
