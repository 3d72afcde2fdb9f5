"""The G-buffer: everything that shading wants to know about each pixel, looked up once from polygon numbers."""

from dataclasses import dataclass

import numpy as np

from pipeline.world.camera import Camera
from pipeline.world.mesh import Frozen


@dataclass
class Pixels:
    """What is seen at each pixel of the doubled picture; maps are (H, W), vectors planar (3, H, W) float32."""

    ids: np.ndarray  # polygon
    material: np.ndarray
    body: np.ndarray
    depth: np.ndarray  # metres
    footprint: np.ndarray  # metres a pixel
    u: np.ndarray  # metres in the polygon's own frame (the ground: the world's)
    v: np.ndarray
    rays: np.ndarray  # world direction with unit depth
    position: np.ndarray  # world
    normal: np.ndarray  # world


def gather(scene: Frozen, camera: Camera, ids: np.ndarray, near: np.ndarray, uv: np.ndarray, t: float) -> Pixels:
    """The G-buffer of what `raster.draw` found."""
    rays, depth = camera.rays(), 1 / np.maximum(near, 1e-4)
    x, y = np.arange(ids.shape[1], dtype=np.float32), np.arange(ids.shape[0], dtype=np.float32)[:, None]
    a, b, c, d, e, f = uv.T.astype(np.float32, order="C")
    normals = scene.to_world(scene.normal, scene.body, t, directions=True).T.astype(np.float32, order="C")
    u, v = (a[ids] * x + b[ids] * y + c[ids]) * depth, (d[ids] * x + e[ids] * y + f[ids]) * depth
    position = camera.position.astype(np.float32)[:, None, None] + depth * rays
    normal = np.stack([n[ids] for n in normals])
    return Pixels(ids, scene.material[ids], scene.body[ids], depth, depth / camera.focal, u, v, rays, position, normal)
