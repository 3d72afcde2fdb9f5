"""Distances between two sets of pictures, measured on their descriptors (see `FeatureNet.descriptor`). numpy only.

They depend on the feature network and on the counts, so their names carry both; "fid" is kept for the Inception net.
"""

import numpy as np


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """|mean_a - mean_b|^2 + trace(S_a + S_b - 2 sqrt(S_a S_b)) of descriptors (n, D) and (m, D) (Heusel et al. 2017).

    Covariances with n - 1, in float64. Needs two rows each; with fewer rows than D it is biased upwards.
    """
    a, b = _checked(a, b)
    centred_a, centred_b = _scaled(a), _scaled(b)
    # trace sqrt(A'A B'B) is the sum of the singular values of A B': no matrix root, exact for singular covariances.
    cross = np.linalg.svd(_small(centred_a) @ _small(centred_b).T, compute_uv=False).sum()
    shift = np.square(a.mean(0) - b.mean(0)).sum()
    return float(max(shift + np.square(centred_a).sum() + np.square(centred_b).sum() - 2 * cross, 0.0))


def kid(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared MMD with kernel (x.y / D + 1)^3 over the whole sets (Binkowski et al. 2018); may be below 0."""
    a, b = _checked(a, b)
    return float(_mean_off_diagonal(_kernel(a, a)) + _mean_off_diagonal(_kernel(b, b)) - 2 * _kernel(a, b).mean())


def distances(a: np.ndarray, b: np.ndarray, network: str) -> dict[str, float]:
    """Both distances under their full names, e.g. frechet_lite0_300 and kid_lite0_300 (300x120 where counts differ)."""
    count = str(len(a)) if len(a) == len(b) else f"{len(a)}x{len(b)}"
    name = "fid" if network == "inception" else f"frechet_{network}"
    return {f"{name}_{count}": frechet(a, b), f"kid_{network}_{count}": kid(a, b)}


def _checked(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"descriptors must be (n, D) and (m, D) with n, m > 1, not {a.shape} and {b.shape}")
    return np.asarray(a, np.float64), np.asarray(b, np.float64)


def _scaled(x: np.ndarray) -> np.ndarray:
    """Rows such that the transpose times itself is the covariance."""
    return (x - x.mean(0)) / np.sqrt(len(x) - 1)


def _small(x: np.ndarray) -> np.ndarray:
    """At most D rows with the same product of the transpose with itself."""
    return np.asarray(np.linalg.qr(x, mode="r")) if len(x) > x.shape[1] else x


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _mean_off_diagonal(kernel: np.ndarray) -> float:
    n = len(kernel)
    return (kernel.sum() - np.trace(kernel)) / (n * (n - 1))
