"""Tileable noise, made once from fixed seeds: every texture of the world is looked up in these three squares."""

import cv2
import numpy as np

SIZE = 256


def _fractal(seed: int, slope: float, lowest: float = 1.0) -> np.ndarray:
    """Periodic noise with spectrum 1/f^slope above `lowest` cycles a tile, ranks spread evenly over [0, 1)."""
    white = np.fft.fft2(np.random.default_rng(seed).standard_normal((SIZE, SIZE)))
    f = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.fftfreq(SIZE)) * SIZE
    field = np.fft.ifft2(white * np.where(f >= lowest, np.maximum(f, 1) ** -slope, 0)).real
    return (field.ravel().argsort().argsort().reshape(field.shape) / SIZE**2).astype(np.float32)


FRACTAL = _fractal(1, 1.6)  # clouds, patches, dirt
GRAIN = _fractal(2, 0.5, 8)  # asphalt, plaster, grass
LEAF = _fractal(3, 1.3, 12)  # clumps of leaves


def lookup(tile: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Bilinear values of a tile at texel coordinates (H, W), repeated without end."""
    u, v = (a - SIZE * np.floor(a * (1 / SIZE)) for a in (u, v))
    u, v = u.astype(np.float32, copy=False), v.astype(np.float32, copy=False)
    return cv2.remap(tile, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def dice(*keys: np.ndarray) -> np.ndarray:
    """A number in [0, 1) for each tuple of integers (hash)."""
    mixed = np.zeros(np.broadcast(*keys).shape, np.uint32)
    for i, key in enumerate(keys):
        mixed = (mixed ^ np.asarray(key).astype(np.int32).view(np.uint32)) * np.uint32(2654435761 + 2 * i)
        mixed ^= mixed >> np.uint32(15)
    return (mixed & np.uint32(0xFFFF)).astype(np.float32) / 65536
