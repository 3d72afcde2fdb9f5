"""Who passes a fixed camera: people on the sidewalks and vehicles in their lanes, all on lines along the street, and one
stranger that does what nobody else does. Its time begins at 0; the times before and after have no end.

The street is straight: s metres along it and d metres to the right of its middle are the world's z and x.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.world import models, vehicles
from pipeline.world.camera import Camera
from pipeline.world.knobs import Watch
from pipeline.world.life import KERB, pick
from pipeline.world.mesh import Model
from pipeline.world.street import Street

START, RING = -20.0, 130.0  # a line is a ring: who leaves at one end, out of sight, comes back at the other
FIRST = 1.5  # metres from the kerb to the first line of people: between them stand lamps and signs


@dataclass(frozen=True)
class Line:
    """All that move along it have one speed, and so keep their distances."""

    d: float
    speed: float  # metres a frame, negative towards the start of the street
    half: float  # metres from its middle to the sides of who moves on it
    gap: float  # least metres from one middle to the next
    density: float  # how many a metre

    def starts(self, rng: np.random.Generator) -> np.ndarray:
        """Where they are at time 0."""
        n = min(int(rng.poisson(self.density * RING)), int(RING / self.gap))
        return START + np.sort(rng.uniform(0, RING - n * self.gap, n)) + self.gap * np.arange(n)

    def at(self, s: float, t: np.ndarray | float) -> np.ndarray | float:
        """Where one that starts at s is at time t."""
        return START + (s - START + self.speed * t) % RING


@dataclass(frozen=True)
class Stranger:
    """What should not be there. It moves along the street, but for the time in which it moves across."""

    model: Model
    d: float  # at time 0
    s: float
    along: float  # metres a frame
    across: float = 0.0
    crossing: tuple[float, float] = (0.0, 0.0)  # from when to when
    abnormal: tuple[float, float] = (-np.inf, np.inf)
    meeting: tuple[int, int] = (0, 350)  # the frames in which it is in view

    def at(self, t: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """d and s at time t."""
        crossed = np.clip(t, *self.crossing)
        return self.d + self.across * crossed, self.s + self.along * (t - crossed)

    def meets(self, line: Line, s: float) -> bool:
        """Would one that starts at s on the line run into it?"""
        t, (width, _, length) = np.arange(*self.meeting), np.ptp(self.model.points, 0)
        d, own = self.at(t)
        beside = np.abs(line.d - d) < line.half + width / 2
        return bool((beside & (np.abs(line.at(s, t) - own) < (line.gap + length) / 2)).any())

    def place(self, street: Street, t: float) -> int:
        """Put it where it is at time t; its instance number, 0 while it does what others do."""
        (d, s), crossing = self.at(t), self.crossing[0] <= t < self.crossing[1]
        dx, dz = (self.across, 0.0) if crossing else (0.0, self.along)
        number = _put(street, self.model, float(d), float(s), dx, dz, t)
        return number if self.abnormal[0] <= t < self.abnormal[1] else 0


def populate(street: Street, watch: Watch, camera: Camera, rng: np.random.Generator, t: float) -> int:
    """Place everybody as they are at time t; the instance number of what is abnormal then, 0 for nothing."""
    street.scene.rng = rng  # colours, too, are drawn anew for each clip
    stranger = _stranger(street, watch, camera, rng) if watch.abnormal else None
    for line in _lines(street, watch, rng):
        for s in line.starts(rng).tolist():
            parts = _vehicle(watch, rng) if abs(line.d) < street.edge[1] else [pick(rng, models.person, among=12)]
            if stranger is None or not stranger.meets(line, s):
                for model in parts:
                    _put(street, model, line.d, float(line.at(s, t)), 0.0, line.speed, t)
    return stranger.place(street, t) if stranger else 0


def _put(street: Street, model: Model, d: float, s: float, dx: float, dz: float, t: float) -> int:
    """One body that is at (d, s) at time t and faces where it goes."""
    level = KERB if abs(d) > street.edge[1] else 0.0
    yaw = float(np.arctan2(dx, dz))
    return street.scene.place(model, d - t * dx, s - t * dz, yaw, level, velocity=(dx, dz), thing=True)


def _lines(street: Street, watch: Watch, rng: np.random.Generator) -> list[Line]:
    """Lanes, driven on the right, and lines of people, each either way."""
    lines = [
        Line(side * street.lane / 2, side * rng.uniform(*watch.driving), 1.0, 9, watch.traffic) for side in (-1, 1)
    ]
    for side in (-1, 1):
        for d in np.arange(street.edge[side] + FIRST, street.edge[side] + street.walk[side] - 0.4, 0.95).tolist():
            speed = rng.choice([-1, 1]) * rng.uniform(*watch.walking)
            lines.append(Line(side * d, speed, 0.4, 1.2, watch.people))
    return lines


def _vehicle(watch: Watch, rng: np.random.Generator) -> list[Model]:
    if rng.random() < watch.motorcycles:
        variant = int(rng.integers(vehicles.VARIANTS))
        return [vehicles.two_wheeler(variant, True), models.rider(variant, True)]
    return [pick(rng, vehicles.car)]


def _stranger(street: Street, watch: Watch, camera: Camera, rng: np.random.Generator) -> Stranger:
    """Cars come into view at time 0, at the near end, where they are large; the person steps onto the road."""
    edge = street.edge[1]
    side, way = rng.choice([-1, 1], 2).tolist()
    if watch.abnormal == "person_on_road":
        model, speed = pick(rng, models.person, among=12), rng.uniform(*watch.walking)
        aside, road = FIRST / speed, 2 * edge / speed  # frames
        x, z = street.scene.places().T
        posts = z[np.abs(np.abs(x) - edge) < FIRST]
        places = _comes_into_view(camera, model, 0.0) + np.arange(4, 14, 0.5)
        s = rng.choice([s for s in places.tolist() if (np.abs(posts - s) > 0.6).all()])
        return Stranger(
            model, side * edge, s, way * speed, -side * speed, (-aside, road + aside), (0, road), (-200, 400)
        )
    d = -street.lane / 2 if watch.abnormal == "wrong_way" else side * (edge + FIRST + 0.6)
    model, speed = pick(rng, vehicles.car), rng.uniform(*watch.driving)
    return Stranger(model, d, _comes_into_view(camera, model, d) + speed, speed)


def _comes_into_view(camera: Camera, model: Model, d: float) -> float:
    """The last s at which no corner of the model, moved along the street, is in the picture yet."""
    s = np.arange(START, START + 40, 0.1)
    points = (model.points + (d, 0, 0))[None] + np.stack([0 * s, 0 * s, s], 1)[:, None]
    x, y, z = camera.to_camera(points.reshape(-1, 3)).reshape(points.shape).transpose(2, 0, 1)
    (height, width), focal = camera.size, camera.focal
    inside = (np.abs(x) * focal < z * width / 2) & (np.abs(y) * focal < z * height / 2)
    return float(s[inside.any(1).argmax() - 1])
