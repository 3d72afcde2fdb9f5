"""How well numbers that were read tell numbers that are known: correlations of every pair, and which tells which."""

import numpy as np


def pearson(read: np.ndarray, known: np.ndarray) -> np.ndarray:
    """|r| of each column of `read` (N, J) and each of `known` (N, F): float64 (J, F), 0 where one of them is constant."""
    a, b = (x.astype(np.float64) - x.mean(0, dtype=np.float64) for x in (read, known))
    norm = np.sqrt((a**2).sum(0))[:, None] * np.sqrt((b**2).sum(0))
    return np.abs(np.divide(a.T @ b, norm, out=np.zeros(norm.shape), where=norm > 0))


def spearman(read: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The same of ranks: 1 for any relation that only rises or only falls."""
    from scipy.stats import rankdata

    return pearson(rankdata(read, axis=0), rankdata(known, axis=0))


def assigned(correlation: np.ndarray) -> list[tuple[int, int]]:
    """(row, column) pairs, each row and each column in one at most, whose sum of correlations is the largest."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(correlation, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True)]
