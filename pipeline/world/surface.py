"""What surfaces are made of: palettes, two sizes of noise for every material, windows, bricks, joints, cracks."""

import numpy as np

from pipeline.world.knobs import Look
from pipeline.world.materials import Cut, M
from pipeline.world.mesh import Frozen
from pipeline.world.noise import FRACTAL, GRAIN, dice, lookup
from pipeline.world.palettes import PLAIN, linear
from pipeline.world.pixels import Pixels
from pipeline.world.vectors import f32, product


def _rgb(*values: float) -> np.ndarray:
    """A colour (3, 1), to be spread over pixels (3, n)."""
    return f32(*values)[:, None]


def colours(scene: Frozen, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Linear colour (P, 3) of each polygon; a body's dice chooses from the palette of each material."""
    saturation, salt = rng.uniform(*look.saturation), rng.random()
    roll, colour = scene.dice[scene.body], np.zeros((len(scene.material), 3), np.float32)
    for material in M:
        mine = scene.material == material
        swatches = linear(look.palette[material.name])
        grey = product(swatches, f32(0.3, 0.6, 0.1)[None])[:, 0]
        swatches = np.clip(grey[:, None] + saturation * (swatches - grey[:, None]), 0.004, 1)
        pick = (roll[mine] * 7919 * (1 + material) + salt * 97) % 1
        colour[mine] = swatches[(pick * len(swatches)).astype(int)] * (0.88 + 0.24 * ((pick * 31) % 1))[:, None]
    return colour


def round_leaves(scene: Frozen, seen: Pixels) -> None:
    """Leafy discs are lit like balls, not like plates."""
    leaf = np.flatnonzero((scene.cut == Cut.LEAVES)[seen.ids])
    polygon = seen.ids.ravel()[leaf]
    across, up = (a.ravel()[leaf] / scene.half[polygon] for a in (seen.u, seen.v))
    up = up * np.sign(scene.along[polygon, 1]) + 0.15
    length = np.sqrt(up**2 + across**2 + 0.35)
    flat = seen.normal.reshape(3, -1)
    flat[0, leaf], flat[1, leaf], flat[2, leaf] = across / length, up / length, -0.6 / length


def texture(seen: Pixels, look: Look) -> np.ndarray:
    """Brightness factor from fine grain and wide patches, anchored in the body; grain fades where pixels outgrow it."""
    knobs = np.array([look.texture.get(m.name, PLAIN) for m in M], np.float32)
    grain, strength, patch, blotch = (k[seen.material] for k in knobs.T.copy())
    shift = (seen.ids % 97) * np.float32(13.7) * (seen.body > 0)
    near = np.minimum(1, 0.42 * grain / seen.footprint)
    value = 1 + strength * near * (2 * lookup(GRAIN, seen.u * (2 / grain) + shift, seen.v * (2 / grain)) - 1)
    value += blotch * (2 * lookup(FRACTAL, seen.u * (12 / patch) + shift, seen.v * (12 / patch) + shift) - 1)
    return np.maximum(value, 0.08)


def _resolved(footprint: np.ndarray, size: float) -> np.ndarray:
    """1 where a detail of this size (m) is resolved, 0 where it is not."""
    return np.clip(2 * size / footprint - 0.6, 0, 1)


def facade(
    scene: Frozen, seen: Pixels, look: Look, albedo: np.ndarray, gloss: np.ndarray, shining: np.ndarray | None
) -> None:
    """Windows, doors, shops, ledges, bricks and dirt from (u along, v up) on the walls of houses.

    A house's style is eleven numbers hashed from its dice; a window's state is one hashed from dice, column, floor.
    """
    where = np.flatnonzero((seen.material == M.FACADE) & (np.abs(seen.normal[1]) < 0.5))
    if not len(where):
        return
    house, u, v, footprint = (a.ravel()[where] for a in (seen.body, seen.u, seen.v, seen.footprint))
    own = (scene.dice * 2**30).astype(np.int32)  # the same house number has another style in another frame
    style = [dice(own, np.full(1, k)) for k in range(11)]
    of = lambda k: style[k][house]  # noqa: E731
    bands, shops = style[2] > 0.8, style[4] < 0.5  # ribbons of glass; shops on the ground floor
    ground = v < 3.4
    floor = np.where(ground, -1, np.floor((v - 3.4) / 3))
    rise = np.where(ground, v / 3.4, (v - 3.4) / 3 - floor)  # 0..1 within the floor
    shop = ground & shops[house]
    pitch = (1.5 + 2.3 * of(0)) * np.where(shop, 1.7, 1)
    column = np.floor(u / pitch)
    along = u / pitch - column
    key = own[house]
    chance = dice(column, floor, key)
    door = ground & (dice(column, key) < 0.3)
    width = np.where(shop, 0.84, np.where(bands, 0.88, 0.38 + 0.3 * style[1])[house])
    width = np.where(door, np.minimum(width, 0.45), width)
    low = np.where(door, 0, np.where(shop, 0.12, 0.26))
    tall = np.where(shop | door, 0.63, np.where(ground, 0.45, np.where(bands, 0.5, 0.42 + 0.25 * style[3])[house]))
    outside = np.maximum(
        (np.abs(along - 0.5) - width / 2) * pitch, np.maximum(low - rise, rise - low - tall) * 3
    )  # metres
    pane, frame = outside < -0.09, np.abs(outside) < 0.09

    flat = albedo.reshape(3, -1)
    wall = flat[:, where]
    out, trim = wall.copy(), np.where(style[5][house] < 0.6, _rgb(0.62, 0.6, 0.55), wall * 0.55)
    if look.detail:
        row = np.floor(v / 0.09)
        brick = u / 0.24 + 0.5 * (row % 2)
        joint = (v / 0.09 - row < 0.15) | (brick % 1 < 0.08)
        tone = 1 + _resolved(footprint, 0.09) * (0.4 * dice(row, np.floor(brick)) - 0.2 - 0.3 * joint)
        streaks = GRAIN[(v * 2).astype(int) & 255, (u * 24).astype(int) & 255] * (rise < low + 0.1)
        dirt = (1 - look.detail * 0.35 * np.exp(-v / 1.2)) * (1 - look.detail * 0.25 * streaks)
        out *= np.where(style[6][house] < 0.35, 1 + look.detail * (tone - 1), 1) * dirt
    ledge = (~ground & (rise < 0.07) & (style[7][house] < 0.5)) | (v < 0.5)
    out *= np.where(ledge, 0.72, 1)
    out = np.where(frame, trim * 0.9, out)

    curtain = (chance < 0.35 * (look.detail > 0)) & (rise - low > tall * (1 - 1.6 * chance)) & ~ground
    recess = (rise - low > tall * 0.86) | (outside > -0.16)
    lamp = _rgb(0.12, 0.1, 0.07) + wall * 0.25
    glass = _rgb(0.035, 0.045, 0.06) * (1 + 2.5 * dice(column, floor, key + 7))
    glass = np.where(curtain, _rgb(0.38, 0.36, 0.31), glass)
    glass = np.where(shop & (chance > 0.3), lamp, glass) * np.where(recess, 0.5, 1)
    closed = door & (chance < 0.8)
    out = np.where(pane, np.where(closed, trim * _rgb(0.35, 0.22, 0.16), glass), out)
    sign = shop & (rise > 0.8) & (rise < 0.97)
    out = np.where(sign, wall * 0.3 + 0.5 * np.stack([of(8), of(9), of(10)]) ** 2, out)
    flat[:, where] = out
    if shining is not None:
        on = pane & ~closed & (dice(column, floor, key + 3) < np.where(shop, 0.85, 0.36))
        tone = _rgb(1.0, 0.68, 0.34) + dice(column, floor, key + 5) * _rgb(-0.1, 0.2, 0.45)
        glow = (0.12 + 0.5 * chance) * np.where(recess, 0.5, 1) * np.where(curtain, 0.5, 1)
        shining.reshape(3, -1)[:, where] = look.lamps * (on * glow * tone + 0.5 * sign * out)
    gloss.ravel()[where] = np.where(pane & ~closed, 0.1 + 0.28 * chance * (chance > 0.4), 0)


def details(seen: Pixels, look: Look, albedo: np.ndarray, gloss: np.ndarray) -> None:
    """Joints of paving, stones and tiles, cracks and mended asphalt, hue of leaves; paint and glass reflect."""
    flat, kind, shine = albedo.reshape(3, -1), seen.material.ravel(), gloss.ravel()

    def on(*materials: M) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        at = np.flatnonzero(np.isin(kind, materials) if len(materials) > 1 else kind == materials[0])
        return at, seen.u.ravel()[at], seen.v.ravel()[at], seen.footprint.ravel()[at]

    at, u, v, fp = on(M.PAVING)
    column, row = np.floor(u / 0.6), np.floor(v / 0.6)
    joint = (u / 0.6 - column < 0.06) | (v / 0.6 - row < 0.06)
    flat[:, at] *= 1 + (0.5 + 0.5 * look.detail) * _resolved(fp, 0.15) * (0.2 * dice(column, row) - 0.1 - 0.35 * joint)
    at, u, v, fp = on(M.STONE)
    row = np.floor(v / 0.3)
    stone = u / 0.55 + 0.5 * (row % 2)
    joint = (v / 0.3 - row < 0.1) | (stone % 1 < 0.06)
    flat[:, at] *= 1 + _resolved(fp, 0.1) * (0.4 * dice(row, np.floor(stone)) - 0.2 - 0.4 * joint)
    at, u, v, fp = on(M.ROOF)
    flat[:, at] *= 1 - 0.3 * _resolved(fp, 0.12) * (v / 0.3 % 1 < 0.2)
    if look.detail:
        at, u, v, fp = on(M.ASPHALT)
        vein = FRACTAL[(v * 20).astype(int) & 255, (u * 20).astype(int) & 255]
        mended = FRACTAL[(v * 1.3).astype(int) & 255, (u * 2.2 + 77).astype(int) & 255] > 0.8
        flat[:, at] *= 1 - look.detail * (0.55 * _resolved(fp, 0.05) * (np.abs(vein - 0.5) < 0.012) + 0.3 * mended)
        at, u, v, fp = on(M.LEAF)
        hue = GRAIN[(v * 31).astype(int) & 255, (u * 29).astype(int) & 255] - 0.5
        flat[:, at] *= 1 + look.detail * hue * _rgb(0.7, 0.25, -0.3)
    at, u, v, fp = on(M.GLASS)
    shine[at] = 0.1 + 0.5 * FRACTAL[(v * 40).astype(int) & 255, (u * 9).astype(int) & 255] ** 2
    at, u, v, fp = on(M.CARPAINT, M.BUSPAINT)
    shine[at] = 0.08
    flat[:, at] *= 0.72 + 0.28 * np.clip(seen.position[1].ravel()[at] / 0.9, 0, 1)
