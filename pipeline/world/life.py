"""What fills a street: furniture, people, parked and driving vehicles.

An offset d is metres to the right of the middle of the street.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from pipeline.world import models, vehicles
from pipeline.world.mesh import Model, Point

if TYPE_CHECKING:
    from pipeline.world.street import Street

KERB = 0.13  # metres


def pick(rng: np.random.Generator, make: Callable[..., Model], *more: bool, among: int = vehicles.VARIANTS) -> Model:
    """Any variant of a model."""
    return make(int(rng.integers(among)), *more)


def furniture(street: "Street", side: int) -> None:
    """Lamps, trees, signs, bicycles against the houses, traffic lights."""
    r, layout, edge, verge = street.rng, street.layout, street.edge[side], street.verge[side]

    def put(model: Model, s: float, d: float, turn: float = 0.0, scale: Point = (1, 1, 1), thing: bool = False) -> None:
        x, z, h = street.track.at(s, side * d)
        street.scene.place(model, x, z, h + turn, KERB, scale, thing=thing)

    offset, crown = r.uniform(0, layout.lamp_every), int(r.integers(vehicles.VARIANTS))
    for a, b in street.free(side, -8, min(110, street.end), 1.5):
        for s in np.arange(a + offset % 9, b, layout.lamp_every):
            put(models.lamp(crown % 3), s, edge + 0.6, np.pi * (side < 0))  # the arm reaches over the road
        for s in np.arange(a + 5, b - 2, 8.0 + crown) if street.avenue else ():
            if r.random() < 0.85:
                model = models.tree((crown + int(r.integers(2))) % vehicles.VARIANTS, s > 45)
                put(model, s, edge + 0.9 + verge / 2, scale=(0.8, r.uniform(0.75, 0.95), 0.8))
        for _ in range(r.poisson(layout.signs * (b - a))):
            model, s, d = pick(r, models.sign, among=6), r.uniform(a, b), edge + r.uniform(0.35, 0.8)
            put(model, s, d, r.normal(0, 0.15) + np.pi * (side < 0) * (r.random() < 0.7))
        for _ in range(r.poisson(layout.parked_bikes * (b - a))):
            s, n = r.uniform(a, max(a, b - 3)), r.integers(1, 4)
            for k in range(n):
                model = vehicles.two_wheeler(int(r.integers(4)), bool(r.random() < 0.25))
                d = edge + verge + street.walk[side] - 0.9
                put(model, s + 0.7 * k, d, np.pi / 2 + r.normal(0, 0.2), thing=True)
    for at, half, _ in street.junctions:
        if r.random() < 0.65:
            state, s = int(r.integers(3)), at - side * (half + 1.2)
            model = models.traffic_light(state, bool(side > 0 and r.random() < 0.4))
            put(model, s, edge + 0.45, np.pi * (side < 0) * (r.random() < 0.5))


def people(street: "Street", side: int) -> None:
    """Walkers and standers on the sidewalk, singly and in pairs, denser near the camera; others on the crossings."""
    r, low = street.rng, street.edge[side] + 0.5 + street.verge[side]

    def put(far: bool, x: float, z: float, yaw: float, speed: float, y: float) -> None:
        motion = (speed * np.sin(yaw), speed * np.cos(yaw))
        street.scene.place(pick(r, models.person, far, among=12), x, z, yaw, y, velocity=motion, thing=True)

    for _ in range(r.poisson(street.layout.people * 70)):
        s, group = 3 + min(62, street.end - 5) * r.random() ** 1.5, 1 + (r.random() < 0.3)
        x, z, h = street.track.at(s, side * r.uniform(low, low + street.walk[side] - 0.8))
        back, speed = r.random() < 0.5, r.uniform(0.0, 0.1) * (r.random() < 0.8)
        yaw = h + np.pi * back + r.normal(0, 0.25)
        for k in range(group):
            put(s > 24, x + k * 0.65 * np.cos(yaw), z - k * 0.65 * np.sin(yaw), yaw, speed, KERB)
    for at, half, _ in street.junctions:
        for _ in range(r.poisson(0.7)):
            x, z, h = street.track.at(at - half - 2.3 + r.normal(0, 0.6), r.uniform(-street.edge[-1], street.edge[1]))
            yaw, speed = h + r.choice([-1, 1]) * np.pi / 2, r.uniform(0.05, 0.1)
            put(at > 26, x, z, yaw, speed, 0)


def drive(street: "Street", kind: str, s: float, d: float, back: bool, speed: float, lit: bool) -> None:
    """One vehicle (with its rider) along the street, turning about the vertical. lit: its lamps are on after dark."""
    x, z, h = street.track.at(s, d)
    step, yaw = -speed if back else speed, h + np.pi * back
    velocity, turn = (step * np.sin(h), step * np.cos(h)), step * street.track.bend(s)

    def put(model: Model) -> None:
        street.scene.place(model, x, z, yaw, velocity=velocity, turn=turn, thing=True, lit=lit)

    variant = int(street.rng.integers(vehicles.VARIANTS))
    if kind in ("bicycle", "motorcycle"):
        motor = kind == "motorcycle"
        put(vehicles.two_wheeler(variant, motor))
        put(models.rider(variant, motor))
    elif kind == "car":
        put(vehicles.car(variant, s > 40))
    else:
        put({"bus": vehicles.bus, "truck": vehicles.truck}[kind](variant))


def traffic(street: "Street") -> None:
    """Both ways, lane by lane; the vehicles of one lane share a speed, some lanes wait."""
    r, layout = street.rng, street.layout
    kinds, weights = list(layout.vehicles), np.array(list(layout.vehicles.values()))
    street.own_lane = int(r.integers(street.lanes))
    for side in (-1, 1):
        for lane in range(street.lanes):
            own = side > 0 and lane == street.own_lane
            s, speed = r.uniform(9, 30) if own else r.uniform(5, 20), r.uniform(0.2, 0.9) * (r.random() < 0.7)
            while kinds and s < min(105, street.end - 4):
                kind = str(r.choice(kinds, p=weights / weights.sum()))
                d = side * (lane + 0.5) * street.lane + (side * 0.8 if kind == "bicycle" else 0)
                drive(street, kind, s, d + r.normal(0, 0.15), side < 0, speed, lit=True)
                s += 9 + r.exponential(1 / layout.traffic - 9)


def parked(street: "Street", side: int) -> None:
    """Vehicles in the parking strip, if this side has one."""
    if not street.parking[side]:
        return
    for a, b in street.free(side, -4, min(85, street.end - 4), 4):
        for s in np.arange(a, b, 6.0):
            if street.rng.random() < street.layout.parked:
                kind = "truck" if street.rng.random() < 0.06 else "car"
                d = side * (street.lanes * street.lane + 1.15 + street.rng.normal(0, 0.06))
                drive(street, kind, s, d, side < 0, 0, lit=False)
