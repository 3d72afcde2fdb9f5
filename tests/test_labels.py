"""fix_labels: all or nothing, the same bytes every time, and every fault named at once."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.classes import CITYSCAPES19
from pipeline.cluster import ClusterSettings
from pipeline.datasets.settings import SourceSettings
from pipeline.files import UserError, encode_png, read_image, read_json
from pipeline.labels import fix_labels

H, W = 24, 46
RAW = SourceSettings(table="rand_cityscapes", labels="raw16")


def raw_label(seed: int) -> np.ndarray:
    """All 23 ids in columns, a car with an instance."""
    ids = np.resize(np.repeat(np.arange(23), 2), (H, W))
    ids = np.roll(ids, seed, axis=1)
    return np.dstack([ids, np.where(ids == 8, 300 + seed, 0), np.zeros_like(ids)]).astype(np.uint16)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A SYNTHIA-RAND-CITYSCAPES of five pictures."""
    for number in range(5):
        rng = np.random.default_rng(number)
        depth = rng.integers(100, 9000, (H, W), np.uint16)
        depth[:4] = 65535
        for folder, content in (
            ("RGB", rng.integers(0, 256, (H, W, 3), np.uint8)),
            ("GT/LABELS", raw_label(number)),
            ("Depth", np.repeat(depth[..., None], 3, -1)),
        ):
            path = tmp_path / "synthia" / folder / f"{number:07d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(content))
    return tmp_path / "synthia"


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_comes_out(root: Path, tmp_path: Path) -> None:
    report = fix_labels(root, tmp_path / "out", RAW)
    assert report == read_json(tmp_path / "out" / "report.json")
    label = read_image(tmp_path / "out" / "labels" / "0000002.png", "unchanged")
    instance = read_image(tmp_path / "out" / "instances" / "0000002.png", "unchanged")
    depth = read_image(tmp_path / "out" / "depth" / "0000002.png", "unchanged")
    ids = raw_label(2)[..., 0]
    assert label.dtype == np.uint8 and instance.dtype == depth.dtype == np.uint16
    assert set(np.unique(label)) == {*range(19), 255}
    for raw, train in ((3, 0), (22, 0), (21, 3), (12, 17), (1, 10), (0, 255), (13, 255), (14, 255)):
        assert (label[ids == raw] == train).all(), raw
    assert set(np.unique(instance)) == {0, 302} and (label[instance > 0] == 13).all()
    assert (depth[:4] == 65535).all() and (depth[4:] < 9000).all()
    assert (tmp_path / "out" / "sheet.jpg").stat().st_size > 1000


def test_the_report_discloses_and_counts(root: Path, tmp_path: Path) -> None:
    (root / "GT/LABELS/9999999.png").write_bytes(encode_png(raw_label(0)))
    report = fix_labels(root, tmp_path / "out", RAW)
    column = H * 2 * 5
    assert report["pictures"] == 5 and report["sizes"] == {f"{W}x{H}": 5}
    assert report["pixels"]["road"] == 2 * column  # 3 and the lane marking
    assert report["pixels"]["wall"] == column and report["void_pixels"] == 3 * column
    assert list(report["pixels"]) == list(CITYSCAPES19.names) and report["absent"] == []
    assert sum(report["pixels"].values()) + report["void_pixels"] == 5 * H * W
    assert report["options"]["lanemarking"] == "road" and report["options"]["table"] == "rand_cityscapes"
    assert report["labels_without_picture"] == ["GT/LABELS/9999999.png"]
    assert report["depth"] == {"sky_or_beyond_pixels": 5 * 4 * W} and report["instances"] == 5
    void = RAW.model_copy(update={"lanemarking": "void"})
    assert fix_labels(root, tmp_path / "void", void)["pixels"]["road"] == column


def test_twice_and_with_more_processes_the_same_bytes(root: Path, tmp_path: Path) -> None:
    fix_labels(root, tmp_path / "out", RAW)
    first = everything(tmp_path / "out")
    fix_labels(root, tmp_path / "out", RAW)
    assert everything(tmp_path / "out") == first
    fix_labels(root, tmp_path / "parallel", RAW, ClusterSettings(workers=2))
    assert everything(tmp_path / "parallel") == first


def test_its_own_output_gives_itself(root: Path, tmp_path: Path) -> None:
    fix_labels(root, tmp_path / "out", RAW)
    shutil.copytree(tmp_path / "out" / "labels", root / "labels")
    again = RAW.model_copy(update={"labels": "train_ids"})
    report = fix_labels(root, tmp_path / "again", again)
    for path in (tmp_path / "out" / "labels").iterdir():
        assert (tmp_path / "again" / "labels" / path.name).read_bytes() == path.read_bytes()
    assert report["instances"] is None and not (tmp_path / "again" / "instances").exists()


def test_all_faults_are_listed_and_nothing_is_written(root: Path, tmp_path: Path) -> None:
    bad = raw_label(0)
    bad[0, 0, 0], bad[1, 1, 0] = 99, 30
    (root / "GT/LABELS/0000000.png").write_bytes(encode_png(bad))
    (root / "GT/LABELS/0000001.png").unlink()
    (root / "Depth/0000001.png").unlink()
    (root / "Depth/0000002.png").write_bytes(encode_png(np.zeros((H, W - 2), np.uint16)))
    cut = (root / "RGB/0000003.png").read_bytes()[:-30]
    (root / "RGB/0000003.png").write_bytes(cut)
    (root / "GT/LABELS/0000004.png").write_bytes(encode_png(np.zeros((H, W), np.uint8)))
    with pytest.raises(UserError) as error:
        fix_labels(root, tmp_path / "out", RAW, ClusterSettings(workers=2))
    head, *lines = str(error.value).splitlines()
    assert "6 faults, so nothing was written" in head
    for said in (
        "0000000.png holds unknown ids: 30, 99",
        "0000001 has no label",
        "0000001 has no depth (declare depth: none if there is none)",
        f"0000002: sizes differ: image {W} x {H}, label {W} x {H}, instance {W} x {H}, depth {W - 2} x {H}",
        "RGB/0000003.png: the PNG is cut short",
        "0000004.png is 8-bit, but labels: raw16 means 16-bit",
    ):
        assert sum(said in line for line in lines) == 1, said
    assert sorted(os.listdir(tmp_path)) == ["synthia"]


def test_a_failed_run_leaves_the_last_good_one(root: Path, tmp_path: Path) -> None:
    fix_labels(root, tmp_path / "out", RAW)
    before = everything(tmp_path / "out")
    (root / "Depth/0000001.png").unlink()
    with pytest.raises(UserError, match="^0000001 has no depth .*; nothing was written$"):
        fix_labels(root, tmp_path / "out", RAW)
    assert everything(tmp_path / "out") == before and sorted(os.listdir(tmp_path)) == ["out", "synthia"]


@pytest.mark.parametrize("out", ["synthia", "synthia/fixed", ".", "photos", "photos/a.txt", "link/fixed", "reports"])
def test_nothing_but_its_own_output_is_replaced(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    for name in ("photos/a.txt", "reports/report.json"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("{}")
    (tmp_path / "link").symlink_to(root)
    before = everything(tmp_path)
    monkeypatch.setattr("pipeline.labels.open_dataset", lambda *given, **more: pytest.fail("the source was read"))
    with pytest.raises(UserError, match="name another folder"):
        fix_labels(root, tmp_path / out, RAW)
    assert everything(tmp_path) == before


def test_an_empty_folder_may_be_filled(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert fix_labels(root, tmp_path / "out", RAW)["pictures"] == 5


def test_no_depth_must_be_declared(root: Path, tmp_path: Path) -> None:
    shutil.rmtree(root / "Depth")
    with pytest.raises(UserError, match="declare depth: none if there is none"):
        fix_labels(root, tmp_path / "out", RAW)
    report = fix_labels(root, tmp_path / "out", RAW.model_copy(update={"depth": "none"}))
    assert report["depth"] is None and not (tmp_path / "out" / "depth").exists()


def test_plain_folders_have_what_they_have(root: Path, tmp_path: Path) -> None:
    """Pictures alone, and pictures with trainIds: an unlabelled source is no fault."""
    alone = SourceSettings(layout="folder", inside="RGB")
    report = fix_labels(root, tmp_path / "out", alone)
    assert report["pictures"] == 5 and not any(report["pixels"].values())
    assert sorted(everything(tmp_path / "out")) == ["report.json", "sheet.jpg"]
    fix_labels(root, tmp_path / "mapped", RAW)
    shutil.copytree(root / "RGB", tmp_path / "own/images")
    shutil.copytree(tmp_path / "mapped/labels", tmp_path / "own/labels")
    assert fix_labels(tmp_path / "own", tmp_path / "out", SourceSettings(layout="folder"))["depth"] is None
    assert everything(tmp_path / "out/labels") == everything(tmp_path / "own/labels")
    (tmp_path / "own/labels/0000003.png").unlink()
    with pytest.raises(UserError, match="^0000003 has no label; nothing was written"):
        fix_labels(tmp_path / "own", tmp_path / "again", SourceSettings(layout="folder"))


def test_nothing_but_void_is_a_fault(root: Path, tmp_path: Path) -> None:
    for path in (root / "GT/LABELS").iterdir():
        path.write_bytes(encode_png(np.zeros((H, W, 3), np.uint16)))
    with pytest.raises(UserError, match="every pixel of every label is void"):
        fix_labels(root, tmp_path / "out", RAW)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "change", [{"labels": "raw"}, {"tabel": "seqs"}, {"depth": None}, {"sheet": "4"}, {"lanemarking": True}]
)
def test_settings_are_strict(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SourceSettings.model_validate({"table": "seqs", "labels": "raw16"} | change)


@pytest.fixture
def genuine() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        if not (data := os.environ.get("SIM2STREET_DATA")):
            pytest.skip("SIM2STREET_DATA is not set: it names the folder with real data")
        if not (Path(data) / name).exists():
            pytest.skip(f"SIM2STREET_DATA has no {name}")
        return Path(data) / name

    return find


def test_a_genuine_synthia_picture_straight_from_its_archive(genuine: Callable[[str], Path], tmp_path: Path) -> None:
    archive = genuine("synthia_samples/synthia_samples.tar")
    settings = SourceSettings(table="seqs", labels="raw16", depth="none")
    report = fix_labels(archive, tmp_path / "out", settings)
    assert report["pixels"]["road"] == 377_411 and report["pixels"]["car"] == 105_039
    assert report["void_pixels"] == 63_876 and report["instances"] == 8
    with pytest.raises(UserError, match="000000 has no depth"):
        fix_labels(archive, tmp_path / "out2", SourceSettings(table="seqs", labels="raw16"))
