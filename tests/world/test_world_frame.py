"""One frame of the world: purity, separate knobs, and truths that agree with each other."""

import hashlib
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.classes import CITYSCAPES19
from pipeline.world import materials
from pipeline.world.frame import Frame, render
from pipeline.world.knobs import DOMAINS

SIZE = (64, 128)
ROOT = Path(__file__).parents[2]


def fingerprint(frame: Frame) -> str:
    assert frame.flow and frame.flow_back
    maps = (frame.image, frame.label, frame.instance, frame.depth, frame.lanemarking, *frame.flow, *frame.flow_back)
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in maps)).hexdigest()


def warp(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    x, y = np.meshgrid(np.arange(SIZE[1], dtype=np.float32), np.arange(SIZE[0], dtype=np.float32))
    return cv2.remap(picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)


@pytest.fixture(scope="module")
def drive() -> list[Frame]:
    """Two successive frames of the game-like domain, whose pictures have no noise."""
    return [render(0, "source", 3, SIZE, t) for t in (4, 5)]


def test_a_frame_is_the_same_in_another_process_whatever_was_rendered_before(drive: list[Frame]) -> None:
    code = (
        "from tests.world.test_world_frame import *\n"
        "render(5, 'target_at_night', 2, (32, 64)); print(fingerprint(render(0, 'source', 3, SIZE, 4)))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert other.strip() == fingerprint(drive[0])


def test_numbers_of_classes_are_those_of_the_table() -> None:
    short = {"light": "traffic light", "sign": "traffic sign"}
    for number, name in enumerate(CITYSCAPES19.names):
        constant = next(k for k in vars(materials) if k.isupper() and short.get(k.lower(), k.lower()) == name)
        assert getattr(materials, constant) == number


@pytest.mark.parametrize(
    "place, dressed",
    [("source", "source_in_target_look"), ("target", "target_in_source_look"), ("target", "target_at_night")],
)
def test_the_look_changes_the_picture_and_nothing_else(place: str, dressed: str) -> None:
    one, two = (render(0, domain, 7, SIZE) for domain in (place, dressed))
    for name in ("label", "instance", "depth", "lanemarking"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    assert one.flow and two.flow and np.array_equal(one.flow[0], two.flow[0])
    assert np.abs(one.image.astype(int) - two.image).mean() > 8


def test_night_is_darker_than_day() -> None:
    day, night = (render(0, domain, 1, SIZE, flow=False).image for domain in ("target", "target_at_night"))
    assert night.mean() < 0.8 * day.mean()
    assert night.max() > 230  # lamps shine


@pytest.mark.parametrize("other", [(1, "source", 3, 4), (0, "target", 3, 4), (0, "source", 4, 4), (0, "source", 3, 5)])
def test_another_seed_domain_index_or_time_shows_something_else(drive: list[Frame], other: tuple) -> None:
    seed, domain, index, t = other
    frame = render(seed, domain, index, SIZE, t, flow=False)
    assert (frame.label != drive[0].label).mean() > 0.02


@pytest.mark.parametrize("domain", ["source", "target", "watched_wrong_way"])
def test_truths_agree(domain: str) -> None:
    frame = render(0, domain, 2, SIZE, 20, flow=False)
    sky, things = frame.label == materials.SKY, frame.label >= materials.PERSON
    assert np.array_equal(np.isinf(frame.depth), sky)
    assert frame.depth.min() > 0.29
    assert (frame.instance[things] > 0).all() and (frame.instance[~things] == 0).all()
    assert (frame.label[frame.lanemarking] == materials.ROAD).all() and frame.lanemarking.any()
    assert frame.label.max() < len(CITYSCAPES19) and frame.image.shape == (*SIZE, 3)
    for number in np.unique(frame.instance)[1:]:  # one thing has one class; a rider is another thing than the wheels
        assert len(np.unique(frame.label[frame.instance == number])) == 1


def test_the_world_shows_every_class_but_trains() -> None:
    seen = set()
    for index in range(12):
        for domain in ("source", "target"):
            seen |= set(np.unique(render(0, domain, index, SIZE, flow=False).label).tolist())
    assert set(range(len(CITYSCAPES19))) - seen <= {materials.TRAIN, materials.LIGHT}


def test_flow_leads_to_the_same_point_of_the_next_frame_and_back(drive: list[Frame]) -> None:
    here, there = drive
    assert here.flow and there.flow_back
    (forward, valid), (back, back_valid) = here.flow, there.flow_back
    assert 0.5 < valid.mean() < 1 and np.abs(forward[valid]).max() > 1  # something moves
    y, x = np.nonzero(valid)
    column = np.rint(x + forward[y, x, 0]).astype(int)
    row = np.rint(y + forward[y, x, 1]).astype(int)
    same = here.label[y, x] == there.label[row, column]
    assert same.mean() > 0.93  # the rest are half-pixel misses along edges
    fine = same & back_valid[row, column] & (here.label[y, x] == materials.ROAD)
    returned = warp(back, forward)[y, x] + forward[y, x]
    error = np.hypot(returned[:, 0], returned[:, 1])[fine]
    assert np.median(error) < 0.01 and np.quantile(error, 0.9) < 0.1


def test_warping_the_next_picture_by_the_flow_gives_this_one(drive: list[Frame]) -> None:
    here, there = drive
    assert here.flow
    flow, valid = here.flow
    warped = warp(there.image, flow)

    def miss(picture: np.ndarray) -> float:
        return float(np.abs(here.image.astype(float) - picture)[valid].mean())

    assert miss(warped) < 0.5 * miss(there.image)


def test_depth_and_flow_tell_the_same_motion() -> None:
    """On the road, which stands still, flow shrinks with distance as the pinhole camera demands: v - v0 ~ 1/depth."""
    frame = render(0, "source", 3, SIZE, flow=True)
    assert frame.flow
    road = (frame.label == materials.ROAD) & frame.flow[1] & ~frame.lanemarking
    y = np.nonzero(road)[0] - (SIZE[0] - 1) / 2
    slope = np.polyfit(1 / frame.depth[road], y, 1)
    x = np.nonzero(road)[1]
    design = np.stack([1 / frame.depth[road], x, np.ones_like(x)], 1)
    left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    assert slope[0] > 0 and np.abs(left).max() < 0.6  # a plane seen by a pinhole: y is affine in 1/depth and x


def test_names_of_domains_are_the_documented_ones() -> None:
    assert {"source", "target", "source_in_target_look", "target_in_source_look", "target_at_night"} < set(DOMAINS)
