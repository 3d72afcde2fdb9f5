"""The world's data sets, read back from their files as a stranger's reader would read them."""

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.classes import CITYSCAPES_ID_TO_TRAIN, synthia_known_ids, synthia_lut
from pipeline.cluster import ClusterSettings
from pipeline.datasets import open_dataset
from pipeline.files import UserError
from pipeline.world import writers
from pipeline.world.frame import render
from pipeline.world.knobs import ABNORMAL
from pipeline.world.materials import BICYCLE, CAR, PERSON
from pipeline.world.settings import WorldSettings
from pipeline.world.writers import FIRST, PARTS, write_part

SETTINGS = WorldSettings.model_validate(
    {
        "size": [64, 128],
        "source": 3,
        "target_train": 2,
        "target_val": 2,
        "sequences": {"count": 1, "length": 3},
        "night": 1,
        "anomaly": {"train": 1, "test": 3, "length": 5},
        "scans": {"train": 6, "abnormal": 3, "test": 4},
        "digits": {"copies": 1},
    }
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    for part in PARTS:
        write_part(part, root / part, SETTINGS)
    return root


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def raw(path: Path) -> np.ndarray:
    """As stored, colour channels in RGB order."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return image[..., ::-1] if image.ndim == 3 else image


def test_source_has_the_layout_and_encodings_of_synthia_rand_cityscapes(world: Path) -> None:
    root, stems = world / "source", [f"{i:07d}.png" for i in range(3)]
    assert names(root) == [f"{f}/{s}" for f in ("Depth", "GT/COLOR", "GT/LABELS", "RGB") for s in stems]
    for index, name in enumerate(stems):
        frame = render(0, "source", index, (64, 128), flow=False)
        assert np.array_equal(raw(root / "RGB" / name), frame.image)
        labels = raw(root / "GT/LABELS" / name)
        assert labels.dtype == np.uint16 and labels.shape == (64, 128, 3)
        assert np.array_equal(synthia_lut("rand_cityscapes")[labels[..., 0]], frame.label)
        assert np.array_equal(labels[..., 0] == 22, frame.lanemarking)
        assert set(np.unique(labels[..., 0])) <= synthia_known_ids("rand_cityscapes") - {0}
        assert np.array_equal(labels[..., 1], frame.instance) and not labels[..., 2].any()
        depth = raw(root / "Depth" / name)
        assert depth.dtype == np.uint16 and (depth == depth[..., :1]).all()
        assert np.array_equal(depth[..., 0] == 65535, ~(frame.depth < 655.345))
        near = frame.depth < 600
        assert np.abs(depth[..., 0][near] / 100 - frame.depth[near]).max() < 0.0051


def test_colours_are_the_publishers(world: Path) -> None:
    # SYNTHIA-RAND-CITYSCAPES README: id -> colour; fence differs from Cityscapes, lanemarking is as wall
    table = {
        1: (70, 130, 180),
        3: (128, 64, 128),
        5: (64, 64, 128),
        8: (0, 0, 142),
        21: (102, 102, 156),
        22: (102, 102, 156),
    }
    for path in sorted((world / "source/GT/COLOR").iterdir()):
        colours, ids = raw(path), raw(world / "source/GT/LABELS" / path.name)[..., 0]
        assert colours.dtype == np.uint8
        for number, colour in table.items():
            assert (colours[ids == number] == colour).all()


def test_target_has_the_layout_and_encodings_of_cityscapes(world: Path) -> None:
    root = world / "target"
    for split, first in (("train", 0), ("val", FIRST["val"])):
        for index in (first, first + 1):
            stem = f"worldtown/worldtown_{index:06d}_000000"
            frame = render(0, "target", index, (64, 128), flow=False)
            assert np.array_equal(raw(root / "leftImg8bit" / split / f"{stem}_leftImg8bit.png"), frame.image)
            ids = raw(root / "gtFine" / split / f"{stem}_gtFine_labelIds.png")
            assert ids.dtype == np.uint8 and ids.ndim == 2
            assert np.array_equal(CITYSCAPES_ID_TO_TRAIN[ids], frame.label)
            instances = raw(root / "gtFine" / split / f"{stem}_gtFine_instanceIds.png")
            things = (frame.label >= PERSON) & (frame.label <= BICYCLE)
            assert instances.dtype == np.uint16
            assert np.array_equal(instances[~things], ids[~things]) and things.any()
            assert np.array_equal(instances[things] // 1000, ids[things])
            pairs = np.unique(np.stack([instances[things], frame.instance[things]]), axis=1)
            assert all(len(np.unique(row)) == pairs.shape[1] for row in pairs)  # one number a thing, and back
    assert len(names(root)) == 12


def test_train_and_val_never_meet(world: Path) -> None:
    pictures = [path.read_bytes() for path in (world / "target/leftImg8bit").rglob("*.png")]
    assert len(set(pictures)) == 4
    most = WorldSettings.model_fields["target_train"].metadata[-1].le
    ordered = sorted(FIRST.values())
    assert all(b - a >= most for a, b in zip(ordered[:-1], ordered[1:], strict=True))


def test_perfect_pairs_with_the_source_by_name(world: Path) -> None:
    assert names(world / "perfect") == [f"RGB/{path.name}" for path in sorted((world / "source/RGB").iterdir())]
    wanted = render(0, "source_in_target_look", 1, (64, 128), flow=False).image
    assert np.array_equal(raw(world / "perfect/RGB/0000001.png"), wanted)


@pytest.mark.parametrize("domain", ["source", "target"])
def test_sequences_carry_their_exact_flow(world: Path, domain: str) -> None:
    root = world / "sequences" / domain / "000000"
    assert names(root / "RGB") == names(root / "GT/LABELS") == [f"{t:06d}.png" for t in range(3)]
    assert names(root / "flow") == ["000000.png", "000001.png"]
    assert names(root / "flow_back") == ["000001.png", "000002.png"]
    frame = render(0, domain, FIRST["sequences"], (64, 128), 1)
    assert np.array_equal(raw(root / "RGB/000001.png"), frame.image)
    for folder, (flow, valid) in (("flow", frame.flow), ("flow_back", frame.flow_back)):  # type: ignore[misc]
        stored = raw(root / folder / "000001.png").astype(np.float64)
        assert np.array_equal(stored[..., 2] > 0, valid)
        decoded = (stored[..., :2] - 2**15) / 64
        assert np.abs(decoded - flow)[valid].max() <= 1 / 128


def test_night_and_day_are_one_scene(world: Path) -> None:
    day, night = (raw(world / "night" / name / "000000.png") for name in ("day", "night"))
    one, two = (render(0, name, FIRST["night"], (64, 128), flow=False) for name in ("target", "target_at_night"))
    assert np.array_equal(one.label, two.label) and np.array_equal(one.depth, two.depth)
    assert night.mean() < day.mean() and day.shape == (64, 128, 3)


def test_anomaly_clips_mark_what_should_not_be_there_and_nothing_else(world: Path) -> None:
    root, numbers = world / "anomaly", range(1, 6)
    assert names(root / "Train") == [f"Train001/{t:03d}.png" for t in numbers]
    intervals = re.findall(
        r"^TestVideoFile{end\+1}.gt_frame = \[(\d+):(\d+)\];$", (root / "Test/world.m").read_text(), re.M
    )
    assert len(intervals) == len(ABNORMAL)
    for clip, (kind, (first, last)) in enumerate(zip(ABNORMAL, intervals, strict=True), 1):
        masks = [raw(root / f"Test/Test{clip:03d}_gt/{t:03d}.png") for t in numbers]
        shown = [t for t, mask in zip(numbers, masks, strict=True) if mask.any()]
        assert shown == list(range(int(first), int(last) + 1))
        assert shown[0] > 1 and shown[-1] == 5  # begins as a normal clip
        picture = raw(root / f"Test/Test{clip:03d}/005.png")
        frame, marked = render(0, f"watched_{kind}", FIRST["tests"] + clip, (64, 128), 2, flow=False), masks[-1] > 0
        assert np.array_equal(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY), picture)
        assert set(np.unique(masks[-1])) == {0, 255} and np.array_equal(frame.abnormal, marked)
        assert np.array_equal(frame.instance == frame.instance[marked].max(), marked)  # the whole of one thing
        assert set(frame.label[marked]) == {PERSON if kind == "person_on_road" else CAR}


@pytest.mark.parametrize(("frames", "text"), [([], ""), ([4], "4:4"), ([3, 4, 5, 9], "3:5, 9:9")])
def test_intervals_of_abnormal_frames(frames: list[int], text: str) -> None:
    assert writers._intervals(frames) == text


def test_scans_hold_as_many_of_each_kind_as_asked_for(world: Path) -> None:
    with np.load(world / "scans/scans.npz") as arrays:
        stored = dict(arrays)
    assert {name: array.shape for name, array in stored.items() if name.endswith("images")} == {
        "train_images": (9, 64, 64), "test_images": (4, 64, 64),
    }  # fmt: skip
    assert sorted(stored["train_labels"]) == [0] * 6 + [1] * 3 and sorted(stored["test_labels"]) == [0, 0, 1, 1]
    for split in ("train", "test"):
        masks, labels = stored[f"{split}_masks"], stored[f"{split}_labels"]
        assert {array.dtype.name for name, array in stored.items()} == {"uint8"} and set(np.unique(masks)) == {0, 1}
        assert np.array_equal(masks.any((1, 2)), labels == 1)
    pictures = np.concatenate([stored["train_images"], stored["test_images"]])
    assert len(np.unique(pictures, axis=0)) == 13


def test_digits_come_back_through_the_reader_with_their_factors(world: Path) -> None:
    data = open_dataset("npz", world / "digits", dev_share=0.0)
    assert data.counts() == {"train": 1547, "test": 250} and data.read(data.items("test")[0]).image.shape == (28, 28, 3)
    slant, width = np.array([item.meta["factors"] for item in data.items()]).T
    assert (np.abs(slant) <= 0.4).all() and (width >= 0.6).all() and (width <= 1.2).all()
    assert np.bincount([item.meta["category"] for item in data.items("test")]).min() > 15


@pytest.mark.parametrize("part", ["scans", "digits"])
def test_the_bytes_of_arrays_do_not_tell_the_time(world: Path, part: str) -> None:
    with zipfile.ZipFile(world / part / f"{part}.npz") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def digest(folder: Path) -> str:
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in names(folder))).hexdigest()


def test_bytes_do_not_depend_on_the_number_of_processes(world: Path, tmp_path: Path) -> None:
    for part in ("source", "sequences", "anomaly"):
        write_part(part, tmp_path / part, SETTINGS, ClusterSettings(workers=2))
        assert names(tmp_path / part) == names(world / part)
        assert digest(tmp_path / part) == digest(world / part)


def test_an_unknown_part_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no part 'sauce'.*source, target"):
        write_part("sauce", tmp_path / "x", SETTINGS)


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(writers, "render", fail)
    with pytest.raises(MemoryError):
        write_part("source", tmp_path / "world_source", SETTINGS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"seeds": 1},
        {"seed": -1},
        {"seed": "0"},
        {"size": [100, 200]},
        {"sequences": {"length": 1}},
        {"scans": {"test": 1}},
    ],
)
def test_wrong_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        WorldSettings.model_validate(wrong)


def test_settings_load_without_opencv_and_torch() -> None:
    code = "import sys, pipeline.world.settings; assert not {'cv2', 'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
