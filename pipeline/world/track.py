"""The middle of a street as a curve on the ground."""

from collections.abc import Callable
from typing import overload

import numpy as np

Along = float | np.ndarray
LENGTH = 170.0  # metres


class Track:
    """A curve on the ground: (s along, d to the right) -> world, with its heading."""

    def __init__(
        self,
        x: float = 0.0,
        z: float = 0.0,
        heading: float = 0.0,
        bend: Callable[[np.ndarray], np.ndarray] = np.zeros_like,
    ) -> None:
        """bend: curvature (1/m) at each s; the curve passes (x, z) with this heading at s = 0."""
        self._s = np.arange(-60, LENGTH + 101, 1.0)
        turn = np.cumsum(bend(self._s))
        self._h = heading + turn - turn[60]
        self._x, self._z = np.cumsum(np.sin(self._h)), np.cumsum(np.cos(self._h))
        self._x, self._z = x + self._x - self._x[60], z + self._z - self._z[60]

    @overload
    def at(self, s: float, d: float = 0.0) -> tuple[float, float, float]: ...

    @overload
    def at(self, s: np.ndarray, d: Along = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...

    def at(self, s: Along, d: Along = 0.0) -> tuple[Along, Along, Along]:
        """World x, z and heading at s, shifted d metres to the right."""
        x, z, h = (np.interp(s, self._s, a) for a in (self._x, self._z, self._h))
        return x + d * np.cos(h), z - d * np.sin(h), h

    def bend(self, s: float) -> float:
        """Curvature at s, 1/m."""
        return (self.at(s + 1)[2] - self.at(s - 1)[2]) / 2
