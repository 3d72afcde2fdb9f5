"""People, plants, street furniture. Each function makes one variant of a model from its number; models are cached."""

from functools import cache

import numpy as np

from pipeline.world.materials import BUILDING, FENCE, LIGHT, PERSON, POLE, RIDER, SIGN, VEGETATION, WALL, Cut, M
from pipeline.world.mesh import LANTERN, Model, Sculptor
from pipeline.world.vectors import unit

BACK = (0, 0, -1)


@cache
def person(variant: int, far: bool = False) -> Model:
    """A walker or stander; far ones have a fifth of the polygons."""
    r = np.random.default_rng(500 + variant)
    h, stride, wide = r.uniform(1.58, 1.9), r.choice([0.0, 0.16, 0.26, -0.22]), r.uniform(0.17, 0.22)
    hip, shoulder = 0.49 * h, 0.82 * h
    body, coat = Sculptor(), r.random() < 0.3
    if far:
        for side in (-1, 1):
            body.limb((side * 0.09, hip, 0), (side * 0.09, 0, side * stride), (0.11, 0.08), PERSON, M.TROUSERS, 3)
        body.limb(
            (0, hip - 0.1, 0), (0, shoulder + 0.03, 0), (wide * 1.3, wide * 1.5), PERSON, M.SHIRT, 4, 0.62, caps=True
        )
        body.ball((0, h - 0.13, 0.01), 0.13, PERSON, M.SKIN, 4)
        return body.limb((0, h - 0.06, -0.01), (0, h, -0.01), (0.14, 0.07), PERSON, M.HAIR, 4).build()
    for side in (-1, 1):
        z = side * stride
        body.limb((side * 0.09, hip, 0), (side * 0.09, 0.06, z), (0.1, 0.065), PERSON, M.TROUSERS)
        body.limb((side * 0.09, 0.04, z - 0.08), (side * 0.09, 0.04, z + 0.2), (0.07, 0.05), PERSON, M.DARK)
        wrist = np.array((side * (wide + 0.09), hip - 0.02, -z * 0.9 + 0.05))
        body.limb((side * (wide + 0.04), shoulder - 0.03, 0), wrist, (0.065, 0.05), PERSON, M.SHIRT)
        body.limb(wrist, wrist + (0, -0.1, 0.02), (0.045, 0.03), PERSON, M.SKIN, 3)
    low = hip - (0.3 if coat else 0.06)
    body.limb((0, low, 0), (0, shoulder, 0), (wide * 0.95, wide * 1.15), PERSON, M.SHIRT, 6, 0.62)
    body.limb((0, shoulder - 0.01, 0), (0, shoulder + 0.08, 0), (wide * 0.9, 0.06), PERSON, M.SHIRT, 6, 0.6)
    head = (0, h - 0.13, 0.02)
    body.ball(head, 0.115, PERSON, M.SKIN).ball((0, h - 0.09, -0.02), 0.122, PERSON, M.HAIR)
    if r.random() < 0.35:
        body.box((0.3, hip - 0.2, 0.02), (0.1, 0.28, 0.34), PERSON, M.DARK)
    if r.random() < 0.25:
        body.box((0, hip + 0.12, -0.22), (0.3, 0.42, 0.16), PERSON, M.TAILLAMP if r.random() < 0.3 else M.DARK)
    return body.build()


@cache
def rider(variant: int, motor: bool) -> Model:
    """Who sits on a two-wheeler."""
    body, up = Sculptor(), variant % 2 * 0.2
    for side in (-1, 1):
        knee, foot = (side * 0.13, 0.62 + side * up, 0.22), (side * 0.12, 0.2 + side * up * 0.7, 0.05)
        body.limb((side * 0.1, 0.9, -0.15), knee, (0.1, 0.08), RIDER, M.TROUSERS)
        body.limb(knee, foot, (0.08, 0.055), RIDER, M.TROUSERS)
        body.box((foot[0], foot[1] - 0.08, 0.08), (0.1, 0.09, 0.26), RIDER, M.DARK)
        body.limb((side * 0.21, 1.42, 0.06), (side * 0.27, 1.06, 0.3), (0.065, 0.05), RIDER, M.SHIRT)
    body.limb((0, 0.86, -0.18), (0, 1.5, 0.08), (0.19, 0.22), RIDER, M.SHIRT, 6, 0.65)
    helmet = motor or variant % 3 == 0
    body.ball((0, 1.66, 0.13), 0.115, RIDER, M.SKIN)
    top, radius, material = 1.7 - 0.02 * motor, *((0.15, M.CARPAINT) if helmet else (0.122, M.HAIR))
    return body.ball((0, top, 0.1), radius, RIDER, material).build()


@cache
def tree(variant: int, far: bool = False) -> Model:
    """Trunk and a crown of leafy discs turned towards the start of the street, with two level ones for the shadow."""
    r = np.random.default_rng(600 + variant)
    trunk, spread, tall = r.uniform(2.0, 3.0), r.uniform(1.5, 2.7), r.uniform(0.8, 1.35)
    middle = np.array((0, trunk + spread * tall * 0.8, 0))
    body = Sculptor().limb(
        (0, -0.1, 0), (r.normal(0, 0.12), middle[1], 0), (0.13 + spread * 0.04, 0.09), VEGETATION, M.BARK, 5
    )
    for i in range(11):
        if far and i > 4:
            break
        d = r.normal(size=3)
        d = unit(d) * (0.3 + 0.35 * r.random()) * (i > 0)
        centre = middle + d * (spread, spread * tall, spread)
        axis = (r.normal(0, 0.35), r.normal(0.1, 0.3), -1) if i > 1 else (0, 1, 0)
        radius = spread * r.uniform(0.45, 0.62) * (1.5 if i < 2 else 1 + 0.35 * far)
        body.disc(centre, radius, axis, VEGETATION, M.LEAF, cut=Cut.LEAVES)
    return body.build()


@cache
def bush(variant: int) -> Model:
    """A few leafy discs on the ground."""
    r, body = np.random.default_rng(700 + variant), Sculptor()
    for _ in range(5):
        axis = (r.normal(0, 0.3), 0.2, -1)
        centre = (r.normal(0, 0.5), r.uniform(0.3, 0.8), r.normal(0, 0.4))
        body.disc(centre, r.uniform(0.45, 0.75), axis, VEGETATION, M.LEAF, cut=Cut.LEAVES)
    return body.build()


@cache
def lamp(variant: int) -> Model:
    """A street lamp, its arm (if any) to the left."""
    h, arm = 6.5 + variant % 3, (1.8, 2.4, 0.0)[variant % 3]
    body = Sculptor().limb((0, 0, 0), (0, h, 0), (0.11, 0.07), POLE, M.POLE, 5)
    body.limb((0, 0, 0), (0, 0.9, 0), (0.15, 0.14), POLE, M.POLE)
    if arm:
        body.limb((0, h - 0.1, 0), (-arm, h + 0.35, 0), (0.06, 0.05), POLE, M.POLE)
    body.box((-arm, h + 0.25, 0), (0.75 if arm else 0.4, 0.16, 0.3), POLE, M.LANTERN)
    return body.lamp(-arm, h + 0.2, 0, LANTERN).build()


@cache
def traffic_light(state: int, overhead: bool) -> Model:
    """Lights on a pole that face the start of the street; state: green, amber, red; overhead: more on an arm."""
    h = 5.4 if overhead else 2.5
    body = Sculptor().limb((0, 0, 0), (0, h + 0.9, 0), (0.09, 0.08), POLE, M.POLE, 6)
    if overhead:
        body.limb((0, h + 0.5, 0), (-4.2, h + 0.7, 0), (0.07, 0.06), POLE, M.POLE)
    for x, y in [(0, 2.5)] + ([(-4.0, h)] if overhead else []):
        body.box((x, y, -0.2), (0.36, 1.0, 0.26), LIGHT, M.DARK)
        for k, material in enumerate((M.GREEN, M.AMBER, M.RED)):
            lit = material if k == state else M.DARK
            body.disc((x, y + 0.2 + 0.3 * k, -0.34), 0.115, BACK, LIGHT, lit, 8)
    return body.build()


@cache
def sign(variant: int) -> Model:
    """Plates on a pole that face the start of the street: limit, danger, parking, priority, this way, no entry."""
    h, body = 2.35, Sculptor()
    body.limb((0, 0, 0), (0, h + 0.35, 0), (0.045, 0.045), POLE, M.POLE)
    plates = {
        0: ((12, 0.36, M.SIGNRED), (12, 0.26, M.SIGNWHITE)),
        1: ((3, 0.48, M.SIGNRED), (3, 0.30, M.SIGNWHITE)),
        2: ((4, 0.45, M.SIGNBLUE), (4, 0.2, M.SIGNWHITE)),
        3: ((4, 0.42, M.SIGNWHITE), (4, 0.32, M.SIGNYELLOW)),
        4: ((12, 0.36, M.SIGNBLUE), (3, 0.2, M.SIGNWHITE)),
        5: ((12, 0.36, M.SIGNRED), (12, 0.0, M.SIGNWHITE)),
    }[variant % 6]
    for k, (sides, radius, material) in enumerate(plates):
        start = {3: np.pi / 2, 4: np.pi / 4 if variant % 6 == 2 else 0, 12: 0}[sides]
        turn = start - np.arange(sides) * 2 * np.pi / sides
        ring = np.stack([radius * np.cos(turn), h + radius * np.sin(turn), np.full(sides, -0.06 - 0.01 * k)], -1)
        if radius:
            body.polygon(ring, SIGN, material)
        if k == 0:
            body.polygon(ring[::-1] + (0, 0, 0.01), SIGN, M.POLE)
    for x, y, wide, tall, material in SYMBOLS.get(variant % 6, ()):
        bar = [(x + a * wide, h + y + b * tall, -0.085) for a, b in ((1, -1), (-1, -1), (-1, 1), (1, 1))]
        body.polygon(bar, SIGN, material)
    return body.build()


# Bars drawn on the plates of signs: middle, half width, half height, material
SYMBOLS: dict[int, tuple[tuple[float, float, float, float, M], ...]] = {
    0: ((0.08, 0, 0.055, 0.12, M.DARK), (-0.08, 0, 0.055, 0.12, M.DARK)),
    1: ((0, 0.03, 0.03, 0.09, M.DARK), (0, -0.1, 0.03, 0.025, M.DARK)),
    2: (
        (-0.06, 0, 0.025, 0.13, M.SIGNBLUE),  # a P
        (0.01, 0.1, 0.05, 0.025, M.SIGNBLUE),
        (0.01, 0, 0.05, 0.025, M.SIGNBLUE),
        (0.07, 0.05, 0.025, 0.06, M.SIGNBLUE),
    ),
    5: ((0, 0, 0.25, 0.06, M.SIGNWHITE),),
}


@cache
def block(cls: int, material: M) -> Model:
    """The unit cube on the ground, to be scaled: house, wall, hedge, balcony."""
    return Sculptor().box((0, 0, 0), (1, 1, 1), cls, material).build()


@cache
def gable() -> Model:
    """A unit saddle roof, ridge along x."""
    a, b, c, d = (-0.5, 0, -0.5), (0.5, 0, -0.5), (0.5, 0, 0.5), (-0.5, 0, 0.5)
    e, f = (-0.5, 1, 0), (0.5, 1, 0)
    return (
        Sculptor()
        .polygon([b, a, e, f], BUILDING, M.ROOF)
        .polygon([d, c, f, e], BUILDING, M.ROOF)
        .polygon([a, d, e], BUILDING, M.TRIM)
        .polygon([c, b, f], BUILDING, M.TRIM)
        .build()
    )


@cache
def railing() -> Model:
    """One metre of fence, 1 m high, facing the street; scaled in place."""
    return Sculptor().polygon([(-0.5, 0, 0), (0.5, 0, 0), (0.5, 1, 0), (-0.5, 1, 0)], FENCE, M.FENCE, Cut.BARS).build()


def wall() -> Model:
    return block(WALL, M.STONE)
