"""Optical flow: its sign, its encoding, its consistency, its errors against what is known."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.cluster import ClusterSettings
from pipeline.datasets.flow_pairs import decode_flo, find_pairs
from pipeline.farneback import FlowSettings, farneback
from pipeline.files import UserError, encode_png, read_image, read_json
from pipeline.flow import consistent, flow_error, flow_of_pairs, flow_of_sequences, paint_flow
from pipeline.sample import decode_flow, encode_flow

SETTINGS = FlowSettings()
H, W = 64, 96


def texture(seed: int = 0, height: int = H + 32, width: int = W + 32) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0), None, 0, 255, cv2.NORM_MINMAX)


def moved(dx: int, dy: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two views of one texture; what stands at x in the first stands at x + (dx, dy) in the second."""
    whole = texture(seed)
    return whole[16 : 16 + H, 16 : 16 + W], whole[16 - dy : 16 - dy + H, 16 - dx : 16 - dx + W]


@pytest.mark.parametrize(("dx", "dy"), [(3, 0), (-4, 0), (0, 3), (2, -3)])
def test_flow_from_a_to_b_moves_the_points_of_a_to_b(dx: int, dy: int) -> None:
    a, b = moved(dx, dy)
    assert (b[20 + dy, 30 + dx] == a[20, 30]).all()
    flow = farneback(a, b, SETTINGS)
    assert flow.shape == (H, W, 2) and flow.dtype == np.float32
    middle = flow[12:-12, 12:-12]
    assert np.abs(middle - (dx, dy)).mean() < 0.25
    y, x = np.mgrid[:H, :W].astype(np.float32)
    back = cv2.remap(b, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)  # b, looked up where a's points went
    assert np.abs(back.astype(int) - a)[12:-12, 12:-12].mean() < 4


def test_flow_needs_one_size() -> None:
    with pytest.raises(UserError, match="two pictures of one size"):
        farneback(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8), SETTINGS)


def test_consistency_keeps_agreement_and_drops_the_rest() -> None:
    forward = np.full((H, W, 2), (5.0, 0.0), np.float32)
    assert consistent(forward, -forward, SETTINGS)[:, : W - 5].all()
    assert not consistent(forward, -forward, SETTINGS)[:, W - 5 :].any()  # these leave the picture
    assert not consistent(forward, forward, SETTINGS).any()
    back = -forward
    back[:, 40:] = 0  # what arrives at column 40 and beyond is hidden there by something that stands
    mask = consistent(forward, back, SETTINGS)
    assert mask[:, :35].all() and not mask[:, 35:].any()
    # |f + b|^2 < alpha (|f|^2 + |b|^2) + beta, at its edge: 0.01 * (25 + 16) + 0.5 = 0.91 < 1
    assert not consistent(forward, forward * -0.8, SETTINGS).any()
    wider = SETTINGS.model_copy(update={"consistency_beta": 0.6})
    assert consistent(forward, forward * -0.8, wider)[:, : W - 5].all()


def test_flow_error_agrees_with_the_published_definition() -> None:
    """Values made by an independent implementation from the same random numbers (see the seeds' names)."""
    import hashlib

    def array(name: str, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
        return np.random.RandomState(seed).uniform(low, high, shape).astype(np.float32)

    truth = array("flow:a", (2, 2, 12, 16), -8, 8).astype(np.float64)
    estimate = truth + array("flow:noise", (2, 2, 12, 16), -4, 4)
    valid = array("flow:valid", (2, 12, 16), 0, 1) < 0.8
    error = flow_error(np.moveaxis(estimate, 1, -1), np.moveaxis(truth, 1, -1), valid)
    assert error["end_point_error"] == pytest.approx(2.954465236130837, rel=1e-12)
    assert error["outliers"] == pytest.approx(0.5457413249211357, rel=1e-12)
    assert error["pixels"] == 317


def write_sequences(root: Path, exact: bool = True) -> Path:
    """Two drives of four frames that move by (3, -1) and (-2, 0), with their exact flow."""
    for drive, (dx, dy) in (("source/000000", (3, -1)), ("target/000000", (-2, 0))):
        whole = texture(dx + 9, H + 60, W + 60)
        for frame in range(4):
            top, left = 30 - dy * frame, 30 - dx * frame
            picture = whole[top : top + H, left : left + W]
            files = {"RGB": picture}
            everywhere = np.ones((H, W), bool)
            if exact and frame < 3:
                files["flow"] = encode_flow(np.full((H, W, 2), (dx, dy), np.float32), everywhere)
            if exact and frame > 0:
                files["flow_back"] = encode_flow(np.full((H, W, 2), (-dx, -dy), np.float32), everywhere)
            for folder, content in files.items():
                path = root / drive / folder / f"{frame:06d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encode_png(content))
    return root


def test_flow_of_sequences(tmp_path: Path) -> None:
    report = flow_of_sequences(write_sequences(tmp_path / "raw"), tmp_path / "out", SETTINGS)
    assert report == read_json(tmp_path / "out" / "report.json")
    names = sorted(path.name for path in (tmp_path / "out" / "flow").iterdir())
    assert names == [f"{d}_000000_{f:06d}.png" for d in ("source", "target") for f in range(3)]
    names = sorted(path.name for path in (tmp_path / "out" / "flow_back").iterdir())
    assert names == [f"{d}_000000_{f:06d}.png" for d in ("source", "target") for f in range(1, 4)]
    flow, valid = decode_flow(read_image(tmp_path / "out/flow/source_000000_000001.png", "unchanged"))
    back, _ = decode_flow(read_image(tmp_path / "out/flow_back/source_000000_000002.png", "unchanged"))
    assert valid.mean() > 0.85
    assert np.abs(flow[valid] - (3, -1)).mean() < 0.2 and np.abs(back[16:-16, 16:-16] - (-3, 1)).mean() < 0.2
    assert report["pairs"] == 6 and report["known_pixels"] == 12 * H * W
    assert report["end_point_error"] < 0.5 and report["end_point_error_consistent"] < report["end_point_error"]
    expected = (np.hypot(3, 1) + 2) / 2
    assert report["end_point_error_zero_flow"] == pytest.approx(expected, abs=1e-3)
    assert list(report["sequences"]) == ["source/000000", "target/000000"]
    assert (tmp_path / "out" / "sheet.jpg").stat().st_size > 1000


def test_same_bytes_with_more_processes_and_no_truth_is_null(tmp_path: Path) -> None:
    root = write_sequences(tmp_path / "raw", exact=False)
    report = flow_of_sequences(root, tmp_path / "one", SETTINGS)
    flow_of_sequences(root, tmp_path / "two", SETTINGS, ClusterSettings(workers=2))
    assert report["end_point_error"] is None and report["outliers_consistent"] is None
    for path in sorted((tmp_path / "one").rglob("*.*")):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes(), path


def test_faults_leave_nothing(tmp_path: Path) -> None:
    root = write_sequences(tmp_path / "raw")
    path = root / "target/000000/RGB/000002.png"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"RGB/000002\.png: the PNG is cut short"):
        flow_of_sequences(root, tmp_path / "out", SETTINGS)
    path.write_bytes(encode_png(np.zeros((H, W + 4, 3), np.uint8)))
    with pytest.raises(UserError, match="differ in size"):
        flow_of_sequences(root, tmp_path / "out", SETTINGS)
    assert sorted(os.listdir(tmp_path)) == ["raw"]
    (tmp_path / "single" / "RGB").mkdir(parents=True)
    (tmp_path / "single" / "RGB" / "0.png").write_bytes(encode_png(np.zeros((H, W, 3), np.uint8)))
    with pytest.raises(UserError, match="no sequence of two frames"):
        flow_of_sequences(tmp_path / "single", tmp_path / "out", SETTINGS)


def flo(flow: np.ndarray) -> bytes:
    return b"PIEH" + struct.pack("<ii", flow.shape[1], flow.shape[0]) + flow.astype("<f4").tobytes()


def test_flo_files() -> None:
    stored = np.random.default_rng(0).normal(size=(5, 7, 2)).astype(np.float32)
    stored[2, 3] = 1.6e9  # Middlebury's mark of the unknown
    flow, valid = decode_flo(flo(stored), "x.flo")
    assert (~valid).sum() == 1 and not valid[2, 3] and (flow[2, 3] == 0).all()
    assert np.array_equal(flow[valid], stored[valid])
    for data, said in (
        (flo(stored)[:-4], "cut short"),
        (b"RIFF" + flo(stored)[4:], "must begin with PIEH"),
        (b"PIEH" + struct.pack("<ii", 40_000, 40_000), "cut short or damaged"),
        (b"PIEH" + struct.pack("<ii", -1, -1) + bytes(8), "damaged"),
        (b"PIEH", "not a .flo file"),
    ):
        with pytest.raises(UserError, match=said):
            decode_flo(data, "x.flo")


def test_paint_flow_is_the_usual_wheel() -> None:
    flow = np.array([[(0, 0), (10, 0), (-10, 0), (0, 10), (0, -10), (99, 0), (5, 0)]], np.float32)
    valid = np.ones((1, 7), bool)
    valid[0, 5] = False
    still, right, left, down, up, hidden, half = paint_flow(flow, valid, 10)[0].astype(int)
    assert still.tolist() == [255, 255, 255] and hidden.tolist() == [0, 0, 0]
    assert right[0] == 255 and right[1] < 60 and right[2] < 60  # red
    assert left[0] < 60 and left[1] > 120 and left[2] == 255  # blue-green
    assert down[0] > 200 and down[1] > 200 and down[2] < 60  # yellow
    assert up[2] == 255 and up[1] < 60  # violet
    assert half[1] > right[1]  # shorter is paler


def test_settings_are_strict() -> None:
    for wrong in ({"pyr_scale": 1.0}, {"levels": 0}, {"window": 3}, {"winsize": 15.5}, {"consistency_beta": -1.0}):
        with pytest.raises(ValidationError):
            FlowSettings.model_validate(wrong)


@pytest.fixture
def genuine() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        if not (data := os.environ.get("SIM2STREET_DATA")):
            pytest.skip("SIM2STREET_DATA is not set: it names the folder with real data")
        if not (Path(data) / name).exists():
            pytest.skip(f"SIM2STREET_DATA has no {name}")
        return Path(data) / name

    return find


def test_real_pairs_enter_the_report(genuine: Callable[[str], Path], tmp_path: Path) -> None:
    report = {"real": flow_of_pairs(genuine("flow/flow_pairs.tar"), SETTINGS)}
    whale, street = report["real"]["middlebury_RubberWhale"], report["real"]["kitti_000000"]
    assert whale["end_point_error"] < 0.4 and whale["consistent"] > 0.98
    assert whale["end_point_error_zero_flow"] == pytest.approx(1.256, abs=0.001)
    # Farneback cannot follow motion of up to 184 pixels; the consistency mask knows
    assert street["end_point_error"] > 30 and street["consistent"] < 0.6
    assert street["end_point_error_consistent"] < 0.5 * street["end_point_error"]


def test_the_sign_of_true_flow_agrees_with_ours(genuine: Callable[[str], Path]) -> None:
    whale = {pair.name: pair for pair in find_pairs(genuine("flow/flow_pairs.tar"))}["middlebury_RubberWhale"]
    a, b, (truth, valid) = whale.read()
    right, wrong = (flow_error(farneback(a, b, SETTINGS), sign * truth, valid) for sign in (1, -1))
    assert right["end_point_error"] < 0.4 and wrong["end_point_error"] > 2
