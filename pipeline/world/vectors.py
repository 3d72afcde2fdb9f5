"""Small products written out: a BLAS may sum in another order on another CPU, and then bytes differ."""

import numpy as np


def f32(*values: float) -> np.ndarray:
    """A float32 vector."""
    return np.array(values, np.float32)


def product(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """points @ matrix.T for points (n, 3) and a matrix (k, 3)."""
    x, y, z = points.T
    out = np.empty((len(points), len(matrix)), np.result_type(points, matrix))
    for i, (a, b, c) in enumerate(matrix):
        out[:, i] = x * a + y * b + z * c
    return out


def dot(a: np.ndarray, b: np.ndarray) -> float:
    """The scalar product of two vectors (3,)."""
    return float(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector (3,) at length 1."""
    return vector / np.sqrt(dot(vector, vector))
