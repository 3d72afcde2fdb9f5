"""Electric light after dark: what shines by itself, and what street lamps and headlamps throw on everything else."""

import numpy as np

from pipeline.world.camera import Camera
from pipeline.world.knobs import Look
from pipeline.world.materials import BUS, M
from pipeline.world.mesh import BEAM, Frozen
from pipeline.world.pixels import Pixels
from pipeline.world.vectors import f32, unit

REACH = 24.0, 45.0  # metres that a street lamp and a headlamp reach
POWER = 26.0, 70.0
HALOGEN = f32(1.0, 0.9, 0.72)


def _lantern_hue(scene: Frozen) -> np.ndarray:
    """A town's lamps are sodium or white; one street has one kind."""
    return f32(1.0, 0.62, 0.26) if scene.dice[1] < 0.6 else f32(1.0, 0.87, 0.66)


def shining(scene: Frozen, seen: Pixels, look: Look) -> np.ndarray:
    """Light (3, H, W) that lamps and the windows of buses give off; those of houses are drawn in `surface.facade`."""
    out, lit = np.zeros((3, *seen.ids.shape), np.float32), scene.lit[seen.body]

    def glow(where: np.ndarray, colour: np.ndarray) -> None:
        out[:, where] = look.lamps * colour[:, None]

    glow(lit & (seen.material == M.HEADLAMP), 5 * HALOGEN)
    glow(lit & (seen.material == M.TAILLAMP), f32(1.1, 0.05, 0.04))
    glow(lit & (seen.material == M.GLASS) & (scene.cls[seen.ids] == BUS), f32(0.30, 0.28, 0.22))
    glow((seen.material == M.LANTERN) & (seen.normal[1] < 0.5), 5 * _lantern_hue(scene))
    return out


def lamplight(scene: Frozen, camera: Camera, seen: Pixels, t: float, look: Look) -> np.ndarray:
    """Light (3, H, W) that falls on surfaces from street lamps, from headlamps that are on, and from the own car's."""
    light = np.zeros((3, seen.ids.size), np.float32)
    solid = np.flatnonzero((seen.ids > 0) & (seen.depth < 110))
    position, normal = (a.reshape(3, -1)[:, solid] for a in (seen.position, seen.normal))
    own = camera.position * (1, 0, 1) + (0, 0.7, 0)
    ahead = camera.rotation[2] * (1, 0, 1)
    sources = [(own, ahead, 2.0)]
    places = scene.to_world(scene.lamps, scene.lamp_body, t)
    _, cosine, sine = scene.pose(t)
    for place, body, kind in zip(places, scene.lamp_body, scene.lamp_kind, strict=True):
        if kind == BEAM and not scene.lit[body]:
            continue
        sources.append((place, np.array((sine[body], 0, cosine[body])) if kind == BEAM else None, 1.0))
    for place, direction, strength in sources:
        hue = _lantern_hue(scene) if direction is None else HALOGEN
        mine, value = _from_one(position, normal, place, direction)
        light[:, solid[mine]] += look.lamps * strength * hue[:, None] * value
    return light.reshape(3, *seen.ids.shape)


def _from_one(
    position: np.ndarray, normal: np.ndarray, place: np.ndarray, direction: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Which points (3, n) one lamp reaches, and how bright: a cone ahead of headlamps, a pool below street lamps."""
    beam = direction is not None
    reach = REACH[beam]
    x, z = position[0] - np.float32(place[0]), position[2] - np.float32(place[2])
    mine = np.flatnonzero(x * x + z * z < reach * reach)
    x, y, z = x[mine], position[1, mine] - np.float32(place[1]), z[mine]
    square = x * x + y * y + z * z + np.float32(0.4)
    near = 1 / np.sqrt(square)
    slant = -(x * normal[0, mine] + y * normal[1, mine] + z * normal[2, mine]) * near
    if direction is not None:
        dx, dy, dz = unit(direction + np.array((0, -0.045, 0))).astype(np.float32)
        cone = np.clip(((x * dx + y * dy + z * dz) * near - 0.86) / 0.14, 0, 1) ** 2
    else:
        cone = 0.08 + 0.92 * np.clip(-y * near, 0, 1)
    fade = np.clip(2 - 2 * square / (reach * reach), 0, 1)
    return mine, POWER[beam] * cone * fade * np.clip(slant, 0.06, 1) / square
