"""Scoring clips by a trained scorer: an anomaly map and a score for every frame, then the figures of the field.

The main figures are of raw scores, pooled over the frames of all clips: a frame's score is the maximum of its map, or the
mean of that and of those before, and is known when the frame is. `per_video` is the usual one of the papers, which divides
by the maxima of each clip: it looks into the clip's future, supposes something abnormal in every clip, and flatters.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch

from pipeline.engine.model import Model
from pipeline.metrics import detection
from pipeline.metrics.pixel_level import PixelRecord, pixel_level, pixel_record
from pipeline.nets.calibration import recent
from pipeline.sample import Sample
from pipeline.shards.batch import collate

BATCH = 8


@dataclass(frozen=True)
class Clip:
    """A clip as it was judged: T frames of one size."""

    name: str
    frames: list[str]
    abnormal: list[bool | None]  # None: nobody says
    masks: list[np.ndarray | None]  # bool (H, W), the abnormal pixels
    differences: dict[str, np.ndarray]  # "semantic", "flow": float32 (T, H, W)
    anomaly: np.ndarray  # float64 (T, H, W), by the units of held-out normal frames
    by_own: np.ndarray  # (T,) maxima of the maps by the clip's own maxima
    memory: int  # frames that a score is averaged over

    @property
    def scores(self) -> np.ndarray:
        """(T,), the maximum of each map, averaged over the frames before."""
        return self.averaged(self.anomaly.max((1, 2)))

    def averaged(self, scores: np.ndarray) -> np.ndarray:
        return recent(scores, [self.name] * len(scores), self.memory)


def judge_clips(model: Model, samples: Iterable[Sample]) -> Iterator[Clip]:
    """Samples (image, flow, label where known), clip by clip and in order, as Clips."""
    for name, own in groupby(samples, key=lambda sample: str(sample.meta["sequence"])):
        yield _judge(model, name, list(own))


def _judge(model: Model, name: str, samples: Sequence[Sample]) -> Clip:
    device, found = next(model.nets.parameters()).device, []
    with torch.inference_mode():
        for start in range(0, len(samples), BATCH):
            group = samples[start : start + BATCH]
            batch = collate(group, "clips", np.arange(len(group)), device)
            found.append(model.module.differences(model.nets, model.params, batch))
    maps = {kind: torch.cat([one[kind] for one in found]).cpu().numpy() for kind in found[0]}
    told = model.module.fusion(model.nets, model.params)
    own = detection.fuse(maps["semantic"], maps["flow"], told["weight"])
    masks = [None if sample.label is None else sample.label == 1 for sample in samples]
    known = [
        sample.meta.get("abnormal", None if mask is None else bool(mask.any()))
        for sample, mask in zip(samples, masks, strict=True)
    ]
    frames = [str(sample.meta["frame"]) for sample in samples]
    by_usual = detection.fuse(maps["semantic"], maps["flow"], **told)
    return Clip(name, frames, known, masks, maps, by_usual, own.max((1, 2)), model.module.memory(model.params))


@dataclass(frozen=True)
class Kept:
    """What stays of a clip once its maps are gone."""

    rows: list[dict[str, Any]]  # clip, frame, score, label
    alone: dict[str, np.ndarray]  # scores by one difference
    per_video: np.ndarray
    pixels: list[tuple[PixelRecord, bool]]  # of frames with a mask


def keep(clip: Clip) -> Kept:
    """The numbers of a clip."""
    rows = [
        {"clip": clip.name, "frame": frame, "score": float(score), "label": None if label is None else int(label)}
        for frame, score, label in zip(clip.frames, clip.scores, clip.abnormal, strict=True)
    ]
    alone = {kind: clip.averaged(maps.max((1, 2))) for kind, maps in clip.differences.items()}
    pixels = [
        (pixel_record(found, mask), bool(mask.any()))
        for found, mask in zip(clip.anomaly, clip.masks, strict=True)
        if mask is not None
    ]
    return Kept(rows, alone, clip.averaged(clip.by_own), pixels)


FRAME_LEVEL = {
    "auc_frame": "auc_pooled", "eer_frame": "eer_pooled", "auc_frame_clip_minmax": "auc_clip_minmax",
    "auc_frame_clip_mean": "auc_clip_mean", "clips_of_one_label": "clips_left_out",
}  # fmt: skip
PIXEL_LEVEL = {
    "auc_pixel": "auc_pixel40", "eer_pixel": "eer_pixel40", "auc_pixel_dual": "auc_dual40_10", "eer_pixel_dual": "eer_dual40_10",
}  # fmt: skip


def figures(clips: Sequence[Kept]) -> dict[str, Any]:
    """The figures of all frames; null where only one label is there.

    auc_frame, eer_frame: raw scores, pooled. auc_frame_semantic, auc_frame_flow: by one difference alone.
    auc_frame_per_video: differences divided by each clip's own maxima, as the paper does; auc_frame_clip_minmax: scores
    stretched to 0..1 inside each clip, as most others do. auc_frame_clip_mean: mean over the clips that hold both labels.
    auc_pixel, eer_pixel: UCSD's 40 % rule, which rewards flooding a frame; auc_pixel_dual, eer_pixel_dual: where a tenth
    of what fires must be abnormal too. scores: a row a frame.
    """
    rows = [row for clip in clips for row in clip.rows]
    known = [n for n, row in enumerate(rows) if row["label"] is not None]
    labels = np.array([rows[n]["label"] for n in known], int)
    level = detection.frame_level([rows[n]["score"] for n in known], labels, [rows[n]["clip"] for n in known])
    others = {kind: np.concatenate([clip.alone[kind] for clip in clips]) for kind in clips[0].alone}
    others["per_video"] = np.concatenate([clip.per_video for clip in clips])
    return {
        "clips": len(clips),
        "frames": len(rows),
        "frames_abnormal": int(labels.sum()),
        "frames_without_label": len(rows) - len(known),
        **{ours: level[theirs] for ours, theirs in FRAME_LEVEL.items()},
        **{f"auc_frame_{name}": detection.auc(scores[known], labels) for name, scores in others.items()},
        **_pixel_figures([one for clip in clips for one in clip.pixels]),
        "scores": rows,
    }


def _pixel_figures(pixels: Sequence[tuple[PixelRecord, bool]]) -> dict[str, Any]:
    """Pixel-level figures over the frames that have a mask; null where none has, or all are of one label."""
    level = pixel_level([record for record, _ in pixels], [label for _, label in pixels]) if pixels else {}
    return {ours: level.get(theirs) for ours, theirs in PIXEL_LEVEL.items()} | {"frames_with_mask": len(pixels)}
