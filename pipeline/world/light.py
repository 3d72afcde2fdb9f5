"""Sun with a shadow map, sky light with contact shadows, and the sky itself."""

import cv2
import numpy as np

from pipeline.world.camera import Camera
from pipeline.world.knobs import Look
from pipeline.world.materials import M
from pipeline.world.mesh import Frozen
from pipeline.world.noise import FRACTAL, lookup
from pipeline.world.palettes import linear
from pipeline.world.pixels import Pixels
from pipeline.world.raster import draw_from_sun
from pipeline.world.vectors import f32, unit

MAP, REACH = 448, 36.0  # shadow map: pixels, metres to each side
SOFT = ((1, 0.3), (-0.3, 1), (-1, -0.3), (0.3, -1), (0.45, 0.45), (-0.45, -0.45))  # where a soft shadow is probed


def sun_direction(look: Look, rng: np.random.Generator) -> np.ndarray:
    height, around = rng.uniform(*look.sun_height), rng.uniform(0, 2 * np.pi)
    return np.array((np.cos(height) * np.sin(around), np.sin(height), np.cos(height) * np.cos(around)))


def _ahead(camera: Camera, metres: float) -> np.ndarray:
    """The point on the ground so far before the camera."""
    forward = camera.rotation[2] * (1, 0, 1)
    return camera.position * (1, 0, 1) + unit(forward) * metres


def falling(
    scene: Frozen,
    camera: Camera,
    seen: Pixels,
    sun: np.ndarray,
    t: float,
    look: Look,
    rng: np.random.Generator,
    noise: np.random.Generator,
) -> np.ndarray:
    """Light (3, H, W): sun through the shadow map; sky from above, bounce from below, less where things meet."""
    strength, ambient = rng.uniform(*look.sun), rng.uniform(*look.ambient)
    slant = np.clip(sum(float(s) * n for s, n in zip(sun, seen.normal, strict=True)), 0, 1)
    slant = np.where(seen.material == M.LEAF, 0.25 + 0.75 * slant, slant)
    direct = 1.25 * strength * slant * _sunlit(scene, camera, seen, sun, t, look.shadow_blur, noise)
    diffuse = ambient * (0.62 + 0.38 * seen.normal[1]) * _open(scene, camera, seen.position, t)
    return np.stack([direct * a + diffuse * b for a, b in ((1.05, 0.88), (1.0, 0.97), (0.9, 1.12))])


def _sunlit(
    scene: Frozen, camera: Camera, seen: Pixels, sun: np.ndarray, t: float, blur: float, noise: np.random.Generator
) -> np.ndarray:
    near, matrix = draw_from_sun(scene, t, sun, _ahead(camera, REACH * 0.72), REACH, MAP, scene.body > 0)
    # off the surface and towards the eye, against acne and against light that creeps in along the foot of walls
    off = zip(seen.position, seen.normal, seen.rays, strict=True)
    px, py, pz = (p + np.float32(0.09) * n - np.float32(0.12) * r for p, n, r in off)
    shift = (0.5, 0.5, 0.05)  # to the middle of a texel; metres of bias
    x, y, height = (a * px + b * py + c * pz + (d + e) for (a, b, c, d), e in zip(matrix.tolist(), shift, strict=True))

    def probe(dx: np.ndarray | float, dy: np.ndarray | float) -> np.ndarray:
        column, row = (x + dx).astype(np.int32), (y + dy).astype(np.int32)
        return near[np.clip(row, 0, MAP - 1, out=row), np.clip(column, 0, MAP - 1, out=column)] < height

    if not blur:
        return probe(0, 0).astype(np.float32)
    turn, radius = np.float32(2 * np.pi) * noise.random(x.shape, np.float32), blur * MAP / (2 * REACH)
    c, s = radius * np.cos(turn), radius * np.sin(turn)
    probes = [probe(a * c + b * s, b * c - a * s).astype(np.float32) for a, b in SOFT]
    return np.sum(probes, axis=0) / len(SOFT)


def _open(
    scene: Frozen, camera: Camera, position: np.ndarray, t: float, size: int = 384, scale: float = 5.0
) -> np.ndarray:
    """Share of the sky that is open: a blurred map of footprints seen from above, whose effect fades with height."""
    corner = _ahead(camera, size / scale * 0.4)[[0, 2]] - size / scale / 2
    flat = (scene.world_points(t)[:, [0, 2]] - corner) * scale
    level = (scene.body > 0) & (scene.cut == 0) & (np.abs(scene.normal[:, 1]) > 0.6) & (scene.material != M.LEAF)
    level[level] = scene.points[scene.starts[level], 1] < 3
    x, z = flat[scene.starts].T
    level &= (np.abs(x - size / 2) < size) & (np.abs(z - size / 2) < size)
    mask, fixed = np.zeros((size, size), np.float32), np.rint(flat * 16).astype(np.int32)
    for i in np.flatnonzero(level).tolist():
        cv2.fillConvexPoly(mask, fixed[scene.starts[i] : scene.starts[i] + scene.counts[i]], 1, cv2.LINE_8, 4)
    mask = 0.75 * cv2.blur(cv2.blur(mask, (5, 5)), (5, 5)) + 0.45 * cv2.blur(cv2.blur(mask, (17, 17)), (17, 17))
    x, z = ((position[k] - np.float32(c)) * np.float32(scale) for k, c in ((0, corner[0]), (2, corner[1])))
    dark = cv2.remap(mask, x, z, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return 1 - np.minimum(0.85, dark) * np.exp(np.minimum(0.1 - position[1], 0) * np.float32(1 / 0.45))


def sky(rays: np.ndarray, sun: np.ndarray, look: Look, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colour towards every ray (gradient, clouds on a level sheet, glow of the sun), and of the haze (3,)."""
    palette = linear(look.palette["SKY"])
    blue = palette[rng.integers(len(palette))]
    pale = 0.35 * blue + 0.65 * f32(0.82, 0.86, 0.9)
    east, up, north = rays / np.sqrt((rays**2).sum(0))
    up = np.maximum(up, 0.015)
    mix = np.clip(1 - up * 2.2, 0, 1) ** 1.5
    colour = blue[:, None, None] * (1 - mix) + pale[:, None, None] * mix
    (a, b), cover = rng.uniform(0, 256, 2).astype(np.float32), rng.uniform(*look.clouds)
    sheet = 14 / (up + 0.12)
    east_, north_ = east * sheet, north * sheet
    cloud = 0.7 * lookup(FRACTAL, east_ + a, north_ + b) + 0.3 * lookup(FRACTAL, 4 * east_ + b, 4 * north_)
    thick = np.clip((cloud - (1 - cover)) * 3, 0, 1) * 0.85
    white = f32(0.88, 0.89, 0.91)[:, None, None] - 0.25 * np.clip(cloud - 0.5, 0, 1)
    glow = 0.5 * np.clip(sun[0] * east + sun[1] * up + sun[2] * north, 0, 1) ** 24
    colour = colour * (1 - thick) + thick * white + glow * f32(1, 0.95, 0.8)[:, None, None]
    return colour * np.float32(look.sky), pale * np.float32(look.sky)
