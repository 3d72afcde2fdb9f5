"""How well scores tell abnormal from normal: ROC, its area, the equal error rate, and what clips make of them. numpy only.

Labels are bool or 0/1, 1 is abnormal; a higher score says "more abnormal", and a score fires from the threshold upwards.
Figures are shares from 0 to 1, or None where only one label is there: no number is made up. A NaN or infinite score is a
UserError, arrays that do not fit each other are a ValueError. Nothing depends on the order of the frames.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from pipeline.files import UserError

Score = float | None
Curve = tuple[np.ndarray, np.ndarray, np.ndarray]  # fpr, tpr, thresholds


def roc(scores: ArrayLike, labels: ArrayLike) -> Curve:
    """(fpr, tpr, thresholds) of scores (n,), from the strictest threshold to the laxest (Fawcett 2006).

    Equal scores share one threshold, so the curve has a corner for each distinct score, and starts at (0, 0) with an
    infinite threshold. Raises UserError where one of the labels is missing.
    """
    scores, labels = checked(scores, labels)
    both_needed(labels)
    thresholds, hits, alarms = counts(scores, labels)
    return from_origin(alarms / alarms[-1], hits / hits[-1], thresholds)


def auc(scores: ArrayLike, labels: ArrayLike) -> Score:
    """Area under the ROC curve: how often an abnormal one of scores (n,) is above a normal one, ties count half."""
    scores, labels = checked(scores, labels)
    return area(roc(scores, labels)) if has_both(labels) else None


def eer(scores: ArrayLike, labels: ArrayLike) -> Score:
    """Equal error rate of scores (n,): where the piecewise linear ROC curve crosses FPR = 1 - TPR."""
    scores, labels = checked(scores, labels)
    return crossing(roc(scores, labels)) if has_both(labels) else None


def average_precision(scores: ArrayLike, labels: ArrayLike) -> Score:
    """Sum of precision times gain in recall over the distinct scores (n,), without interpolation (as scikit-learn)."""
    scores, labels = checked(scores, labels)
    if not has_both(labels):
        return None
    _, hits, alarms = counts(scores, labels)
    return float((np.diff(hits, prepend=0) * hits / (hits + alarms)).sum() / hits[-1])


# -- frames of clips ----------------------------------------------------------------------------------------------


def frame_level(scores: ArrayLike, labels: ArrayLike, clips: Sequence[Hashable]) -> dict[str, float | int | None]:
    """All figures of frames (n,), with the name of each frame's clip. They rank methods differently; the first is ours.

    - auc_pooled, eer_pooled, ap_pooled: all frames of all clips together, scores as they are. One threshold holds for
      every clip, as it must where a score is used when its frame comes.
    - auc_clip_minmax, eer_clip_minmax: all frames together after `normalised`. The habit of the literature; flatters.
    - auc_clip_mean, clips_left_out: see `macro`.
    """
    stretched = normalised(scores, clips)
    mean, left_out = macro(scores, labels, clips)
    return {
        "auc_pooled": auc(scores, labels),
        "eer_pooled": eer(scores, labels),
        "ap_pooled": average_precision(scores, labels),
        "auc_clip_minmax": auc(stretched, labels),
        "eer_clip_minmax": eer(stretched, labels),
        "auc_clip_mean": mean,
        "clips_left_out": left_out,
    }


def normalised(scores: ArrayLike, clips: Sequence[Hashable]) -> np.ndarray:
    """Scores (n,) brought to 0..1 inside each clip by its own minimum and maximum; all 0 in a clip of one score.

    This looks into the clip's future and supposes that every clip holds something abnormal: the worst frame of a normal
    clip becomes as bad as that of any other. No score of a running camera can be made so.
    """
    scores = finite(scores, "scores")
    out = np.zeros(len(scores))
    for own in _frames_of_each(clips, len(scores)):
        low, high = scores[own].min(), scores[own].max()
        if high > low:
            out[own] = (scores[own] - low) / (high - low)
    return out


def macro(scores: ArrayLike, labels: ArrayLike, clips: Sequence[Hashable]) -> tuple[Score, int]:
    """(mean AUC of the clips that hold both labels, how many clips do not and are left out) of frames (n,)."""
    scores, labels = checked(scores, labels)
    found = [auc(scores[own], labels[own]) for own in _frames_of_each(clips, len(scores))]
    known = [value for value in found if value is not None]
    return (float(np.mean(known)) if known else None), len(found) - len(known)


def fuse(
    semantic: np.ndarray,
    flow: np.ndarray,
    weight: float = 2.0,
    maxima: tuple[float | np.ndarray, float | np.ndarray] | None = None,
) -> np.ndarray:
    """Anomaly maps A = N_S + weight N_O (T, H, W) of one clip (Ravanbakhsh et al. 2017).

    N_S and N_O are the differences of semantic features and of flow, both (T, H, W) at one size and never below 0, by
    their maxima: of this clip, its future included, as published (a map of zeros stays so), or those given, numbers or
    (H, W) for each place, all above 0, for a score that is known when its frame is.
    """
    if semantic.shape != flow.shape or flow.ndim != 3:
        raise ValueError(f"both maps must be (T, H, W) of one size, not {semantic.shape} and {flow.shape}")
    if maxima is not None and not all(np.all(np.asarray(one) > 0) for one in maxima):
        raise ValueError(f"the maxima must be above 0, not {maxima}")
    semantic, flow = finite(semantic, "semantic differences"), finite(flow, "flow differences")
    by_semantic, by_flow = maxima or (semantic.max(initial=0) or 1.0, flow.max(initial=0) or 1.0)
    return semantic / by_semantic + weight * (flow / by_flow)


# -- curves and checks, shared with the pixel level ---------------------------------------------------------------


def counts(scores: np.ndarray, labels: np.ndarray) -> Curve:
    """(thresholds, hits, alarms): distinct scores (k,), falling, and how many abnormal and normal ones reach each."""
    order = np.argsort(-scores, kind="stable")
    scores, labels = scores[order], labels[order]
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))  # of each run of equal scores
    hits = np.cumsum(labels)[last]
    return scores[last], hits, last + 1 - hits


def from_origin(fpr: np.ndarray, tpr: np.ndarray, thresholds: np.ndarray) -> Curve:
    """The curve with the point (0, 0) before it, where nothing fires."""
    return np.insert(fpr, 0, 0.0), np.insert(tpr, 0, 0.0), np.insert(thresholds, 0, np.inf)


def area(curve: Curve) -> float:
    """Area under a curve by trapezoids."""
    fpr, tpr, _ = curve
    return float(np.diff(fpr) @ (tpr[1:] + tpr[:-1]) / 2)


def crossing(curve: Curve) -> float:
    """The FPR where a curve from (0, 0) to FPR 1 first meets FPR = 1 - TPR, linear between its points."""
    fpr, tpr, _ = curve
    excess = fpr - (1 - tpr)
    after = int(np.argmax(excess >= 0))
    part = -excess[after - 1] / (excess[after] - excess[after - 1])
    return float(fpr[after - 1] + part * (fpr[after] - fpr[after - 1]))


def checked(scores: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n,) as finite float64 and labels (n,) as bool; an unknown label (None, 255) is refused, not normal."""
    scores, labels = finite(scores, "scores"), np.asarray(labels)
    if scores.shape != labels.shape or scores.ndim != 1:
        raise ValueError(f"scores {scores.shape} and labels {labels.shape} must be two lists of one length")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 (normal) or 1 (abnormal)")
    return scores, labels.astype(bool)


def finite(values: ArrayLike, what: str) -> np.ndarray:
    """The values as float64. Raises UserError with the count of those that are NaN or infinite."""
    values = np.asarray(values, np.float64)
    if bad := values.size - int(np.isfinite(values).sum()):
        raise UserError(
            f"{bad:,} of {values.size:,} {what} are NaN or infinite; look where the losses of the training went"
        )
    return values


def has_both(labels: np.ndarray) -> bool:
    return bool(labels.any() and not labels.all())


def both_needed(labels: np.ndarray) -> None:
    if not has_both(labels):
        raise UserError(f"a ROC curve needs normal and abnormal ones; {labels.sum()} of {len(labels)} are abnormal")


def _frames_of_each(clips: Sequence[Hashable], n: int) -> list[np.ndarray]:
    """Indices of the frames of each clip, wherever they stand."""
    if len(clips) != n:
        raise ValueError(f"there are {n} scores, but {len(clips)} names of clips")
    found: dict[Hashable, list[int]] = {}
    for at, clip in enumerate(clips):
        found.setdefault(clip, []).append(at)
    return [np.array(own) for own in found.values()]
