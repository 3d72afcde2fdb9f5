"""Projects a scene onto a camera's picture, or onto the sun's shadow map, and has it filled."""

import numpy as np

from pipeline.world.camera import NEAR, Camera
from pipeline.world.fill import Projected, fill
from pipeline.world.mesh import Frozen
from pipeline.world.vectors import product, unit

GUARD = 4000  # pixels; beyond that polygons go through the clipper


def draw(scene: Frozen, camera: Camera, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Polygon numbers (H, W), inverse depth (H, W) and the (P, 6) coefficients of u/z and v/z in pixels."""
    points = camera.to_camera(scene.world_points(t))
    rotation = camera.rotation.astype(np.float32)
    normal, *axes = (
        product(scene.to_world(v, scene.body, t, directions=True), rotation)
        for v in (scene.normal, scene.across, scene.along)
    )
    origin = camera.to_camera(scene.to_world(scene.origin, scene.body, t))
    facing = (normal * points[scene.starts]).sum(1)  # negative: the front is seen
    nearest = np.minimum.reduceat(points[:, 2], scene.starts)
    farthest = np.maximum.reduceat(points[:, 2], scene.starts)
    wanted = ((facing < 0) | (scene.cut > 0)) & (farthest > NEAR) & (np.abs(facing) > 1e-6)
    wanted[0] = False
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = points[:, :2] * (camera.focal / points[:, 2:]) + camera.centre
        plane = camera.pixel_form(normal) / facing[:, None]  # 1/z = n.ray / n.anchor
    # a point is X = z ray, so u = (X - o).a gives u/z = a.ray - (o.a)/z
    uv = np.concatenate([camera.pixel_form(a) - (origin * a).sum(1)[:, None] * plane for a in axes], 1)
    low, high = np.minimum.reduceat(flat, scene.starts), np.maximum.reduceat(flat, scene.starts)
    wild = wanted & ((nearest < NEAR) | (np.minimum(*low.T) < -GUARD) | (np.maximum(*high.T) > GUARD))
    outlines: dict[int, np.ndarray] = {}
    boxes = np.concatenate([low, high], 1)
    for i in np.flatnonzero(wild).tolist():
        outline = camera.clip(points[scene.starts[i] : scene.starts[i] + scene.counts[i]])
        if len(outline) < 3:
            wanted[i] = False
            continue
        outlines[i] = outline[:, :2] * (camera.focal / outline[:, 2:]) + camera.centre
        boxes[i] = *outlines[i].min(0), *outlines[i].max(0)
    return *fill(Projected(scene, flat, outlines, wanted, boxes, plane, uv, perspective=True), camera.size), uv


def draw_from_sun(
    scene: Frozen, t: float, sun: np.ndarray, middle: np.ndarray, reach: float, size: int, casters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shadow map: nearness to the sun in metres (size, size), and the (3, 4) matrix world -> (x, y, nearness)."""
    across = unit(np.cross((0, 1, 0), sun) if abs(sun[1]) < 0.99 else np.array((1.0, 0, 0)))
    scale = np.array([[size / 2 / reach], [size / 2 / reach], [1]])
    basis = np.stack([across, np.cross(sun, across), sun])
    corner = np.array([[size / 2], [size / 2], [500]]) - product(middle[None], basis * scale).T
    matrix = np.concatenate([basis * scale, corner], 1)

    def seen(points: np.ndarray) -> np.ndarray:
        return product(points, matrix[:, :3]) + matrix[:, 3]

    def turned(vectors: np.ndarray) -> np.ndarray:
        return product(scene.to_world(vectors, scene.body, t, directions=True), basis / scale)

    points, origin = seen(scene.world_points(t)), seen(scene.to_world(scene.origin, scene.body, t))
    normal, anchor = turned(scene.normal), points[scene.starts]
    steep = np.abs(normal[:, 2]) < 0.05
    slope = -normal[:, :2] / np.where(steep, np.inf, normal[:, 2])[:, None]  # nearness a pixel
    plane = _affine(slope, anchor[:, :2], anchor[:, 2])
    axes = [turned(a) for a in (scene.across, scene.along)]
    uv = np.concatenate([_affine(a[:, :2] + a[:, 2:] * slope, origin[:, :2], 0) for a in axes], 1)
    low, high = np.minimum.reduceat(points[:, :2], scene.starts), np.maximum.reduceat(points[:, :2], scene.starts)
    away = normal[:, 2] < 0  # dark sides alone: no surface shades itself
    away |= (scene.cut > 0) & (normal[:, 2] ** 2 > 0.2)
    wanted = casters & away & ~steep & (np.maximum(*(high - low).T) > 1.2)
    wanted &= (np.minimum(*low.T) > -GUARD) & (np.maximum(*high.T) < GUARD)
    boxes = np.concatenate([low, high], 1)
    view = Projected(scene, points[:, :2], {}, wanted, boxes, plane, uv, perspective=False)
    return fill(view, (size, size))[1], matrix


def _affine(gradient: np.ndarray, at: np.ndarray, value: np.ndarray | float) -> np.ndarray:
    """Coefficients (a, b, c) of the affine function with this gradient and this value at a point."""
    return np.concatenate([gradient, (value - (gradient * at).sum(1))[:, None]], 1)
