"""A sample comes back from its members as it was, and members that cannot be right are refused."""

import json

import cv2
import numpy as np
import pytest

from pipeline.files import UserError, encode_png
from pipeline.sample import (
    KEYS,
    Sample,
    decode,
    decode_depth,
    decode_flow,
    encode,
    encode_depth,
    encode_flow,
)

SIZE = (5, 7)


@pytest.fixture
def sample() -> Sample:
    draw = np.random.default_rng(0)
    depth = draw.integers(0, 65535, SIZE).astype(np.float32) / np.float32(100)
    depth[0] = np.inf
    valid = draw.random(SIZE) < 0.7
    flow = draw.integers(-3000, 3000, (*SIZE, 2)).astype(np.float32) / 64 * valid[..., None]
    return Sample(
        "drive_000001",
        image=draw.integers(0, 256, (*SIZE, 3), dtype=np.uint8),
        paired=draw.integers(0, 256, (*SIZE, 3), dtype=np.uint8),
        label=draw.choice([0, 5, 18, 255], SIZE).astype(np.uint8),
        instance=draw.integers(0, 65536, SIZE).astype(np.uint16),
        depth=depth,
        flow=(flow, valid),
        flow_back=(-flow, valid),
        meta={"sequence": "drive", "frame": "1"},
    )


def test_every_part_comes_back(sample):
    members = encode(sample, "png")
    assert set(members) == set(KEYS) - {"image.jpg", "paired.jpg"}
    back = decode(sample.key, members)
    for name in ("image", "paired", "label", "instance", "depth"):
        have, want = getattr(back, name), getattr(sample, name)
        assert have.dtype == want.dtype and np.array_equal(have, want), name
    for name in ("flow", "flow_back"):
        assert all(np.array_equal(a, b) for a, b in zip(getattr(back, name), getattr(sample, name), strict=True)), name
    assert back.key == sample.key and back.meta == sample.meta


def test_a_jpeg_is_close_and_the_maps_stay_exact(sample):
    sample.image = cv2.GaussianBlur(np.kron(sample.image, np.ones((8, 8, 1), np.uint8)), (9, 9), 4)
    sample.label = np.kron(sample.label, np.ones((8, 8), np.uint8))
    sample.paired = sample.instance = sample.depth = sample.flow = sample.flow_back = None
    members = encode(sample, "jpg", 95)
    assert set(members) == {"image.jpg", "label.png", "meta.json"}
    back = decode(sample.key, members)
    assert np.abs(back.image.astype(int) - sample.image).mean() < 4 and np.array_equal(back.label, sample.label)


def test_the_same_sample_gives_the_same_bytes(sample):
    assert encode(sample) == encode(sample)


def test_what_is_not_there_stays_unknown():
    back = decode("a", encode(Sample("a", label=np.zeros(SIZE, np.uint8))))
    assert back.image is None and back.depth is None and back.flow is None and back.label is not None


def test_depth_is_in_centimetres_and_the_sky_is_infinite():
    metres = np.array([[0.0, 1.234, 655.34, 655.35, 1e6, np.inf]], np.float32)
    assert encode_depth(metres).tolist() == [[0, 123, 65534, 65535, 65535, 65535]]
    assert np.allclose(decode_depth(encode_depth(metres)), [[0, 1.23, 655.34, np.inf, np.inf, np.inf]])


def test_flow_is_stored_as_kitti_stores_it():
    flow = np.array([[[1.0, -2.0], [600.0, 0.0], [0.5, 0.5]]], np.float32)
    stored = encode_flow(flow, np.array([[True, True, False]]))
    assert stored.tolist() == [[[32768 + 64, 32768 - 128, 1], [32768, 32768, 0], [32768, 32768, 0]]]
    back, valid = decode_flow(stored)
    assert valid.tolist() == [[True, False, False]]  # 600 pixels do not fit
    assert back[0, 0].tolist() == [1.0, -2.0] and not back[0, 1:].any()


def test_a_label_of_16_bits_is_refused_with_its_name():
    with pytest.raises(UserError, match=r"^set/0\.tar: a\.label\.png is uint16 .*; expected one channel of uint8$"):
        decode("a", {"label.png": encode_png(np.zeros(SIZE, np.uint16))}, where="set/0.tar: ")


def test_a_coloured_label_is_refused():
    with pytest.raises(UserError, match="expected one channel"):
        decode("a", {"label.png": encode_png(np.zeros((*SIZE, 3), np.uint8))})


def test_maps_of_different_sizes_are_refused():
    members = encode(Sample("a", image=np.zeros((4, 4, 3), np.uint8))) | encode(
        Sample("a", label=np.zeros(SIZE, np.uint8))
    )
    with pytest.raises(UserError, match="the sizes of its maps differ"):
        decode("a", members)


@pytest.mark.parametrize("name", ["run.sh", "image.gif", "label.npy", "weights.pkl"])
def test_members_outside_the_list_are_refused(name):
    with pytest.raises(UserError, match=f"a.{name}: unknown member"):
        decode("a", {name: b"anything"})


def test_meta_is_readable_json(sample):
    assert json.loads(encode(sample)["meta.json"]) == sample.meta
