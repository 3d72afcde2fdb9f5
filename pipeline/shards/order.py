"""Rule of the pure order: what stands at a position, and what is drawn for it, is a function of (seed, position).

Nothing here has a state. Only the raw output of NumPy's Philox generator is used, which NumPy promises never to change
(the methods on top of it, like `permutation`, carry no such promise).
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

Order = Callable[[np.ndarray], np.ndarray]  # positions, int64 (N,) -> indices into a set; pure, as all in here


def _philox(seed: int, stream: str, *numbers: int) -> np.random.Philox:
    words = [seed, *numbers, len(stream), *stream.encode()]  # what varies first, the name last: no two mix
    return np.random.Philox(np.random.SeedSequence(words))


@lru_cache(maxsize=16)
def order(seed: int, epoch: int, n: int, stream: str = "") -> np.ndarray:
    """The permutation of range(n) in which `epoch` visits a set; read-only int64 (n,).

    stream names the set ("source", "target"), so that two sets of one size are not visited alike.
    """
    permutation = np.argsort(_philox(seed, f"order/{stream}", epoch).random_raw(n), kind="stable")
    permutation.flags.writeable = False
    return permutation


def locate(seed: int, n: int, positions: np.ndarray, stream: str = "") -> np.ndarray:
    """Indices into a set of n samples at positions of the endless concatenation of its epochs' permutations."""
    return np.array([order(seed, int(p) // n, n, stream)[int(p) % n] for p in positions], np.int64)


def uniforms(seed: int, stream: str, positions: np.ndarray, count: int) -> np.ndarray:
    """Numbers in [0, 1) drawn for each position from a named stream: float64 (len(positions), count)."""
    raw = np.stack([_philox(seed, stream, int(p)).random_raw(count) for p in positions])
    return (raw >> np.uint64(11)) * 2.0**-53
