"""Sections of a retina as optical coherence tomography shows them (B-scans), healthy or with lesions of known extent.

A stand-in for the scans of AnoGAN and f-AnoGAN (Schlegl et al., IPMI 2017 and Medical Image Analysis 2019), which are
not published. Light comes from above: dark vitreous, the layers of the retina with the foveal pit, the bright pigment
epithelium, the choroid below it, fading. Healthy eyes differ in height, tilt, curvature, thickness, the pit's place,
brightness, and in vessels that throw shadows, so that being unlike the mean is not yet a lesion.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.world.frame import stream
from pipeline.world.noise import FRACTAL, lookup

SIDE = 64  # pixels
NOTICEABLE = 0.07  # a pixel belongs to a lesion's mask where its value changes by so much of full white, before speckle
SMALLEST = 10  # pixels that a lesion changes noticeably; one that changes fewer is drawn again

# From above: brightness (0 to 1), thickness in pixels far from the pit, and what the pit adds to it (a share).
LAYERS = {
    "vitreous": (0.05, 0.0, 0.0),
    "nerve fibres": (0.74, 3.0, -0.95),
    "ganglion cells": (0.50, 6.5, -0.85),
    "inner nuclear": (0.30, 4.2, -0.85),
    "outer plexiform": (0.52, 2.2, -0.3),
    "outer nuclear": (0.20, 6.0, 0.35),
    "photoreceptors": (0.78, 1.7, 0.0),
    "outer segments": (0.42, 1.9, 0.2),
    "pigment epithelium": (0.96, 2.4, 0.0),
    "drusen": (0.50, 0.0, 0.0),  # between the epithelium and its membrane; nothing in a healthy eye
    "choroid": (0.58, 0.0, 0.0),
}
NAMES = list(LAYERS)
BRIGHTNESS, THICKNESS, PIT = (np.array(column, np.float32)[:, None] for column in zip(*LAYERS.values(), strict=True))
INNER, OUTER = NAMES.index("inner nuclear"), NAMES.index("photoreceptors")  # fluid and exudates lie between them
MEMBRANE = NAMES.index("choroid")  # its upper edge

X, Y = np.arange(SIDE, dtype=np.float32), np.arange(SIDE, dtype=np.float32)[:, None]


@dataclass(frozen=True)
class Lesions:
    """What is wrong with an eye: shares and lifts that its layers are drawn with."""

    bump: np.ndarray  # (W,) pixels that drusen lift the epithelium by
    fluid: np.ndarray  # (H, W) share of dark fluid, 0 to 1
    exudate: np.ndarray  # (H, W) share of bright deposits, 0 to 1


NONE = Lesions(np.zeros_like(X), np.zeros((SIDE, SIDE), np.float32), np.zeros((SIDE, SIDE), np.float32))


def scan(seed: int, index: int, abnormal: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scan number `index` of a world: uint8 (H, W), and its mask, uint8 (H, W): 1 where lesions changed it noticeably.

    Without lesions (`abnormal` false) the same index shows the same eye under the same speckle, and the mask is empty.
    """
    eye = _Eye(stream(seed, "scans", index, "eye"))
    shown = healthy = eye.draw(NONE)
    if abnormal:
        shown = eye.draw(_lesions(eye, healthy, stream(seed, "scans", index, "lesions")))
    speckled = _speckle(shown, stream(seed, "scans", index, "speckle"))
    return speckled, _changed(shown, healthy).astype(np.uint8)


def _changed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one - other) >= NOTICEABLE


# -- the healthy eye ----------------------------------------------------------------------------------------------


class _Eye:
    """The edges of the layers and the light in them; `draw` makes the picture before speckle."""

    def __init__(self, rng: np.random.Generator) -> None:
        along = (X - SIDE / 2) / (SIDE / 2)  # -1 to 1
        tilt, curve = rng.uniform(-3, 3), rng.uniform(-1, 2.5)
        membrane = rng.uniform(45, 51) + tilt * along - curve * along**2 + _waves(rng, 1, 0.25)[0]
        pit = rng.uniform(0.75, 1.0) * np.exp(-(((X - rng.uniform(22, 42)) / rng.uniform(8, 11)) ** 2))
        scale = rng.uniform(0.88, 1.12) * rng.uniform(0.9, 1.1, (len(LAYERS), 1))
        nasal = 1 + rng.uniform(-0.2, 0.2) * along  # thicker towards the optic nerve, on the left or the right
        wavy = 1 + _waves(rng, len(LAYERS), 0.03)
        thickness = (THICKNESS * scale * nasal * wavy * (1 + PIT * pit)).astype(np.float32)
        below = np.cumsum(thickness[::-1], axis=0)[::-1]  # from a layer's upper edge down to the membrane
        self.edges = membrane.astype(np.float32) - below  # (layers, W), each layer's upper edge
        self.brightness = BRIGHTNESS * rng.uniform(0.9, 1.1, (len(LAYERS), 1)).astype(np.float32)
        self.depth = rng.uniform(7, 14)  # pixels, in which light fades to 1/e below the membrane
        self.gain = rng.uniform(0.85, 1.05) * (1 - rng.uniform(0, 0.2) * (along - rng.uniform(-0.5, 0.5)) ** 2)
        self.texture = lookup(FRACTAL, X * 5 + 0 * Y + rng.uniform(0, 256), Y * 8 + 0 * X + rng.uniform(0, 256))
        self.vessels = [(rng.uniform(0, SIDE), rng.uniform(0.7, 1.5), rng.uniform(0.15, 0.4)) for _ in range(3)]

    def draw(self, lesions: Lesions) -> np.ndarray:
        """The picture before speckle: float32 (H, W), 0 to about 1."""
        edges = self._lifted(lesions.bump)
        out = np.full((SIDE, SIDE), self.brightness[0, 0], np.float32)
        for step, edge in zip(np.diff(self.brightness, axis=0)[:, 0], edges[1:], strict=True):
            out += step * _below(edge)
        mottled = (0.55 + 0.9 * self.texture) * np.exp(-np.maximum(Y - edges[MEMBRANE], 0) / self.depth)
        out *= 1 + _below(edges[MEMBRANE]) * (mottled - 1)  # the choroid
        out += lesions.fluid * (0.07 - out)
        out += lesions.exudate * (1.0 - out)
        for place, width, dark in self.vessels:
            out *= 1 - dark * np.exp(-(((X - place) / width) ** 2)) * _below(edges[1] + 1.5)
        return out * self.gain.astype(np.float32)

    def _lifted(self, bump: np.ndarray) -> np.ndarray:
        """The edges above drusen: what lies on them is squeezed to a half at most, then the layers above are lifted."""
        edges = self.edges.copy()
        edges[OUTER:MEMBRANE] -= bump
        deep = self.edges[OUTER] - self.edges[INNER:OUTER]
        edges[INNER:OUTER] = edges[OUTER] - deep * np.maximum(1 - bump / deep[0], 0.5)
        edges[:INNER] += edges[INNER] - self.edges[INNER]
        return edges


def _below(edge: np.ndarray) -> np.ndarray:
    """Share of each pixel (H, W) below an edge (W,), with the scanner's blur of about a pixel."""
    return np.clip((Y - edge) / 1.5 + 0.5, 0, 1)


def _waves(rng: np.random.Generator, count: int, height: float) -> np.ndarray:
    """Smooth irregular lines (count, W), each a sum of three waves as high as `height`, which is a standard deviation."""
    phase, size = rng.uniform(0, 2 * np.pi, (count, 3, 1)), rng.normal(0, height, (count, 3, 1))
    cycles = np.array([[1.0], [1.7], [2.6]])  # in the width of the picture
    return (size * np.sin(2 * np.pi * cycles * X / SIDE + phase)).sum(1)


def _speckle(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 (H, W): speckle multiplies (gamma, shape 50), the detector's noise adds."""
    grain = rng.gamma(50, 1 / 50, picture.shape)
    return np.clip(255 * (picture * grain + rng.normal(0.02, 0.02, picture.shape)), 0, 255).astype(np.uint8)


# -- lesions ------------------------------------------------------------------------------------------------------


def _lesions(eye: _Eye, healthy: np.ndarray, rng: np.random.Generator) -> Lesions:
    """One to three lesions, from plain to hardly seen."""
    found = NONE
    for _ in range(rng.integers(1, 4)):
        kind = (_drusen, _fluid, _exudate)[rng.integers(3)]
        one = kind(eye, rng)
        while _changed(eye.draw(one), healthy).sum() < SMALLEST:
            one = kind(eye, rng)
        found = Lesions(
            np.maximum(found.bump, one.bump),
            np.maximum(found.fluid, one.fluid),
            np.maximum(found.exudate, one.exudate),
        )
    return found


def _drusen(eye: _Eye, rng: np.random.Generator) -> Lesions:
    """A bump of the epithelium, full of deposit."""
    place, width, height = rng.uniform(5, SIDE - 5), rng.uniform(3, 8), rng.uniform(2, 7)
    return Lesions(height * np.exp(-(((X - place) / width) ** 2)).astype(np.float32), NONE.fluid, NONE.exudate)


def _fluid(eye: _Eye, rng: np.random.Generator) -> Lesions:
    """A dark pocket between the inner nuclear layer and the photoreceptors."""
    return Lesions(NONE.bump, _spot(eye, rng, (3, 10), (2, 5), (0.5, 1)), NONE.exudate)


def _exudate(eye: _Eye, rng: np.random.Generator) -> Lesions:
    """A bright spot in the same layers."""
    return Lesions(NONE.bump, NONE.fluid, _spot(eye, rng, (1.5, 4.5), (1.2, 3), (0.35, 1)))


def _spot(
    eye: _Eye, rng: np.random.Generator, wide: tuple[float, float], high: tuple[float, float], full: tuple[float, float]
) -> np.ndarray:
    """Share (H, W) of an ellipse with soft edges; half axes in pixels and share are drawn from the ranges."""
    column = rng.integers(4, SIDE - 4)
    row = rng.uniform(eye.edges[INNER, column], eye.edges[OUTER, column])
    a, b, share = rng.uniform(*wide), rng.uniform(*high), rng.uniform(*full)
    distance = np.hypot((X - column) / a, (Y - row) / b)
    return (share * np.clip((1 - distance) * b + 0.5, 0, 1)).astype(np.float32)
