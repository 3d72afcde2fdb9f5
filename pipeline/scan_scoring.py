"""Scoring single scans by a trained scorer: a score, a residual map and a drawn picture for each, then the figures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.engine.model import Model
from pipeline.metrics import detection
from pipeline.metrics.pixel_level import overlap
from pipeline.sample import Sample
from pipeline.scans import judged


@dataclass(frozen=True)
class Scan:
    """A scan as it was judged."""

    key: str
    abnormal: bool | None  # None: nobody says
    image: np.ndarray  # uint8 (H, W, 3)
    mask: np.ndarray | None  # bool (H, W), the abnormal pixels
    score: float
    alone: dict[str, float]  # "residual", "features": scores by one part alone
    residual: np.ndarray  # float32 (H, W)
    drawn: np.ndarray  # uint8 (H, W, 3), the normal picture beside it


def judge_scans(model: Model, samples: Iterable[Sample]) -> Iterator[Scan]:
    """Samples (image, label where known) at the model's size, in order, as Scans."""
    for sample, found in judged(model.module.judge, model.nets, model.params, samples):
        mask = None if sample.label is None else sample.label == 1
        assert sample.image is not None
        yield Scan(
            sample.key,
            sample.meta.get("abnormal", None if mask is None else bool(mask.any())),
            sample.image,
            mask,
            float(found["score"]),
            {part: float(found[part]) for part in ("residual", "features")},
            found["map"],
            _bytes(found["drawn"]),
        )


def _bytes(drawn: np.ndarray) -> np.ndarray:
    """(C, H, W) in [-1, 1] as uint8 (H, W, 3); grey is repeated."""
    shown = np.clip(np.rint((drawn + 1) * 127.5), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return np.repeat(shown, 3 // shown.shape[2], axis=2)


def figures(scans: Sequence[Scan], threshold: float, residual_threshold: float) -> dict[str, Any]:
    """The figures of all scans; null where only one label is there, or no mask.

    auc, eer: of the scores. auc_residual, auc_features: by one part of the score alone. found, false_alarms: shares of the
    abnormal and of the normal scans above `threshold`. auc_pixel: of the residual maps, over all pixels of all scans with a
    mask; iou, dice: means over the abnormal ones, of the pixels above `residual_threshold`. scores: a row a scan.
    """
    rows = [
        {"key": scan.key, "score": scan.score, "label": None if scan.abnormal is None else int(scan.abnormal)}
        for scan in scans
    ]
    known = [scan for scan in scans if scan.abnormal is not None]
    labels = np.array([scan.abnormal for scan in known], bool)
    scores = np.array([scan.score for scan in known])
    parts = {part: [scan.alone[part] for scan in known] for part in ("residual", "features")}
    masked = [(scan.residual, scan.mask) for scan in scans if scan.mask is not None]
    placed = overlap([map for map, _ in masked], [mask for _, mask in masked], residual_threshold)
    return {
        "scans": len(scans),
        "scans_abnormal": int(labels.sum()),
        "scans_without_label": len(scans) - len(known),
        "auc": detection.auc(scores, labels),
        "eer": detection.eer(scores, labels),
        **{f"auc_{part}": detection.auc(own, labels) for part, own in parts.items()},
        "found": _share(scores[labels] > threshold),
        "false_alarms": _share(scores[~labels] > threshold),
        "scans_with_mask": len(masked),
        **{name: placed[name] for name in ("auc_pixel", "iou", "dice")},
        "scores": rows,
    }


def _share(fired: np.ndarray) -> float | None:
    return float(fired.mean()) if len(fired) else None
