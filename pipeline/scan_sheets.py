"""Scans to look at: the highest and lowest scores of both kinds, what was drawn for them, and where that differs."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from pipeline.clip_sheets import EDGE, heat_over
from pipeline.scan_scoring import Scan

COLUMNS, CELL, BAR = 4, 96, 18  # scans of a row, pixels a side of a picture, height of a row's title
KINDS = {True: "abnormal", False: "normal", None: "unlabelled"}


def sheet(scans: Sequence[Scan], residual_threshold: float) -> np.ndarray:
    """RGB uint8, two rows a kind (highest scores, lowest scores), each scan as: the scan, with the outline of what is abnormal
    in truth | the normal picture drawn for it | the residual over the scan, from half of the threshold (nothing) to one and
    a half (red). Equal scores stand in order of their keys."""
    return np.vstack([part for title, own in chosen(scans) for part in (_bar(title), _row(own, residual_threshold))])


def chosen(scans: Sequence[Scan]) -> Iterator[tuple[str, list[Scan]]]:
    """(title, the scans of a row)."""
    for kind, name in KINDS.items():
        own = sorted((scan for scan in scans if scan.abnormal is kind), key=lambda scan: (scan.score, scan.key))
        if own:
            yield f"{name}, highest scores", own[::-1][:COLUMNS]
            yield f"{name}, lowest scores", own[:COLUMNS]


def _row(scans: Sequence[Scan], residual_threshold: float) -> np.ndarray:
    cells = [_cells(scan, residual_threshold) for scan in scans]
    blank = np.full_like(cells[0], 255)
    return np.hstack([*cells, *[blank] * (COLUMNS - len(cells))])


def _cells(scan: Scan, residual_threshold: float) -> np.ndarray:
    heat = heat_over(scan.image, scan.residual / residual_threshold - 0.5)
    first, drawn, heat = (_enlarged(one) for one in (scan.image, scan.drawn, heat))
    if scan.mask is not None:
        mask = _enlarged(scan.mask.astype(np.uint8))
        first[cv2.dilate(mask, np.ones((3, 3), np.uint8)) > mask] = EDGE
    cv2.putText(first, f"{scan.score:.4g}", (3, CELL - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, EDGE, 1, cv2.LINE_AA)
    return np.pad(np.hstack([first, drawn, heat]), ((0, 2), (0, 6), (0, 0)), constant_values=255)


def _enlarged(picture: np.ndarray) -> np.ndarray:
    """At CELL pixels a side, whole pixels where it grows."""
    grows = picture.shape[0] <= CELL
    return cv2.resize(picture, (CELL, CELL), interpolation=cv2.INTER_NEAREST if grows else cv2.INTER_AREA)


def _bar(title: str) -> np.ndarray:
    bar = np.full((BAR, COLUMNS * (3 * CELL + 6), 3), 255, np.uint8)
    cv2.putText(bar, title, (3, BAR - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
    return bar
