"""Whether the abnormal pixels are found, not just their frames: the UCSD rule, a stricter one, and overlap. numpy only.

A map fires where its value is at least the threshold. A frame is reduced to few numbers by `pixel_record`, so that the
maps of a long clip need not be kept; the curves that these give are exact, with no grid of thresholds. Figures are
shares from 0 to 1, or None where there are only normal or only abnormal frames. A NaN or infinite value is a UserError.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pipeline.files import UserError
from pipeline.metrics.detection import (
    Curve,
    Score,
    area,
    auc,
    both_needed,
    checked,
    counts,
    crossing,
    finite,
    from_origin,
    has_both,
)


class PixelRecord(NamedTuple):
    """What the pixel level needs of one frame."""

    top: float  # the map's maximum: from this threshold downwards the frame fires
    reach40: float | None  # the highest threshold at which 40 % of its abnormal pixels fire; None: it has none
    dual: np.ndarray  # (k, 2): thresholds low < t <= high at which the stricter rule holds too; a low may be -inf


def pixel_record(map: np.ndarray, mask: np.ndarray) -> PixelRecord:
    """Reduce the map (H, W) of a frame and its abnormal pixels, bool (H, W), none of them in a normal frame.

    The stricter rule is not monotone (a lower threshold adds pixels beside the mask), so it holds on intervals; there
    are one or two in a usual map.
    """
    if map.shape != mask.shape or map.ndim != 2 or mask.dtype != bool:
        raise ValueError(
            f"map and mask (bool) must be (H, W) of one size, not {map.shape} and {mask.shape} {mask.dtype}"
        )
    values = finite(map, "values of a map")
    if not mask.any():
        return PixelRecord(float(values.max()), None, np.empty((0, 2)))
    thresholds, hits, beside = counts(values.ravel(), mask.ravel())
    enough = 10 * hits >= 4 * hits[-1]  # in integers: exactly 40 % is enough
    strict = enough & (10 * hits >= hits + beside)
    edges = np.flatnonzero(np.diff(strict, prepend=False, append=False))  # where it begins, ends, begins, ...
    below = np.append(thresholds, -np.inf)
    dual = np.stack([below[edges[1::2]], thresholds[edges[::2]]], 1)
    return PixelRecord(float(thresholds[0]), float(thresholds[enough.argmax()]), dual)


def pixel_roc(records: Sequence[PixelRecord], labels: ArrayLike) -> Curve:
    """ROC curve at pixel level (Mahadevan et al. 2010; the rule of UCSD Ped), from the strictest threshold to the laxest.

    An abnormal frame is a true positive if at least 40 % of its abnormal pixels fire; pixels beside them are free, so
    flooding a frame is rewarded. A normal frame is a false positive if any pixel fires. Ends at (1, 1).
    """
    return _curve(
        records, _known(records, labels), [(-np.inf, one.reach40) for one in records if one.reach40 is not None]
    )


def dual_roc(records: Sequence[PixelRecord], labels: ArrayLike) -> Curve:
    """The same at "dual pixel level" (Sabokrou et al. 2015): of the pixels that fire, at least 10 % must be abnormal too.

    A flooded frame is missed, unless its mask covers a tenth of it. A lower threshold may find fewer frames; nobody would
    choose it, so the TPR is the highest at this or any stricter threshold. The curve ends at (1, that), not at (1, 1).
    """
    intervals = [tuple(pair) for one in records for pair in one.dual]
    fpr, tpr, thresholds = _curve(records, _known(records, labels), intervals)
    return fpr, np.maximum.accumulate(tpr), thresholds


def pixel_level(records: Sequence[PixelRecord], labels: ArrayLike) -> dict[str, Score]:
    """AUC and EER of `pixel_roc` and `dual_roc` over all frames (n,) of all clips, their maps as they are.

    Labels must say what the masks say: a frame that is called abnormal without an abnormal pixel, or normal with one,
    is a UserError.
    """
    known = has_both(_known(records, labels))
    figures: dict[str, Score] = {}
    for name, roc in (("pixel40", pixel_roc), ("dual40_10", dual_roc)):
        curve = roc(records, labels) if known else None
        figures[f"auc_{name}"] = None if curve is None else area(curve)
        figures[f"eer_{name}"] = None if curve is None else crossing(curve)
    return figures


def _known(records: Sequence[PixelRecord], labels: ArrayLike) -> np.ndarray:
    """Labels as bool (n,), after a look whether the masks agree."""
    _, known = checked([record.top for record in records], labels)
    differ = known != [record.reach40 is not None for record in records]
    if differ.any():
        raise UserError(
            f"label and mask of {differ.sum()} of {len(known)} frames contradict each other; mend them, or leave them out"
        )
    return known


def _curve(records: Sequence[PixelRecord], abnormal: np.ndarray, intervals: list[tuple[float, ...]]) -> Curve:
    """Curve over every threshold at which something changes; a frame's own intervals (low, high] do not overlap."""
    both_needed(abnormal)
    tops = np.array([record.top for record in records])[~abnormal]
    low, high = np.array(intervals, np.float64).reshape(-1, 2).T
    thresholds = np.unique(np.concatenate([tops, low[np.isfinite(low)], high]))[::-1]
    hits = _at_least(high, thresholds) - _at_least(low, thresholds)
    return from_origin(_at_least(tops, thresholds) / len(tops), hits / abnormal.sum(), thresholds)


def _at_least(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many of the values reach each threshold."""
    return len(values) - np.searchsorted(np.sort(values), thresholds, side="left")


# -- where single scans are abnormal --------------------------------------------------------------------------------


def overlap(maps: Sequence[np.ndarray], masks: Sequence[np.ndarray], threshold: float) -> dict[str, Score]:
    """Figures of the maps (H, W) of pictures and their abnormal pixels, bool (H, W), none of them in a normal picture.

    auc_pixel needs no threshold, and is over all pixels of all pictures together. iou and dice are means over the
    abnormal pictures, of the pixels above the threshold, which must come from normal pictures held out from training:
    the best one for these masks would be tuned on what it is scored on. All pixels are kept: for pictures by the
    thousand, not for long clips.
    """
    if any(map.shape != mask.shape for map, mask in zip(maps, masks, strict=True)):
        raise ValueError("every map must have the size of its mask")
    if not any(mask.any() for mask in masks):
        return {"auc_pixel": None, "iou": None, "dice": None}
    values, truth = (np.concatenate([one.ravel() for one in arrays]) for arrays in (maps, masks))
    pairs = [(map > threshold, mask) for map, mask in zip(maps, masks, strict=True) if mask.any()]
    shares = [((fired & mask).sum() / (fired | mask).sum()) for fired, mask in pairs]
    return {
        "auc_pixel": auc(values, truth),
        "iou": float(np.mean(shares)),
        "dice": float(np.mean([2 * share / (1 + share) for share in shares])),
    }
