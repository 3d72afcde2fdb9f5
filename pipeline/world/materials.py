"""Names for numbers: the trainIds as constants, the materials of surfaces, the patterns of holes."""

from enum import IntEnum

# trainIds of pipeline.classes.CITYSCAPES19, in its order (a test compares them)
(
    ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, LIGHT, SIGN, VEGETATION, TERRAIN, SKY, PERSON, RIDER,
    CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE,
) = range(19)  # fmt: skip


class M(IntEnum):
    """Materials: each has a palette and a texture in the look (`knobs.Look`) under its name.

    Order matters: a material's number goes into the choice of its colour. New ones come last.
    """

    SKY = 0
    ASPHALT = 1
    MARK = 2
    PAVING = 3
    KERB = 4
    FACADE = 5
    TRIM = 6
    ROOF = 7
    STONE = 8
    FENCE = 9
    POLE = 10
    CARPAINT = 11
    BUSPAINT = 12
    CARGO = 13
    GLASS = 14
    DARK = 15
    RIM = 16
    HEADLAMP = 17
    TAILLAMP = 18
    PLATE = 19
    LEAF = 20
    BARK = 21
    GRASS = 22
    SKIN = 23
    HAIR = 24
    SHIRT = 25
    TROUSERS = 26
    RED = 27
    AMBER = 28
    GREEN = 29
    SIGNRED = 30
    SIGNBLUE = 31
    SIGNYELLOW = 32
    SIGNWHITE = 33
    AWNING = 34
    LANTERN = 35


class Cut(IntEnum):
    """Patterns of holes, cut out while a polygon is filled."""

    NONE = 0
    LEAVES = 1
    RING = 2
    BARS = 3
