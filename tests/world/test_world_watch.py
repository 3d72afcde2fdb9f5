"""Who passes the fixed camera: where everybody goes, without drawing a picture."""

from typing import NamedTuple

import numpy as np
import pytest

from pipeline.world import watch
from pipeline.world.frame import _camera, render, stream
from pipeline.world.knobs import ABNORMAL, DOMAINS
from pipeline.world.materials import CAR, MOTORCYCLE, PERSON, RIDER
from pipeline.world.street import Street


class Passers(NamedTuple):
    """Of the moving things: class, place and speed (each to the right, along the street); which one is abnormal."""

    cls: np.ndarray
    place: np.ndarray
    speed: np.ndarray
    abnormal: np.ndarray
    edge: float  # of the road, metres from its middle


def passers(kind: str, clip: int, t: int) -> Passers:
    where = DOMAINS[kind]
    street = Street(stream(0, "watched", 0, "layout"), where.layout)
    camera = _camera(street, where.layout, stream(0, "watched", 0, "camera"), (128, 256), t)
    assert where.layout.watch
    wrong = watch.populate(street, where.layout.watch, camera, stream(0, "watched", clip, "passers"), t)
    scene = street.scene.freeze()
    moving = np.flatnonzero(scene.instance)
    cls = scene.cls[np.searchsorted(scene.body, moving)]
    place = scene.pose(t)[0][moving]
    return Passers(cls, place, scene.velocity[moving], scene.instance[moving] == wrong, street.edge[1])


def rules_kept(seen: Passers) -> np.ndarray:
    """People beside the road, along it; vehicles on the right half of the road."""
    person, (x, _), (dx, dz) = seen.cls == PERSON, seen.place.T, seen.speed.T
    beside = (np.abs(x) > seen.edge) & (dx == 0)
    return np.where(person, beside, (np.sign(x) == np.sign(dz)) & (np.abs(x) < seen.edge))


@pytest.mark.parametrize("t", [-500, 0, 37, 900])
def test_normal_people_and_vehicles_keep_to_their_places_at_any_time(t: int) -> None:
    for clip in (1, 2):
        seen = passers("watched", clip, t)
        assert {PERSON, CAR} <= set(seen.cls.tolist()) <= {PERSON, CAR, RIDER, MOTORCYCLE}
        assert rules_kept(seen).all() and not seen.abnormal.any()
        pace = np.abs(seen.speed).sum(1)
        assert pace[seen.cls == CAR].min() > 2 * pace[seen.cls == PERSON].max() > 0


@pytest.mark.parametrize("kind", ABNORMAL)
def test_one_thing_breaks_the_rules_and_runs_into_nobody(kind: str) -> None:
    for clip in (1, 2):
        for t in (2, 20, 35):
            seen = passers(f"watched_{kind}", clip, t)
            assert np.array_equal(seen.abnormal, ~rules_kept(seen)) and seen.abnormal.sum() == 1
            own = np.flatnonzero(seen.abnormal)[0]
            assert (seen.cls[own] == PERSON) == (kind == "person_on_road")
            off = np.abs(np.delete(seen.place, own, 0) - seen.place[own])
            assert ((off[:, 0] > 1.2) | (off[:, 1] > 2.5)).all()


def test_who_crosses_the_road_is_normal_before_and_after() -> None:
    for t in (-30, 200):
        seen = passers("watched_person_on_road", 1, t)
        assert rules_kept(seen).all() and not seen.abnormal.any()


def test_all_clips_show_one_street_with_other_people() -> None:
    one, two = (render(0, f"watched{kind}", clip, (64, 128), 10) for kind, clip in (("", 1), ("_wrong_way", 2)))
    still = (one.label < PERSON) & (two.label < PERSON)
    assert still.mean() > 0.7 and np.array_equal(one.label[still], two.label[still])
    assert (one.label != two.label).any() and np.abs(one.image[still].astype(int) - two.image[still]).mean() < 12
    assert two.flow is not None and np.abs(two.flow[0][two.abnormal]).max() > 1
