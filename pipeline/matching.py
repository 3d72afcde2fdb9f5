"""Codes matched to classes: which class each category of a code that nobody named stands for."""

import numpy as np

NONE = -1  # the class of a code that stands for none


def crossed(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """How often each value of one int array (N,) met each of another: int64 of `shape`."""
    table = np.zeros(shape, np.int64)
    np.add.at(table, (rows, columns), 1)
    return table


def matched(table: np.ndarray) -> np.ndarray:
    """The class of each code, int64 (codes,), from a table of codes (rows) and classes: one class for one code, so that as many
    pictures as possible are told right (Hungarian method).

    Where there are more codes than classes, those that are left over stand for none, -1.
    """
    from scipy.optimize import linear_sum_assignment

    found = np.full(len(table), NONE, np.int64)
    codes, classes = linear_sum_assignment(table, maximize=True)
    found[codes] = classes
    return found


def frequent(table: np.ndarray) -> np.ndarray:
    """The class that each code met most often, whatever the other codes stand for; int64 (codes,), -1 of an unused one."""
    return np.where(table.any(1), table.argmax(1), NONE)
