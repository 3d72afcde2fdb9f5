"""One frame with all that is known about it: a pure function of (world seed, domain, index, size, time)."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.world import watch
from pipeline.world.camera import Camera
from pipeline.world.knobs import DOMAINS, Layout
from pipeline.world.materials import M
from pipeline.world.mesh import Frozen
from pipeline.world.raster import draw
from pipeline.world.shade import shade
from pipeline.world.street import Street

Flow = tuple[np.ndarray, np.ndarray]  # (H, W, 2) float32 pixels; (H, W) bool: the point is seen in the other frame too


@dataclass(frozen=True)
class Frame:
    """What the camera sees at one moment, and the truth about every pixel."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    label: np.ndarray  # (H, W) uint8 trainId of cityscapes19; never void
    instance: np.ndarray  # (H, W) uint16, 0 = none
    depth: np.ndarray  # (H, W) float32 metres along the optical axis, inf = sky
    lanemarking: np.ndarray  # (H, W) bool: paint on the road (its label is road)
    abnormal: np.ndarray  # (H, W) bool: what should not be there (`knobs.ABNORMAL`)
    flow: Flow | None  # to the next frame of the same drive
    flow_back: Flow | None  # to the previous one


def stream(seed: int, domain: str, index: int, name: str) -> np.random.Generator:
    """An independent generator for one purpose of one frame."""
    words = "/".join((domain, name)).encode()
    return np.random.default_rng([seed, index, *words])


def render(
    seed: int, domain: str, index: int, size: tuple[int, int] = (128, 256), t: int = 0, *, flow: bool = True
) -> Frame:
    """Render frame `t` of the drive number `index` in a domain of `knobs.DOMAINS`.

    size: (height, width) in pixels, both divisible by 8.
    flow=False leaves both flows out, which saves a quarter of the time.
    """
    where = DOMAINS[domain]
    watched = where.layout.watch
    place = 0 if watched else index  # one street is watched, whoever passes
    street = Street(stream(seed, where.place, place, "layout"), where.layout)

    def camera(moment: int) -> Camera:
        return _camera(street, where.layout, stream(seed, where.place, place, "camera"), size, moment)

    here, wrong = camera(t), 0
    if watched:
        wrong = watch.populate(street, watched, here, stream(seed, where.place, index, "passers"), t)
    scene = street.scene.freeze()
    ids, near, uv = draw(scene, here.doubled(), t)
    look, noise = stream(seed, where.dress, place, "look"), stream(seed, where.dress, index, f"noise{t}")
    image = shade(scene, here.doubled(), ids, near, uv, t, where.look, look, noise)
    ids, near = ids[::2, ::2], near[::2, ::2]
    forward, back = (_flow(scene, here, camera(t + dt), ids, near, t, t + dt) if flow else None for dt in (1, -1))
    with np.errstate(divide="ignore"):
        depth = np.where(ids > 0, 1 / near, np.inf).astype(np.float32)
    label, instance = scene.cls[ids].astype(np.uint8), scene.instance[scene.body[ids]].astype(np.uint16)
    abnormal = (instance == wrong) & (wrong > 0)
    return Frame(image, label, instance, depth, scene.material[ids] == M.MARK, abnormal, forward, back)


def _camera(street: Street, layout: Layout, rng: np.random.Generator, size: tuple[int, int], t: float) -> Camera:
    """The car drives in its lane, or the camera hangs before a house; where it looks is drawn once a frame index."""
    speed, height = rng.uniform(*layout.speed), rng.uniform(*layout.camera_height)
    pitch = rng.uniform(*layout.camera_pitch)
    yaw, roll = rng.normal(0, (layout.camera_yaw, layout.camera_roll))
    view = np.deg2rad(rng.uniform(*layout.field_of_view))
    lane, turn = (street.own_lane + 0.5) * street.lane + rng.normal(0, 0.3), 0.0
    if layout.watch:
        lane, turn = street.edge[1] + street.walk[1] - 1.5, layout.watch.turn
    x, z, heading = street.track.at(speed * t, lane)
    return Camera.looking((x, height, z), heading + turn + yaw, pitch, roll, size[1] / 2 / np.tan(view / 2), size)


def _flow(
    scene: Frozen, here: Camera, there: Camera, ids: np.ndarray, near: np.ndarray, t: float, other: float
) -> Flow:
    """Every visible point moved with its body and seen by the other camera; valid where nothing hides it there."""
    height, width = here.size
    sky = ids == 0
    x, y, z = _moved(scene, here, ids, np.where(sky, 1e6, 1 / np.maximum(near, 1e-6)).astype(np.float32), t, other)
    r = there.rotation.astype(np.float32)
    px, py, pz = ((a - p).astype(np.float32) for a, p in zip((x, y, z), there.position, strict=True))
    cx, cy, cz = (r[i, 0] * px + r[i, 1] * py + r[i, 2] * pz for i in range(3))
    cz = np.maximum(cz, 1e-3)
    u, v = there.focal * cx / cz + there.centre[0], there.focal * cy / cz + there.centre[1]
    flow = np.stack([u - np.arange(width, dtype=np.float32), v - np.arange(height, dtype=np.float32)[:, None]], -1)
    _, near_there, _ = draw(scene, there, other)
    inside = (u > -0.5) & (u < width - 0.5) & (v > -0.5) & (v < height - 0.5) & (cz > 0.01)
    column, row = np.rint(u).clip(0, width - 1).astype(int), np.rint(v).clip(0, height - 1).astype(int)
    # a slanted surface changes its depth within a pixel: the farthest of 3x3 neighbours decides
    lowest = cv2.erode(near_there, np.ones((3, 3), np.uint8))[row, column]
    hidden = np.where(sky, lowest > 0, lowest * cz > 1.03)
    return flow.astype(np.float32), inside & ~hidden


def _moved(
    scene: Frozen, here: Camera, ids: np.ndarray, depth: np.ndarray, t: float, other: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World x, y, z (each (H, W)) at time `other` of the points seen at time t."""
    x, y, z = (p + depth * r for p, r in zip(here.position, here.rays(), strict=True))
    (p0, c0, s0), (p1, c1, s1) = scene.pose(t), scene.pose(other)
    turn = np.stack([c1 * c0 + s1 * s0, s1 * c0 - c1 * s0, *p0.T, *p1.T]).astype(np.float32)
    c, s, ax, az, bx, bz = turn[:, scene.body[ids]]
    return c * (x - ax) + s * (z - az) + bx, y, c * (z - az) - s * (x - ax) + bz
