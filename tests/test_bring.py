"""Bringing data sets to data/raw: checked first, linked, all or nothing, as often as one likes."""

import errno
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.bring import bring, bring_missing
from pipeline.files import UserError, encode_png
from pipeline.params import read_yaml
from tests.commands import ROOT, contents, run_apart
from tests.conftest import write_scans

PICTURE, LABEL = encode_png(np.full((8, 12, 3), 99, np.uint8)), encode_png(np.full((8, 12), 3, np.uint8))
NAMES = [f"0001TP_{number:03d}" for number in range(4)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the presets and the default params.yaml; no data set is known."""
    folder = tmp_path / "work"
    shutil.copytree(ROOT / "presets", folder / "presets")
    shutil.copy(ROOT / "presets/default.yaml", folder / "params.yaml")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SIM2STREET_DATA", raising=False)
    return folder


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """CamVid's layout with four pictures of train and one of val, and two files that no reader asks for."""
    folder = tmp_path / "somewhere" / "camvid"
    for split, names in (("train", NAMES), ("val", ["0016E5_001"])):
        for name in names:
            _write(folder / f"CamVid/{split}/{name}.png", PICTURE)
            _write(folder / f"CamVid/{split}annot/{name}.png", LABEL)
    _write(folder / "README.md", b"about")
    _write(folder / "CamVid/movie.avi", b"long")
    return folder


@pytest.fixture
def params() -> dict[str, Any]:
    return read_yaml(ROOT / "presets/default.yaml")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _pack(folder: Path, archive: Path) -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w") as packed:
        packed.add(folder / "CamVid", "CamVid")
    return archive


def test_an_archive_is_linked_and_its_splits_are_counted(place: Path, camvid: Path, params: dict[str, Any]) -> None:
    archive = _pack(camvid, camvid.parent / "camvid.tar")
    told = bring("camvid", archive, params)
    assert "train 3, dev 1, val 1 pictures (5 with label)" in told and "1 file linked" in told
    assert os.path.samefile("data/raw/camvid/camvid.tar", archive)


def test_a_folder_becomes_a_real_folder_of_links_to_what_readers_ask_for(place, camvid, params) -> None:
    bring("camvid", camvid, params)
    brought = Path("data/raw/camvid")
    assert not brought.is_symlink() and not any(path.is_symlink() for path in brought.rglob("*"))
    assert {p.relative_to(brought).parts[0] for p in brought.rglob("*")} == {"CamVid"}
    assert len([p for p in brought.rglob("*") if p.is_file()]) == 10
    assert os.path.samefile(brought / f"CamVid/train/{NAMES[0]}.png", camvid / f"CamVid/train/{NAMES[0]}.png")


def test_links_in_a_folder_are_followed(place: Path, camvid: Path, params: dict[str, Any], tmp_path: Path) -> None:
    moved = tmp_path / "other disk"
    shutil.move(camvid / "CamVid/train", moved)
    (camvid / "CamVid/train").symlink_to(moved)
    assert "train 3, dev 1, val 1" in bring("camvid", camvid, params)
    assert (place / f"data/raw/camvid/CamVid/train/{NAMES[0]}.png").read_bytes() == PICTURE
    assert not (place / "data/raw/camvid/CamVid/train").is_symlink()


def written() -> dict[Path, tuple[int, ...]]:
    """Of everything under data/ what a write changes; st_atime is not of it, to look at a file moves that."""
    stats = {path: path.stat() for path in Path("data").rglob("*")}
    return {path: (s.st_mode, s.st_ino, s.st_nlink, s.st_size, s.st_mtime_ns) for path, s in stats.items()}


def test_bringing_again_changes_nothing(place: Path, camvid: Path, params: dict[str, Any]) -> None:
    bring("camvid", camvid, params)
    before = written()
    for origin in (camvid, None, Path("data/raw/camvid")):
        assert "it was there already" in bring("camvid", origin, params)
    assert written() == before


def test_across_file_systems_the_files_are_copied(place, camvid, params, monkeypatch) -> None:
    def far(*_: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", far)
    assert "10 of 10 files copied" in bring("camvid", camvid, params)
    copied = place / f"data/raw/camvid/CamVid/train/{NAMES[0]}.png"
    assert copied.read_bytes() == PICTURE and copied.stat().st_nlink == 1
    assert "it was there already" in bring("camvid", camvid, params)


def test_another_layout_is_refused_and_nothing_is_made(place: Path, params: dict[str, Any]) -> None:
    _write(place / "other/picture.png", PICTURE)
    with pytest.raises(UserError, match="not in the expected layout: expected CamVid.*found picture.png"):
        bring("camvid", place / "other", params)
    assert not Path("data").exists()


def test_a_damaged_first_picture_is_seen_before_anything_is_made(place, camvid, params) -> None:
    _write(camvid / "CamVid/val/0016E5_001.png", PICTURE[:-20])
    with pytest.raises(UserError, match=r"0016E5_001\.png: the PNG is cut short"):
        bring("camvid", camvid, params)
    assert not Path("data").exists()


def test_what_params_yaml_declares_of_a_source_is_held_against_its_files(place, params, tmp_path) -> None:
    params["source"] |= {"name": "synthia"}
    _write(tmp_path / "SYNTHIA/RGB/0000000.png", PICTURE)
    _write(tmp_path / "SYNTHIA/GT/LABELS/0000000.png", LABEL)
    with pytest.raises(UserError, match="is 8-bit, but labels: raw16 means 16-bit"):
        bring("synthia", tmp_path / "SYNTHIA", params)
    params["source"] |= {"labels": "parsed_ids"}
    assert "synthia, cityscapes19, train 1 pictures" in bring("synthia", tmp_path / "SYNTHIA", params)


def test_the_target_of_params_yaml_may_have_any_name(place, camvid, params) -> None:
    with pytest.raises(UserError, match="the layout of 'my_town' is not known"):
        bring("my_town", camvid, params)
    params["target"] |= {"name": "my_town", "layout": "camvid", "dev_share": 0.5}
    assert "train 2, dev 2, val 1" in bring("my_town", camvid, params)


def test_scans_of_params_yaml_may_have_any_name(place, tmp_path, params) -> None:
    file = write_scans(tmp_path / "somewhere/lungs.npz")
    with pytest.raises(UserError, match="the layout of 'lungs' is not known"):
        bring("lungs", file, params)
    params["scans"] |= {"name": "lungs"}
    assert "normal_abnormal, train 11, test 7" in bring("lungs", file, params)


def test_what_the_parameters_do_not_use_is_said(place, camvid, params) -> None:
    assert "params.yaml does not use it yet" in bring("camvid", camvid, params)
    params["target"] |= {"name": "camvid", "layout": "camvid"}
    assert "params.yaml" not in bring("camvid", camvid, params)


def test_lists_that_were_left_empty_name_nothing(place, camvid, params) -> None:
    params |= {"simulate": None, "sequences": None, "flow_pairs": None}
    assert "camvid11" in bring("camvid", camvid, params)


def test_something_else_in_its_place_is_left_alone(place, camvid, params) -> None:
    _write(place / "data/raw/camvid/CamVid/train/mine.png", b"my only copy")
    before = contents(place / "data")
    with pytest.raises(UserError, match="data/raw/camvid holds something else; move it away"):
        bring("camvid", camvid, params)
    assert contents(place / "data") == before


def test_a_full_disk_leaves_nothing_half_written(place, camvid, params, monkeypatch) -> None:
    link, done = os.link, []

    def filling(path: str, goal: Path) -> None:
        if len(done) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(goal))
        link(path, goal)
        done.append(goal)

    monkeypatch.setattr(os, "link", filling)
    with pytest.raises(UserError, match="the disk is full: data/raw/camvid"):
        bring("camvid", camvid, params)
    assert list(Path("data/raw").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "reason"), [("world_source", "is simulated"), ("../camvid", "no name"), ("", "no name")]
)
def test_names_that_cannot_be(place: Path, camvid: Path, params: dict[str, Any], name: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        bring(name, camvid, params)
    assert not Path("data").exists()


@pytest.mark.parametrize("where", ["camvid/camvid.tar", "camvid.tar"])
def test_without_a_path_the_folder_of_archives_is_searched(place, camvid, params, monkeypatch, tmp_path, where) -> None:
    with pytest.raises(UserError, match="SIM2STREET_DATA, a folder of archives, is not set; .* make data NAME=camvid"):
        bring("camvid", None, params)
    monkeypatch.setenv("SIM2STREET_DATA", str(tmp_path / "archives"))
    with pytest.raises(UserError, match=r"archives \(SIM2STREET_DATA\) has no camvid, camvid.tar or camvid.zip"):
        bring("camvid", None, params)
    _pack(camvid, tmp_path / "archives" / where)
    assert "train 3, dev 1, val 1" in bring("camvid", None, params)
    assert Path("data/raw/camvid/camvid.tar").is_file()


def test_a_preset_brings_what_it_needs(place, camvid, monkeypatch, capsys, tmp_path) -> None:
    from pipeline.presets import apply

    apply("camvid")
    bring_missing(read_yaml("params.yaml"))
    assert capsys.readouterr().out.startswith("before make run: data/raw/camvid is missing")
    _pack(camvid, tmp_path / "archives/camvid.tar")
    monkeypatch.setenv("SIM2STREET_DATA", str(tmp_path / "archives"))
    bring_missing(read_yaml("params.yaml"))
    assert "data/raw/camvid: camvid, camvid11, train 3" in capsys.readouterr().out
    bring_missing(read_yaml("params.yaml"))
    assert capsys.readouterr().out == ""


def test_make_data_and_make_preset_end_in_sentences(place: Path, camvid: Path) -> None:
    told = run_apart(place, "-m", "pipeline.presets", "camvid")
    assert told.code == 0 and "before make run: data/raw/camvid is missing" in told.out
    assert "SIM2STREET_DATA" in run_apart(place, "-m", "pipeline.bring", "camvid", "").sentence
    assert "is missing; give the folder" in run_apart(place, "-m", "pipeline.bring", "camvid", "nowhere").sentence
    assert run_apart(place, "-m", "pipeline.bring", "camvid", str(camvid)).code == 0


def test_genuine_camvid(params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = os.environ.get("SIM2STREET_DATA")
    if not home or not (Path(home) / "camvid").exists():
        pytest.skip("SIM2STREET_DATA does not name a folder with camvid")
    monkeypatch.chdir(tmp_path)
    assert "camvid, camvid11, train 312, dev 55, val 101 pictures (468 with label)" in bring("camvid", None, params)


@pytest.mark.parametrize(
    ("name", "contents"),
    [("facades", "pairs, cityscapes19, train 100, test 53, val 30"), ("eyes", "folder, cityscapes19, train")],
)
def test_genuine_sets_that_are_not_called_like_their_layout(name, contents, params, tmp_path, monkeypatch) -> None:
    home = os.environ.get("SIM2STREET_DATA")
    if not home or not (Path(home) / name).exists():
        pytest.skip(f"SIM2STREET_DATA does not name a folder with {name}")
    monkeypatch.chdir(tmp_path)
    assert contents in bring(name, None, params)
    assert (tmp_path / f"data/raw/{name}/{name}.tar").is_file()


def test_pairs_are_brought_where_they_are_used(place, params, monkeypatch, capsys, tmp_path) -> None:
    for folder in ("day", "night"):
        for number in range(4):
            _write(tmp_path / f"archives/alderley/{folder}/{number}.png", PICTURE)
    monkeypatch.setenv("SIM2STREET_DATA", str(tmp_path / "archives"))
    params["pairs"] |= {"name": "alderley"}
    bring_missing(params)
    assert not Path("data").exists()
    bring_missing(params | {"shard_pairs": ["pairs_train", "pairs_val"]})
    told = capsys.readouterr().out
    assert "train 3, val 1 pictures (4 with paired)" in told and "does not use it" not in told


@pytest.mark.parametrize("path", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_states_its_cost_and_what_to_expect(path: Path) -> None:
    head = "".join(line for line in path.read_text().splitlines(True) if line.startswith("#"))
    assert "minutes" in head or "Cost:" in head
    assert "Score to expect" in head or "smoke test" in head or "mean nothing" in head
