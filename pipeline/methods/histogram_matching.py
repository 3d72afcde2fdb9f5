"""Histogram matching: every channel of a source picture takes on the histogram of a random target picture.

Five lines, no training: the bar that a learned translator has to clear.
"""

from typing import Any

import numpy as np

ABILITY = "rival"
USES_TARGET_LABELS = False
BLOCKS: tuple[str, ...] = ()


def translate_picture(image: np.ndarray, reference: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    """Source picture (H, W, 3) uint8 with the per-channel histogram of `reference` (h, w, 3) uint8."""
    out = np.empty_like(image)
    for channel in range(3):
        have = np.bincount(image[..., channel].ravel(), minlength=256).cumsum() / image[..., channel].size
        counts = np.bincount(reference[..., channel].ravel(), minlength=256)
        values = np.flatnonzero(counts)  # levels that do not occur must not be mapped to
        table = np.interp(have, counts.cumsum()[values] / counts.sum(), values)
        out[..., channel] = np.rint(table).astype(np.uint8)[image[..., channel]]
    return out
