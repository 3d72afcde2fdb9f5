"""Errors of optical flow against the truth. numpy only; flows are (..., 2) in pixels, u right and v down."""

import numpy as np


def flow_errors(
    estimate: np.ndarray, truth: np.ndarray, valid: np.ndarray | None = None
) -> dict[str, float | int | None]:
    """Errors over the valid pixels, (...,) bool, by default all of them; None where there are none.

    - epe: mean end-point error sqrt(du^2 + dv^2), in pixels (Middlebury).
    - outliers: share of pixels that are off by more than 3 px and by more than 5 % of the true motion (KITTI's Fl).
    - angular: mean angle between (u, v, 1) of both, in degrees (Barron et al. 1994).
    - pixels: count of valid pixels.
    """
    valid = np.ones(truth.shape[:-1], bool) if valid is None else valid
    ours, true = estimate[valid].astype(np.float64), truth[valid].astype(np.float64)
    if not len(true):
        return {"epe": None, "outliers": None, "angular": None, "pixels": 0}
    error = np.linalg.norm(ours - true, axis=-1)
    outlier = (error > 3) & (error > 0.05 * np.linalg.norm(true, axis=-1))
    lengths = np.sqrt((1 + np.square(ours).sum(-1)) * (1 + np.square(true).sum(-1)))
    angle = np.arccos(np.clip((1 + (ours * true).sum(-1)) / lengths, -1, 1))
    return {
        "epe": float(error.mean()),
        "outliers": float(outlier.mean()),
        "angular": float(np.degrees(angle).mean()),
        "pixels": len(true),
    }
