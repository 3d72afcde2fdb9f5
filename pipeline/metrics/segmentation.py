"""Confusion matrix, IoU and the published ways of averaging it.

Rows are the truth, columns the prediction. Truth outside 0..n-1 (255) is left out with whatever is predicted on it.
A class absent from truth and prediction has no IoU (None) and is left out of means; one that is predicted but absent
from the truth has IoU 0 and counts (the rule of the Cityscapes evaluator and of the published adaptation code).
"""

from collections.abc import Iterable

import cv2
import numpy as np

from pipeline.classes import CATEGORIES7, CITYSCAPES19, SYNTHIA13, SYNTHIA16, TABLES, merge_table

Score = float | None
BLOCK = 2**24  # pixels that OpenCV counts at once: its counts are float32, exact up to here


def confusion(prediction: np.ndarray, truth: np.ndarray, n: int, *, unknown: bool = False) -> np.ndarray:
    """Counts (n, n) int64 of labelled pixels; arrays of any equal shape.

    prediction, truth: integer trainIds. With `unknown`, a prediction outside 0..n-1 is a false negative, counted in one
    more column (n, n + 1), as the official Cityscapes evaluator does; without it such a prediction is a ValueError.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} differ in size")
    counts = _joint(_bytes(truth), _bytes(prediction))[:n]
    if counts[:, n:].any() and not unknown:
        outside = (truth >= 0) & (truth < n) & ((prediction < 0) | (prediction >= n))
        raise ValueError(f"class {prediction[outside][0]} is predicted, but there are only {n} classes")
    return np.column_stack([counts[:, :n], counts[:, n:].sum(1)])[:, : n + unknown]


def _bytes(ids: np.ndarray) -> np.ndarray:
    """A row of uint8; what is beyond 0..254 becomes 255."""
    row = ids.reshape(1, -1)
    return row if row.dtype == np.uint8 else np.where((row >= 0) & (row < 255), row, 255).astype(np.uint8)


def _joint(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How often each pair of bytes stands at one place of two rows: int64 (256, 256)."""
    counts = np.zeros((256, 256), np.int64)
    for start in range(0, first.shape[1], BLOCK):
        both = [np.ascontiguousarray(row[:, start : start + BLOCK]) for row in (first, second)]
        counts += cv2.calcHist(both, [0, 1], None, [256, 256], [0, 256, 0, 256]).astype(np.int64)
    return counts


def iou(matrix: np.ndarray) -> list[Score]:
    """Intersection over union of each class of a confusion matrix (n, n) or (n, n + 1); None where it is 0/0."""
    hits = np.diagonal(matrix)
    union = matrix.sum(1) + matrix.sum(0)[: len(hits)] - hits
    return [float(hit / whole) if whole else None for hit, whole in zip(hits, union, strict=True)]


def mean(values: Iterable[Score]) -> Score:
    """Mean of those that are not None; None where nothing is left."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def pixel_accuracy(matrix: np.ndarray) -> Score:
    """Share of the labelled pixels that are right; None where there are none."""
    return float(np.trace(matrix) / matrix.sum()) if matrix.sum() else None


def class_accuracy(matrix: np.ndarray) -> list[Score]:
    """Share of each class's labelled pixels that are right; None for a class without pixels."""
    return [
        float(right / all_) if all_ else None for right, all_ in zip(np.diagonal(matrix), matrix.sum(1), strict=True)
    ]


def merge(matrix: np.ndarray, table: np.ndarray, n: int) -> np.ndarray:
    """Add up rows and columns of a confusion matrix by a look-up table (256,) (see `merge_table`) to n classes: (n, n), and
    one more column where the matrix has one for unknown predictions."""
    known = matrix.shape[0]
    merged = np.zeros((n, matrix.shape[1] - known + n), matrix.dtype)
    columns = [*table[:known], *range(n, merged.shape[1])]  # a column of unknown predictions stays one
    np.add.at(merged, np.ix_(table[:known], columns), matrix)
    return merged


def scores(matrix: np.ndarray, table_name: str) -> dict:
    """All figures that one confusion matrix gives, as plain JSON values: shares from 0 to 1, or None.

    matrix: (n, n) of `confusion`, n the count of classes of `table_name`, one of `TABLES`; ValueError for another n.
    miou is the mean over the table's own classes. miou19, miou16, miou13 average those rows of one 19-class matrix
    (the convention of BDL, CLAN and DAFormer for SYNTHIA), miou7 the Cityscapes categories after merging; they are
    None where the table does not have these classes. `protocols` holds the other published conventions by name.
    """
    table = TABLES[table_name]
    if matrix.shape[0] != len(table):
        raise ValueError(f"{table_name} has {len(table)} classes, the matrix {matrix.shape[0]}")
    per_class = iou(matrix)
    miou = mean(per_class)
    is_city = table is CITYSCAPES19
    return {
        "miou": miou,
        "miou19": miou if is_city else None,
        "miou16": mean(per_class[k] for k in SYNTHIA16) if is_city else None,
        "miou13": mean(per_class[k] for k in SYNTHIA13) if is_city else None,
        "miou7": _miou7(matrix, table_name),
        "pixel_accuracy": pixel_accuracy(matrix),
        "iou": dict(zip(table.names, per_class, strict=True)),
        "protocols": synthia_protocols(matrix) if is_city else {},
    }


def synthia_protocols(matrix: np.ndarray) -> dict[str, Score]:
    """The published mIoU conventions for SYNTHIA -> Cityscapes from one 19-class matrix; they differ by several points.

    - miou16_of_19, miou13_of_19: rows of the full matrix; truth of the other classes stays and punishes the 16 (13).
    - miou16_absent_void: truth of the three classes that SYNTHIA lacks is void (CBST, DADA); miou13_of_16 averages 13
      rows of the same matrix.
    - miou13_absent_void: truth of all six other classes is void (AdaptSegNet).
    - miou16_as_19_over_16: miou19 x 19/16 (DAFormer); right only where the three absent classes score exactly 0.

    A prediction of a left-out class stays a false negative of the true class in every one.
    """
    full, sixteen, thirteen = iou(matrix), _with_void(matrix, SYNTHIA16), _with_void(matrix, SYNTHIA13)
    miou19 = mean(full)
    return {
        "miou19": miou19,
        "miou16_of_19": mean(full[k] for k in SYNTHIA16),
        "miou13_of_19": mean(full[k] for k in SYNTHIA13),
        "miou16_absent_void": mean(sixteen[k] for k in SYNTHIA16),
        "miou13_of_16": mean(sixteen[k] for k in SYNTHIA13),
        "miou13_absent_void": mean(thirteen[k] for k in SYNTHIA13),
        "miou16_as_19_over_16": None if miou19 is None else miou19 * 19 / 16,
    }


def _with_void(matrix: np.ndarray, kept: tuple[int, ...]) -> list[Score]:
    """IoU after the truth of all classes but `kept` has become void."""
    return iou(matrix * np.isin(np.arange(len(matrix)), kept)[:, None])


def _miou7(matrix: np.ndarray, table_name: str) -> Score:
    if table_name not in (CITYSCAPES19.name, CATEGORIES7.name):
        return None
    return mean(iou(merge(matrix, merge_table(table_name, CATEGORIES7.name), len(CATEGORIES7))))
