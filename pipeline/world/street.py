"""The layout: a street with bends, junctions, dead ends and plots of land, from `Layout` alone; `life` fills it."""

import numpy as np

from pipeline.world import life, models, vehicles
from pipeline.world.knobs import Layout
from pipeline.world.materials import BUILDING, ROAD, SIDEWALK, TERRAIN, VEGETATION, M
from pipeline.world.mesh import Scene
from pipeline.world.track import LENGTH, Along, Track
from pipeline.world.vectors import f32

KERB = 0.13  # metres
MARK = 0.006  # metres that paint lies above the road
END = LENGTH  # the street is built from -25 m to here, unless it ends in a row of houses before
Pair = tuple[float, float]


class Street:
    """A street that fills its `scene` while it is made; everything is drawn from one generator, in a fixed order."""

    def __init__(self, rng: np.random.Generator, layout: Layout) -> None:
        self.rng, self.layout, self.scene = rng, layout, Scene(rng)
        self.curved = rng.random() < layout.bend
        curvature, start = rng.choice([-1, 1]) * rng.uniform(1 / 120, 1 / 35), rng.uniform(-10, 30)
        length = rng.uniform(25, 60)
        self.end = rng.uniform(45, 100) if rng.random() < layout.dead_end else END
        self.track = Track(bend=lambda s: np.where((s > start) & (s < start + length), curvature * self.curved, 0.0))
        self.lanes = int(rng.choice(layout.lanes))
        self.lane = rng.uniform(*layout.lane_width)
        self.parking = {side: bool(rng.random() < layout.parking) for side in (-1, 1)}
        self.edge = {side: self.lanes * self.lane + 2.3 * self.parking[side] for side in (-1, 1)}
        self.walk = {side: rng.uniform(*layout.sidewalk) for side in (-1, 1)}
        self.verge = {side: rng.uniform(1, 2) * (rng.random() < layout.verge) for side in (-1, 1)}
        self.avenue = rng.random() < layout.street_trees
        self.storeys = rng.integers(*layout.storeys)
        self.own_lane = 0  # chosen by life.traffic
        self.junctions = self._junctions()
        self._ground()
        for side in (-1, 1):
            line = self.edge[side] + self.walk[side] + self.verge[side]
            self._plots(self.track, side, line, -22, self.end, main=True)
            life.furniture(self, side)
            life.people(self, side)
            life.parked(self, side)
        for junction in self.junctions:
            self._side_street(*junction)
        self._far_end()
        life.traffic(self)

    # -- ground ---------------------------------------------------------------------------------------------------
    def _junctions(self) -> list[tuple[float, float, tuple[int, ...]]]:
        """(s, half width, sides it leaves on); none inside a bend that would make streets cross."""
        found, s = [], self.rng.uniform(14, self.layout.junction_every[1])
        while s < self.end - 25:
            sides = [(-1,), (1,), (-1, 1), (-1, 1)][self.rng.integers(4)]
            found.append((s, self.rng.uniform(3.0, 5.5), sides))
            s += self.rng.uniform(*self.layout.junction_every)
        return found

    def strip(
        self, track: Track, s0: float, s1: float, d0: float, d1: float, y0: float, y1: float, cls: int, material: M
    ) -> None:
        """A ribbon between offsets d0 < d1 whose height goes from y0 to y1; cut into pieces where the street bends."""
        n = max(1, int(np.ceil((s1 - s0) / (5 if track is self.track and self.curved else 40))))
        s = np.linspace(s0, s1, n + 1)
        self.patches(track, s[:-1], s[1:], d0, d1, y0, y1, cls, material)

    def patches(
        self, track: Track, s0: Along, s1: Along, d0: Along, d1: Along, y0: float, y1: float, cls: int, material: M
    ) -> None:
        """Quadrangles between the offsets d0 < d1 and the arc lengths s0 < s1 (arrays)."""
        a, b, left, right = np.broadcast_arrays(s0, s1, d0, d1)
        x, z, _ = track.at(np.stack([a, b, b, a], 1), np.stack([left, left, right, right], 1))
        y = np.broadcast_to(f32(y0, y0, y1, y1), x.shape)
        self.scene.quads(np.stack([x, y, z], 2), cls, material)

    def _ground(self) -> None:
        far = 400.0
        base = np.array([[(-far, -0.25, -far), (-far, -0.25, far), (far, -0.25, far), (far, -0.25, -far)]])
        self.scene.quads(base, TERRAIN, M.GRASS)
        self.strip(self.track, -25, self.end + 12, -self.edge[-1], self.edge[1], 0, 0, ROAD, M.ASPHALT)
        for side in (-1, 1):
            for s0, s1 in self.free(side, -25, self.end):
                self._walkway(self.track, side, s0, s1, self.edge[side], self.walk[side], self.verge[side])
        self._marks()

    def _walkway(self, track: Track, side: int, s0: float, s1: float, edge: float, walk: float, verge: float) -> None:
        def put(near: float, far: float, y0: float, y1: float, cls: int, material: M) -> None:
            order = (near, far, y0, y1) if side > 0 else (-far, -near, y1, y0)
            self.strip(track, s0, s1, *order, cls, material)

        put(edge - 0.02, edge, 0, KERB, SIDEWALK, M.KERB)
        put(edge, edge + 0.16, KERB, KERB, SIDEWALK, M.KERB)
        if verge:
            put(edge + 0.16, edge + 0.16 + verge, KERB, KERB, TERRAIN, M.GRASS)
        put(edge + 0.16 + verge, edge + verge + walk + 1.5, KERB, KERB, SIDEWALK, M.PAVING)

    def free(self, side: int, s0: float, s1: float, margin: float = 0.0) -> list[tuple[float, float]]:
        """Stretches of one side of the street without the mouths of side streets."""
        out, s = [], s0
        for at, half, sides in self.junctions:
            if side in sides:
                out.append((s, at - half - margin))
                s = at + half + margin
        return [(a, b) for a, b in [*out, (s, s1)] if b > a + 0.5]

    def _marks(self) -> None:
        def put(s0: float, s1: float, d: float, w: float = 0.07) -> None:
            self.strip(self.track, s0, s1, d - w, d + w, MARK, MARK, ROAD, M.MARK)

        dash, gap = self.rng.choice([(3, 6), (4, 8), (2, 3)])
        mouths = [(at - half - 7, at + half + 1) for at, half, _ in self.junctions]
        solid, edges = self.rng.random() < 0.4, self.rng.random() < 0.5
        s = np.arange(-10, min(130, self.end), dash + gap)
        s = s[[all(x + dash < a or x > b for a, b in mouths) for x in s]]
        for k in range(1 - self.lanes, self.lanes):
            if k or not solid:
                d = k * self.lane
                self.patches(self.track, s, s + dash, d - 0.07, d + 0.07, MARK, MARK, ROAD, M.MARK)
        breaks = [-25, *[x for m in mouths for x in m], self.end]
        for a, b in zip(breaks[::2], breaks[1::2], strict=True):
            if solid and b > a:
                put(a, b, -0.14)
                put(a, b, 0.14)
            for side in (-1, 1):
                if (edges or self.parking[side]) and b > a:
                    put(a, b, side * (self.lanes * self.lane - 0.1))
        for at, half, _ in self.junctions:
            if self.rng.random() < 0.75 and at - half > 8:
                width = self.rng.uniform(2.8, 4.2)
                zebra = np.arange(-self.edge[-1] + 0.3, self.edge[1] - 0.6, 1.0)
                near, far = at - half - 1 - width, at - half - 1
                self.patches(self.track, near, far, zebra, zebra + 0.5, MARK, MARK, ROAD, M.MARK)
                stop = at - half - width - 2.4
                self.strip(self.track, stop, stop + 0.4, 0.15, self.lanes * self.lane, MARK, MARK, ROAD, M.MARK)

    # -- land -----------------------------------------------------------------------------------------------------
    def _side_street(self, at: float, half: float, sides: tuple[int, ...]) -> None:
        for side in sides:
            x, z, h = self.track.at(at, side * (self.edge[side] - 0.3))
            track, start = Track(x, z, h + side * np.pi / 2), self.walk[side] + self.verge[side] + 1
            self.strip(track, 0, 75, -half, half, 0.002, 0.002, ROAD, M.ASPHALT)
            s = np.arange(6, 60, 7.0)
            self.patches(track, s, s + 3, -0.06, 0.06, 0.008, 0.008, ROAD, M.MARK)
            for edge in (-1, 1):
                self._walkway(track, edge, 0.3, 75, half, 2.6, 0)
                self._plots(track, edge, half + 2.8, start + 14, 72, main=False)
            if self.layout.vehicles and self.rng.random() < 0.6:
                d = -half / 2 if self.rng.random() < 0.5 else half / 2
                x, z, h = track.at(self.rng.uniform(3, 25), d)
                self.scene.place(life.pick(self.rng, vehicles.car), x, z, h + np.pi * (d < 0), thing=True)

    def _far_end(self) -> None:
        """Houses across the end of the street and a skyline beyond, so that the horizon is closed."""
        x, z, h = self.track.at(self.end, 0)
        across = Track(x, z, h + np.pi / 2)
        self.strip(across, -60, 60, -10, 0, 0.004, 0.004, ROAD, M.ASPHALT)
        self.strip(across, -60, 60, -13, -10, KERB, KERB, SIDEWALK, M.PAVING)
        self.strip(across, -60, 60, -10.05, -10, KERB, 0, SIDEWALK, M.KERB)
        for k in range(-6, 7):
            x, z, h = self.track.at(self.end, k * 15)
            x, z = (a + b * (20 + self.rng.uniform(0, 2)) for a, b in ((x, np.sin(h)), (z, np.cos(h))))
            self._house(x, z, h + np.pi, self.rng.uniform(12, 18), 12, int(self.rng.integers(2, 9)))

    def _plots(self, track: Track, side: int, line: float, s0: float, s1: float, main: bool) -> None:
        """Land behind the sidewalk, plot after plot; `line` is where it begins."""
        kinds, weights = zip(*self.layout.plots.items(), strict=True)
        weights = np.array(weights) / sum(weights)
        for a, b in self.free(side, s0, s1, 3.2) if main else [(s0, s1)]:
            while b - a > 5:
                width = min(self.rng.uniform(9, 24), b - a)
                if b - a - width < 7:
                    width = b - a
                self._plot(self.rng.choice(kinds, p=weights), track, side, line, a, width)
                a += width

    def _plot(self, kind: str, track: Track, side: int, line: float, s: float, width: float) -> None:
        x, z, h = track.at(s + width / 2, side * line)
        face = h - side * np.pi / 2  # the plot's own z axis points to the street
        right, out = np.array((np.cos(face), -np.sin(face))), np.array((np.sin(face), np.cos(face)))
        if kind == "building":
            depth = self.rng.uniform(10, 14)
            storeys = int(np.clip(self.storeys + self.rng.integers(-2, 3), *self.layout.storeys))
            self._house(x - out[0] * depth / 2, z - out[1] * depth / 2, face, width, depth, storeys)
            return

        def local(u: float, v: float) -> Pair:
            return float(x + u * right[0] + v * out[0]), float(z + u * right[1] + v * out[1])

        w = width / 2
        lawn = np.array([local(u, v) for u, v in ((-w, -25), (-w, 0.5), (w, 0.5), (w, -25))])
        level = np.full((4, 1), KERB + 0.01)
        self.scene.quads(np.concatenate([lawn[:, :1], level, lawn[:, 1:]], 1)[None], TERRAIN, M.GRASS)
        if kind == "wall":
            self.scene.place(models.wall(), *local(0, -0.2), face, scale=(width, self.rng.uniform(1.3, 3), 0.3))
        elif kind == "fence":
            self.scene.place(models.railing(), *local(0, -0.1), face, KERB, scale=(width, self.rng.uniform(1, 2), 1))
        elif kind == "hedge":
            hedge = models.block(VEGETATION, M.LEAF)
            self.scene.place(hedge, *local(0, -0.6), face, scale=(width, self.rng.uniform(1, 2.2), 0.9))
        heading = float(self.track.at(s)[2])
        for _ in range(int(width * self.rng.uniform(0.1, 0.32))):
            u, v = self.rng.uniform(-0.46, 0.46) * width, -self.rng.uniform(2.5, 14)
            tree = self.rng.random() < 0.75
            model = life.pick(self.rng, models.tree, s > 45) if tree else life.pick(self.rng, models.bush)
            self.scene.place(model, *local(u, v), heading, scale=(1, self.rng.uniform(0.8, 1.2), 1))
        if self.rng.random() < 0.7:
            storeys = int(self.rng.integers(2, max(3, self.layout.storeys[1] // 2 + 1)))
            behind = local(self.rng.uniform(-0.2, 0.2) * width, -24)
            self._house(*behind, face, width * self.rng.uniform(0.7, 1.1), 12, storeys)

    def _house(self, x: float, z: float, yaw: float, width: float, depth: float, storeys: int) -> None:
        """A box with procedural windows (see surface.facade); roof, cornice and balconies are geometry."""
        height = 3.4 + 3.0 * (storeys - 1) + 0.5
        place, r = self.scene.place, self.rng
        place(models.block(BUILDING, M.FACADE), x, z, yaw, scale=(width, height, depth))
        roof = r.random()
        if roof < 0.5 and storeys < 7:
            place(models.gable(), x, z, yaw, height, scale=(width + 0.1, r.uniform(2, 4), depth + 0.7))
            chimney = models.block(BUILDING, M.STONE)
            place(chimney, x + r.uniform(-0.3, 0.3) * width * np.cos(yaw), z, yaw, height + 0.8, scale=(0.8, 3.2, 0.8))
        elif roof < 0.8:
            place(models.block(BUILDING, M.TRIM), x, z, yaw, height - 0.15, scale=(width + 0.1, 0.35, depth + 0.5))
        s, c = np.sin(yaw), np.cos(yaw)

        def front(u: float, out: float) -> Pair:
            """A point at the front: u to the right of its middle, so far out of the wall."""
            return float(x + s * (depth / 2 + out) + c * u), float(z + c * (depth / 2 + out) - s * u)

        if r.random() < 0.3 and np.hypot(x, z) < 70:
            for storey in range(1, min(storeys, 6)):
                for u in np.linspace(-0.32, 0.32, max(2, int(width / 5))):
                    place(
                        models.block(BUILDING, M.TRIM),
                        *front(u * width, 0.45),
                        yaw,
                        3.3 + 3 * storey - 2.7,
                        scale=(1.9, 0.95, 0.9),
                    )
        if r.random() < 0.3:
            at = front(r.uniform(-0.2, 0.2) * width, 0.5)
            place(models.block(BUILDING, M.AWNING), *at, yaw, 2.6, scale=(width * 0.5, 0.3, 1.1))
