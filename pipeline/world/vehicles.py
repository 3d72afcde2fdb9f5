"""Vehicles. Each function makes one variant of a model from its number; models are cached."""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from pipeline.world.materials import BICYCLE, BUS, CAR, MOTORCYCLE, TRUCK, Cut, M
from pipeline.world.mesh import BEAM, Model, Sculptor
from pipeline.world.vectors import unit

LEFT, RIGHT, AHEAD, BACK = (-1, 0, 0), (1, 0, 0), (0, 0, 1), (0, 0, -1)
VARIANTS = 6


def _wheels(
    body: Sculptor, cls: int, half_width: float, axles: tuple[float, ...], radius: float, far: bool = False
) -> Sculptor:
    """Two wheels an axle (z), seen from outside and below; near ones stand in a dark arch."""
    arch = np.linspace(0, np.pi, 7)
    for z in axles:
        for side, axis in ((-1, LEFT), (1, RIGHT)):
            x = side * half_width
            body.disc((x + side * 0.02, radius, z), radius, axis, cls, M.DARK, 5 if far else 12)
            if far:
                continue
            height, z_ = radius * (1 + 1.22 * np.sin(arch)), z - side * 1.22 * radius * np.cos(arch)
            body.polygon(np.stack([np.full(7, x + side * 0.008), height, z_], 1), cls, M.DARK)
            body.disc((x + side * 0.035, radius, z), radius * 0.6, axis, cls, M.RIM, 8)
            for way in (-1, 1):
                tyre = np.array([(-0.11, 0, 0), (0.11, 0, 0), (0.11, radius * 1.2, 0), (-0.11, radius * 1.2, 0)])[::way]
                body.polygon(tyre + (x - side * 0.12, 0, z + way * 0.8 * radius), cls, M.DARK)
    return body


def _pane(body: Sculptor, outline: ArrayLike, cls: int, material: M, lift: float = 0.015) -> Sculptor:
    """A polygon laid on a face, lifted along its normal; corners in the order of the face."""
    corners = np.asarray(outline, float)
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    return body.polygon(corners + lift * unit(normal), cls, material)


def _shrink(face: ArrayLike, low: float, high: float, left: float = 0.08, right: float = 0.08) -> np.ndarray:
    """The part of a quadrangle (bottom a, b, top c, d) between fractions of its height and width."""
    a, b, c, d = np.asarray(face, float)

    def at(u: float, v: float) -> np.ndarray:
        return (a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v

    return np.stack([at(left, low), at(1 - right, low), at(1 - right, high), at(left, high)])


def _lamps(body: Sculptor, cls: int, w: float, front: float, back: float, y: float, h: float = 0.14) -> Sculptor:
    for side in (-1, 1):
        x = side * (w - 0.2)
        quad = np.array([(x - 0.17, y, 0), (x + 0.17, y, 0), (x + 0.17, y + h, 0), (x - 0.17, y + h, 0)])
        body.polygon(quad + (0, 0, front + 0.02), cls, M.HEADLAMP)
        body.polygon(quad[::-1] + (0, 0, back - 0.02), cls, M.TAILLAMP)
    body.lamp(0, y + h / 2, front + 0.1, BEAM)
    plate = np.array([(-0.26, y - 0.25, 0), (0.26, y - 0.25, 0), (0.26, y - 0.12, 0), (-0.26, y - 0.12, 0)])
    body.polygon(plate + (0, 0, front + 0.02), cls, M.PLATE)
    return body.polygon(plate[::-1] + (0, 0, back - 0.02), cls, M.PLATE)


def _ring(y: float, z0: float, z1: float, w: float) -> list[tuple[float, float, float]]:
    """A level rectangle, a rib of the bodywork."""
    return [(-w, y, z0), (w, y, z0), (w, y, z1), (-w, y, z1)]


@cache
def car(variant: int, far: bool = False) -> Model:
    """An estate or saloon; far ones have fewer windows, round wheels of five corners and no arches."""
    r = np.random.default_rng(100 + variant)
    length, w, height = r.uniform(3.9, 4.8), r.uniform(0.84, 0.93), r.uniform(1.42, 1.75)
    belt, f, b = height * 0.6, length / 2, -length / 2
    hood, boot = r.uniform(1.0, 1.35), r.choice([0.15, 0.2, 0.8])
    body = Sculptor()
    skirt, hip = _ring(0.22, b + 0.08, f - 0.1, w - 0.05), _ring(0.5, b, f, w)
    shoulder, edge = _ring(0.72, b, f - 0.02, w), _ring(belt, b + 0.08, f - 0.25, w - 0.03)
    body.loft([skirt, hip, shoulder, edge], CAR, M.CARPAINT)
    low, top = _ring(belt, b + boot, f - hood, w - 0.06), _ring(height, b + boot + 0.3, f - hood - 0.75, w - 0.2)
    body.loft([low, top], CAR, M.CARPAINT)
    a, c = np.array(low), np.array(top)
    for i, j in ((1, 0), (3, 2)):  # rear and front screens
        _pane(body, _shrink([a[i], a[j], c[j], c[i]], 0.08, 0.9), CAR, M.GLASS)
    for i, j in ((2, 1), (0, 3)):
        for left, right in ((0.1, 0.53), (0.51, 0.1)) if not far else ((0.1, 0.1),):
            _pane(body, _shrink([a[i], a[j], c[j], c[i]], 0.06, 0.88, left, right), CAR, M.GLASS)
    for z, s in ((f - 0.02, 1), (b + 0.005, -1)):
        bumper = np.array([(-w, 0.24, z), (w, 0.24, z), (w, 0.42, z), (-w, 0.42, z)])
        body.polygon((bumper if s > 0 else bumper[::-1]) + (0, 0, 0.03 * s), CAR, M.DARK)
    return _wheels(_lamps(body, CAR, w, f, b, 0.62), CAR, w, (b + 0.8, f - 0.85), 0.32, far).build()


def _windows(body: Sculptor, cls: int, w: float, z0: float, z1: float, y0: float, y1: float, n: int) -> None:
    step = (z1 - z0) / n
    for i in range(n):
        a, b = z0 + i * step + 0.06, z0 + (i + 1) * step - 0.06
        body.polygon([(-w - 0.02, y0, a), (-w - 0.02, y0, b), (-w - 0.02, y1, b), (-w - 0.02, y1, a)], cls, M.GLASS)
        body.polygon([(w + 0.02, y0, b), (w + 0.02, y0, a), (w + 0.02, y1, a), (w + 0.02, y1, b)], cls, M.GLASS)


def _screens(body: Sculptor, cls: int, w: float, z: float, y0: float, y1: float, front: bool) -> None:
    quad = np.array([(-w + 0.12, y0, z), (w - 0.12, y0, z), (w - 0.12, y1, z), (-w + 0.12, y1, z)])
    body.polygon(quad + (0, 0, 0.02) if front else quad[::-1] - (0, 0, 0.02), cls, M.GLASS)


@cache
def bus(variant: int) -> Model:
    """A city bus with two doors on its right."""
    r = np.random.default_rng(200 + variant)
    f, h, w = r.uniform(5, 6.2), r.uniform(2.9, 3.2), 1.25
    body = Sculptor().box((0, 0.32, 0), (2 * w, h - 0.32, 2 * f), BUS, M.BUSPAINT, top=0.97)
    _windows(body, BUS, w, -f + 0.4, f - 0.5, 1.25, 2.35, 7)
    for z in (f - 1.0, -0.4):
        door = np.array(
            [(w + 0.025, 0.42, z + 0.6), (w + 0.025, 0.42, z - 0.6), (w, 2.45, z - 0.6), (w, 2.45, z + 0.6)]
        )
        body.polygon(door, BUS, M.DARK)
        for left, right in ((0.06, 0.53), (0.53, 0.06)):
            _pane(body, _shrink(door, 0.06, 0.95, left, right), BUS, M.GLASS)
    _screens(body, BUS, w, f, 1.05, 2.45, True)
    _screens(body, BUS, w, -f, 1.5, 2.4, False)
    for z, s in ((f + 0.02, 1), (-f - 0.02, -1)):
        sign = np.array([(-0.8, 2.55, z), (0.8, 2.55, z), (0.8, 2.8, z), (-0.8, 2.8, z)])
        body.polygon(sign if s > 0 else sign[::-1], BUS, M.DARK)
    return _wheels(_lamps(body, BUS, w, f, -f, 0.6, 0.2), BUS, w, (-f + 2.2, f - 2.4), 0.48).build()


@cache
def truck(variant: int) -> Model:
    """A cab and a box."""
    r = np.random.default_rng(300 + variant)
    half, w, h, cab = r.uniform(2.9, 4.6), r.uniform(1.0, 1.22), r.uniform(2.5, 3.5), r.uniform(2.2, 2.7)
    body = Sculptor().box((0, 0.45, half - 0.85), (2 * w, cab - 0.45, 1.7), TRUCK, M.CARPAINT, top=0.94)
    body.box((0, 0.5, -0.95), (2 * w, 0.25, 2 * half - 1.9), TRUCK, M.DARK)
    body.box((0, 0.8, -0.95), (2 * w + 0.04, h - 0.8, 2 * half - 1.9), TRUCK, M.CARGO)
    _screens(body, TRUCK, w, half, cab * 0.52, cab * 0.9, True)
    _windows(body, TRUCK, w, half - 1.3, half - 0.2, cab * 0.55, cab * 0.88, 1)
    door = np.array([(-0.02, 0.85, 0), (0.02, 0.85, 0), (0.02, h - 0.1, 0), (-0.02, h - 0.1, 0)])
    body.polygon(door[::-1] + (0, 0, -half - 0.02), TRUCK, M.DARK)
    return _wheels(_lamps(body, TRUCK, w, half, -half, 0.62), TRUCK, w, (-half + 1.2, half - 1), 0.46).build()


@cache
def two_wheeler(variant: int, motor: bool) -> Model:
    """A bicycle or a motorcycle, without its rider."""
    cls, r = (MOTORCYCLE if motor else BICYCLE), np.random.default_rng(400 + variant)
    radius, base, thick = (0.32, 0.68, 0.13) if motor else (0.34, 0.54, 0.05)
    body = Sculptor()
    for z in (-base, base):
        body.disc((0, radius, z), radius, RIGHT, cls, M.DARK, cut=Cut.NONE if motor else Cut.RING)
        if motor:
            body.disc((0, radius, z), radius, LEFT, cls, M.DARK)
        body.box((0, 0, z), (thick, 2 * radius, radius * 0.5), cls, M.DARK)
    t = 0.11 if motor else 0.025
    tubes = (
        ((0, 0.35, -base), (0, 0.78, -0.12)),
        ((0, 0.78, -0.12), (0, 0.75, base - 0.2)),
        ((0, 0.35, 0), (0, 0.75, base - 0.2)),
        ((0, 0.35, -base), (0, 0.3, 0)),
        ((0, 0.3, 0), (0, 0.8, -0.14)),
        ((0, 0.34, base), (0, 1.0, base - 0.24)),
    )
    for a, b in tubes:
        body.limb(a, b, (t, t), cls, M.CARPAINT, 3)
    body.limb((-0.3, 1.02, base - 0.28), (0.3, 1.02, base - 0.28), (0.025, 0.025), cls, M.DARK, 3)
    body.box((0, 0.8, -0.2), (0.16 + motor * 0.12, 0.08 + motor * 0.04, 0.3 + motor * 0.3), cls, M.DARK)
    if motor:
        body.box((0, 0.35, 0), (0.34, 0.38, 0.6), cls, M.DARK).box(
            (0, 0.68, 0.2), (0.32, 0.22, 0.5), cls, M.CARPAINT, top=0.7
        )
        body.box((0, 0.6, base - 0.2), (0.34, 0.42, 0.18), cls, M.CARPAINT, top=0.6)
        body.disc((0, 0.8, base - 0.08), 0.09, AHEAD, cls, M.HEADLAMP).disc(
            (0, 0.75, -0.66), 0.07, BACK, cls, M.TAILLAMP
        )
        body.lamp(0, 0.8, base, BEAM)
    if r.random() < 0.4 and not motor:
        body.box((0, 0.78, base - 0.1), (0.32, 0.22, 0.26), cls, M.DARK)
    return body.build()
