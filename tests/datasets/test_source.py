"""Folders and archives are one; doubtful archives are refused in a sentence."""

import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.datasets import open_dataset
from pipeline.datasets.source import open_source
from pipeline.files import UserError

Put = Callable[..., Path]
FILES = {"CamVid/train.txt": b"a b\n", "CamVid/train/x_1.png": b"picture" * 100, "CamVid/notes.md": b"never read"}


def make_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_folder_tar_and_zip_give_the_same(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    (tmp_path / "alone").mkdir()
    roots = [
        tmp_path / "folder",
        make_tar(tmp_path / "a.tar", {f"./{name}": data for name, data in FILES.items()}),
        make_zip(tmp_path / "a.zip", FILES),
        make_tar(tmp_path / "alone" / "a.tar", FILES).parent,
    ]
    for root in roots:
        source = pickle.loads(pickle.dumps(open_source(root)))
        assert source.names() == ["CamVid/train.txt", "CamVid/train/x_1.png"], root
        assert source.read("CamVid/train/x_1.png") == FILES["CamVid/train/x_1.png"]
        assert source.inside("CamVid").names() == ["train.txt", "train/x_1.png"]


def test_archives_side_by_side_are_one_source(tmp_path: Path) -> None:
    make_zip(tmp_path / "left.zip", {"leftImg8bit/a.png": b"1"})
    make_tar(tmp_path / "right.tar", {"gtFine/a.png": b"2"})
    (tmp_path / "README.md").write_text("beside")
    assert open_source(tmp_path).names() == ["gtFine/a.png", "leftImg8bit/a.png"]
    make_zip(tmp_path / "again.zip", {"leftImg8bit/a.png": b"3"})
    with pytest.raises(UserError, match="have the same name"):
        open_source(tmp_path)


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/evil.png", "..\\evil.png"])
@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_names_that_lead_out_are_refused(tmp_path: Path, make: Callable[..., Path], name: str) -> None:
    archive = make(tmp_path / ("a.tar" if make is make_tar else "a.zip"), FILES | {name: b"evil"})
    with pytest.raises(UserError, match="refused") as error:
        open_source(archive)
    assert "leads out of the archive" in str(error.value) and str(archive) in str(error.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("picture.png")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(UserError, match="picture.png: it is a link or a special file"):
        open_source(tmp_path / "a.tar")


def test_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("picture.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="it is a link"):
        open_source(tmp_path / "a.zip")


def test_every_cut_of_a_tar_is_noticed(tmp_path: Path) -> None:
    whole = make_tar(tmp_path / "whole.tar", FILES).read_bytes()
    end = len(whole.rstrip(b"\0"))
    for length in (0, 100, 512, 1024, 1300, 2048, end):  # in headers, in data, between members, before the end mark
        (tmp_path / "cut.tar").write_bytes(whole[:length])
        with pytest.raises(UserError, match="not a whole tar"):
            open_source(tmp_path / "cut.tar")


def test_cut_and_damaged_zips_are_noticed(tmp_path: Path) -> None:
    whole = make_zip(tmp_path / "whole.zip", FILES).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:-30])
    with pytest.raises(UserError, match="not a whole zip"):
        open_source(tmp_path / "cut.zip")
    at = whole.index(b"train/x_1.png") + len("train/x_1.png") + 3
    (tmp_path / "bad.zip").write_bytes(whole[:at] + b"????" + whole[at + 4 :])
    with pytest.raises(UserError, match="cannot be unpacked"):
        open_source(tmp_path / "bad.zip").read("CamVid/train/x_1.png")


def test_compressed_tar_and_other_files_are_refused(tmp_path: Path) -> None:
    for name in ("a.tar.gz", "a.rar", "a.bin"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(UserError, match="compressed as a whole|was expected"):
            open_source(tmp_path / name)


def test_missing_and_unreadable_roots(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put("RGB/a.png")
    for root in (tmp_path / "nowhere", file / "deeper"):
        with pytest.raises(UserError, match="is missing"):
            open_source(root)
    genuine_scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("RGB"):
            raise PermissionError(13, "Permission denied", str(path))
        return genuine_scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"RGB cannot be read \(Permission denied\)"):
        open_source(tmp_path)


def test_links_of_the_user_are_followed_but_not_in_circles(tmp_path: Path, put: Put) -> None:
    put("elsewhere/RGB/a.png")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "RGB").symlink_to(tmp_path / "elsewhere" / "RGB")
    assert open_source(tmp_path / "root").names() == ["RGB/a.png"]
    (tmp_path / "elsewhere" / "RGB" / "up").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="link back"):
        open_source(tmp_path / "elsewhere")


def test_a_wrong_layout_says_what_was_expected_and_found(put: Put, tmp_path: Path) -> None:
    put("something/a.png")
    for name in ("camvid", "cityscapes", "kitti", "idd_lite", "vistas"):
        with pytest.raises(UserError, match=r"expected .*, found something/"):
            open_dataset(name, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="is empty: it holds no file of a kind that is read"):
        open_source(tmp_path / "empty").inside("")
    with pytest.raises(UserError, match=r"has no folder 'x'; it has something/"):
        open_dataset("folder", tmp_path, inside="x")


def test_unknown_data_sets_and_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="data set 'citiscapes' is unknown; known are camvid, cityscapes"):
        open_dataset("citiscapes", tmp_path)
    with pytest.raises(UserError, match="option 'dev' is unknown; known are inside, dev_share"):
        open_dataset("camvid", tmp_path, dev=0.1)
    with pytest.raises(UserError, match="option 'dev_share' is 1.5; it should be less than 1"):
        open_dataset("camvid", tmp_path, dev_share=1.5)
