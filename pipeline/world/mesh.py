"""Polygons: `Sculptor` makes the `Model` of a rigid thing, `Scene` places models, `Frozen` says where they are at t."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.world.materials import Cut, M
from pipeline.world.vectors import dot, f32, unit

Point = tuple[float, float, float]
LANTERN, BEAM = range(2)  # kinds of lamps: one shines down, the other ahead


@dataclass(frozen=True)
class Model:
    """Planar polygons in metres: x right, y up, z ahead, origin on the ground; they face where their normal points."""

    points: np.ndarray  # (V, 3)
    counts: np.ndarray  # (P,) vertices of each polygon
    tags: np.ndarray  # (P, 3) class, material, cut
    lamps: np.ndarray  # (L, 4) x, y, z and kind of what throws light after dark


class Sculptor:
    """Collects polygons; every method returns self so that a model reads as one chain."""

    def __init__(self) -> None:
        self._points: list[np.ndarray] = []
        self._tags: list[tuple[int, int, int]] = []
        self._lamps: list[tuple[float, float, float, int]] = []

    def polygon(self, points: ArrayLike, cls: int, material: M, cut: Cut = Cut.NONE) -> "Sculptor":
        self._points.append(np.asarray(points, np.float32))
        self._tags.append((cls, material, cut))
        return self

    def loft(self, rings: ArrayLike, cls: int, material: M, caps: bool = True) -> "Sculptor":
        """Skin over rings (each (k, 3), same k, convex); faces are turned away from the middle of the whole."""
        rings = np.asarray(rings, np.float32)
        middle = rings.reshape(-1, 3).mean(0)
        faces = [
            np.stack([a[i], a[i - 1], b[i - 1], b[i]])
            for a, b in zip(rings[:-1], rings[1:], strict=True)
            for i in range(len(a))
        ]
        for face in faces + ([rings[0], rings[-1]] if caps else []):
            outward = dot(np.cross(face[1] - face[0], face[2] - face[0]), face.mean(0) - middle)
            self.polygon(face if outward >= 0 else face[[1, 0, *range(len(face) - 1, 1, -1)]], cls, material)
        return self

    def box(self, centre: Point, size: Point, cls: int, material: M, top: float = 1.0) -> "Sculptor":
        """A box whose upper face is scaled by `top`; `centre` is the middle of its bottom."""
        (x, y, z), (w, h, d) = centre, np.asarray(size, float) / 2
        corners = np.array([(-w, -d), (w, -d), (w, d), (-w, d)])
        ring = [[(x + a * k, level, z + b * k) for a, b in corners] for k, level in ((1, y), (top, y + 2 * h))]
        return self.loft(ring, cls, material)

    def limb(
        self,
        start: ArrayLike,
        end: ArrayLike,
        radii: tuple[float, float],
        cls: int,
        material: M,
        sides: int = 4,
        squash: float = 1.0,
        caps: bool = False,
    ) -> "Sculptor":
        """A tapered stick from start to end; open at its ends unless caps."""
        start, end = np.asarray(start, float), np.asarray(end, float)
        axis = unit(end - start)
        across = unit(np.cross(axis, (0, 0, 1) if abs(axis[2]) < 0.9 else (0, 1, 0)))
        other = np.cross(axis, across) * squash
        turn = (np.arange(sides) + 0.5) * 2 * np.pi / sides
        circle = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * other
        return self.loft([start + radii[0] * circle, end + radii[1] * circle], cls, material, caps)

    def ball(self, centre: ArrayLike, radius: float, cls: int, material: M, sides: int = 5) -> "Sculptor":
        turn = np.arange(sides) * 2 * np.pi / sides
        flat = np.stack([np.cos(turn), 0 * turn, np.sin(turn)], -1)
        profile = ((-1, 0.5), (-0.2, 1), (0.6, 0.8), (1, 0.4))[sides < 5 :]
        rings = [np.asarray(centre) + radius * (flat * r + (0, h, 0)) for h, r in profile]
        return self.loft(rings, cls, material)

    def disc(
        self,
        centre: ArrayLike,
        radius: float,
        axis: ArrayLike,
        cls: int,
        material: M,
        sides: int = 10,
        cut: Cut = Cut.NONE,
    ) -> "Sculptor":
        """A flat disc, or with a cut the square around it, facing along `axis`."""
        axis = unit(np.asarray(axis, float))
        across = unit(np.cross(axis, (0, 1, 0) if abs(axis[1]) < 0.9 else (1, 0, 0)))
        turn = np.arange(4 if cut else sides) * 2 * np.pi / (4 if cut else sides) + np.pi / 4
        circle = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * np.cross(axis, across)
        return self.polygon(np.asarray(centre) + radius * (1.4142 if cut else 1) * circle, cls, material, cut)

    def lamp(self, x: float, y: float, z: float, kind: int) -> "Sculptor":
        """Where light comes from after dark; what is seen of it are polygons of a shining material."""
        self._lamps.append((x, y, z, kind))
        return self

    def build(self) -> Model:
        counts = np.array([len(p) for p in self._points])
        return Model(np.concatenate(self._points), counts, np.array(self._tags), np.array(self._lamps).reshape(-1, 4))


class Scene:
    """Bodies (placed models) with rigid motion: position + velocity t, yaw + turn t. Body 0 is the fixed ground."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng  # draws what tells bodies of one kind apart: their colours
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, int]] = []
        self._bodies: list[tuple] = [(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.5, False)]
        self._lamps: list[tuple[float, ...]] = []
        self._instances = 0

    def place(
        self,
        model: Model,
        x: float,
        z: float,
        yaw: float,
        y: float = 0.0,
        scale: Point = (1, 1, 1),
        velocity: tuple[float, float] = (0, 0),
        turn: float = 0.0,
        thing: bool = False,
        lit: bool = False,
    ) -> int:
        """Put a model into the world; velocity: (x, z) metres, turn: radians a frame; lit: its lamps are on after dark.

        A thing gets an instance number, which is returned; 0 for others.
        """
        self._instances += thing
        body = len(self._bodies)
        self._bodies.append((x, z, yaw, *velocity, turn, self._instances * thing, self.rng.random(), lit))
        points = model.points * f32(*scale) + f32(0, y, 0)
        self._parts.append((points, model.counts, model.tags, body))
        self._lamps.extend((a, y + b, c, kind, body) for a, b, c, kind in model.lamps)
        return self._instances * thing

    def quads(self, corners: np.ndarray, cls: int, material: M) -> None:
        """Fixed quadrangles (n, 4, 3) in world coordinates."""
        tags = np.tile((cls, int(material), 0), (len(corners), 1))
        self._parts.append((corners.reshape(-1, 3).astype(np.float32), np.full(len(corners), 4), tags, 0))

    def places(self) -> np.ndarray:
        """x and z (n, 2) of all bodies at time 0."""
        return np.array(self._bodies)[:, :2]

    def freeze(self) -> "Frozen":
        return Frozen(self._parts, np.array(self._bodies), np.array(self._lamps).reshape(-1, 5))


class Frozen:
    """The scene as arrays. Polygon 0 is a stand-in for the sky and is never drawn."""

    def __init__(self, parts: list, bodies: np.ndarray, lamps: np.ndarray) -> None:
        empty = (np.zeros((3, 3), np.float32), np.array([3]), np.array([(10, 0, 0)]), 0)
        parts = [empty, *parts]
        self.points = np.concatenate([p[0] for p in parts])
        self.counts = np.concatenate([p[1] for p in parts])
        self.cls, self.material, self.cut = np.concatenate([p[2] for p in parts]).T
        self.body = np.repeat([p[3] for p in parts], [len(p[1]) for p in parts])
        self.starts = np.cumsum(self.counts) - self.counts
        self._point_body = np.repeat(self.body, self.counts)
        self.position, self.yaw = bodies[:, :2], bodies[:, 2]
        self.velocity, self.turn = bodies[:, 3:5], bodies[:, 5]
        self.instance, self.dice, self.lit = bodies[:, 6].astype(int), bodies[:, 7], bodies[:, 8] > 0
        self.lamps, (self.lamp_kind, self.lamp_body) = lamps[:, :3].astype(np.float32), lamps[:, 3:].T.astype(int)
        self._frames()
        self.cut, self.material = self.cut.astype(np.int32), self.material.astype(np.int32)

    def _frames(self) -> None:
        """Texture frame of each polygon in body coordinates: origin, two unit axes, normal (Newell), half width."""
        following = np.arange(1, len(self.points) + 1)
        following[self.starts + self.counts - 1] = self.starts
        normal = np.add.reduceat(np.cross(self.points, self.points[following]), self.starts)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
        first = self.points[self.starts + 1] - self.points[self.starts]
        length = np.linalg.norm(first, axis=1, keepdims=True) + 1e-9
        flat = np.abs(normal[:, 1:2]) > 0.7
        across = np.where(flat & (self.cut == 0)[:, None], f32(1, 0, 0), first / length)
        self.normal, self.across, self.half = normal, across, length[:, 0] / 2
        self.along = np.cross(normal, across)
        middle = np.add.reduceat(self.points, self.starts) / self.counts[:, None]
        self.origin = np.where(self.cut[:, None] > 0, middle, np.where(flat, 0, self.points[self.starts]))

    def pose(self, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each body: position (x, z), cosine and sine of its yaw."""
        yaw = self.yaw + t * self.turn
        return self.position + t * self.velocity, np.cos(yaw), np.sin(yaw)

    def to_world(self, vectors: np.ndarray, body: np.ndarray, t: float, directions: bool = False) -> np.ndarray:
        position, c, s = (a.astype(np.float32) for a in self.pose(t))
        (x, y, z), c, s, out = vectors.T, c[body], s[body], np.empty(vectors.shape, np.float32)
        out[:, 0], out[:, 1], out[:, 2] = c * x + s * z, y, c * z - s * x
        if not directions:
            out[:, 0] += position[body, 0]
            out[:, 2] += position[body, 1]
        return out

    def world_points(self, t: float) -> np.ndarray:
        return self.to_world(self.points, self._point_body, t)
