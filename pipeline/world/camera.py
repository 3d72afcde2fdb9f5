"""Pinhole cameras."""

from dataclasses import dataclass

import numpy as np

from pipeline.world.vectors import product

NEAR = 0.3  # metres: what is nearer is not seen


@dataclass(frozen=True)
class Camera:
    """Pinhole: pixel (x, y) looks along rotation.T @ ((x - cx)/f, (y - cy)/f, 1); camera y points down."""

    position: np.ndarray
    rotation: np.ndarray  # world -> camera
    focal: float
    size: tuple[int, int]  # height, width
    centre: tuple[float, float]  # cx, cy

    @staticmethod
    def looking(
        position: tuple[float, float, float], yaw: float, pitch: float, roll: float, focal: float, size: tuple[int, int]
    ) -> "Camera":
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([(c, 0, -s), (0, -1, 0), (s, 0, c)])
        c, s = np.cos(pitch), np.sin(pitch)
        tilt = np.array([(1, 0, 0), (0, c, s), (0, -s, c)])
        c, s = np.cos(roll), np.sin(roll)
        twist = np.array([(c, -s, 0), (s, c, 0), (0, 0, 1)])
        rotation = product(product(twist, tilt.T), turn.T)
        height, width = size
        return Camera(np.asarray(position, float), rotation, focal, size, ((width - 1) / 2, (height - 1) / 2))

    def doubled(self) -> "Camera":
        """The same view at twice the size; its even pixels are exactly this camera's pixels."""
        (h, w), (cx, cy) = self.size, self.centre
        return Camera(self.position, self.rotation, 2 * self.focal, (2 * h, 2 * w), (2 * cx, 2 * cy))

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        return product(points - self.position.astype(np.float32), self.rotation.astype(np.float32))

    def rays(self) -> np.ndarray:
        """World directions (3, H, W) with unit depth."""
        h, w = self.size
        x = ((np.arange(w) - self.centre[0]) / self.focal).astype(np.float32)
        y = ((np.arange(h) - self.centre[1]) / self.focal).astype(np.float32)[:, None]
        r = self.rotation.astype(np.float32)
        return np.stack([r[0, i] * x + r[1, i] * y + r[2, i] for i in range(3)])

    def pixel_form(self, vectors: np.ndarray) -> np.ndarray:
        """Coefficients (n, 3) of vector.ray as an affine function of the pixel (x, y, 1)."""
        (cx, cy), (x, y, z) = self.centre, vectors.T
        return np.stack([x / self.focal, y / self.focal, z - (x * cx + y * cy) / self.focal], 1)

    def clip(self, polygon: np.ndarray) -> np.ndarray:
        """Sutherland-Hodgman against the near plane and a frustum half as wide again as the picture."""
        h, w = self.size
        a, b = 0.75 * w / self.focal, 0.75 * h / self.focal
        for plane in ((0, 0, 1, -NEAR), (1, 0, a, 0), (-1, 0, a, 0), (0, 1, b, 0), (0, -1, b, 0)):
            side = product(polygon, np.array([plane[:3]]))[:, 0] + plane[3]
            kept = []
            for i in range(len(polygon)):
                if (side[i - 1] < 0) != (side[i] < 0):
                    kept.append(polygon[i - 1] + (polygon[i] - polygon[i - 1]) * side[i - 1] / (side[i - 1] - side[i]))
                if side[i] >= 0:
                    kept.append(polygon[i])
            polygon = np.array(kept).reshape(-1, 3)
            if len(polygon) < 3:
                break
        return polygon
