"""Files: whole or not at all, and no picture is trusted before its header is read."""

import errno
import os
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest

from pipeline.files import (
    UserError,
    atomic_dir,
    decode_image,
    digest,
    encode_jpeg,
    encode_png,
    picture_header,
    problems,
    read_bytes,
    read_image,
    read_json,
    sha256_file,
    write_atomic,
    write_json,
)

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
DEEP = np.random.default_rng(1).integers(0, 65536, (6, 9), dtype=np.uint16)


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises width x height pixels and holds none."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + head + b"\0\0\0\0IEND\xaeB`\x82"


# -- writing ------------------------------------------------------------------------------------------------------


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "deep/er.json"
    write_atomic(file, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as caught:
        write_atomic(file, "new")
    assert caught.value.filename == str(file)  # for the sentence
    assert file.read_text() == "old" and os.listdir(file.parent) == ["er.json"]


def test_numbers_that_json_does_not_know_are_refused(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_broken_or_missing_json_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"a\.json is missing; run the stage that makes it"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{"half": ')
    with pytest.raises(UserError, match=r"a\.json is not valid JSON .*; delete it and run the stage again"):
        read_json(tmp_path / "a.json")


def test_a_folder_appears_at_once_and_replaces_the_old_one(tmp_path):
    goal = tmp_path / "out"
    for content in ("first", "second"):
        with atomic_dir(goal) as folder:
            (folder / content).write_text(content)
            assert folder != goal and not (goal / content).exists()
        assert os.listdir(goal) == [content] and os.listdir(tmp_path) == ["out"]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path):
    goal = tmp_path / "out"
    with atomic_dir(goal) as folder:
        (folder / "good").write_text("good")
    with pytest.raises(KeyboardInterrupt), atomic_dir(goal) as folder:
        (folder / "half").write_text("half")
        raise KeyboardInterrupt
    assert os.listdir(goal) == ["good"] and os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("place", [1, 2])  # the old one is put aside, the new one in its place
def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(place, tmp_path, monkeypatch):
    goal, replace, calls = tmp_path / "out", os.replace, []
    goal.mkdir()
    (goal / "good").write_text("good")

    def full(*paths: object) -> None:
        calls.append(paths)
        if len(calls) == place:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(*paths)

    monkeypatch.setattr(os, "replace", full)
    words = rf"^the disk is full: {goal} could not be written; make room"
    with pytest.raises(UserError, match=words), atomic_dir(goal) as folder:
        (folder / "better").touch()
    assert os.listdir(goal) == ["good"] and os.listdir(tmp_path) == ["out"]


def test_what_a_killed_process_left_is_swept_and_a_living_one_is_left_alone(tmp_path):
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    dead, living = tmp_path / f".out.{gone.stdout.strip()}.tmp", tmp_path / f".out.{os.getppid()}.tmp"
    for folder in (dead, living):
        folder.mkdir()
    with atomic_dir(tmp_path / "out"):
        assert not dead.exists() and living.exists()


def test_digests_know_content_and_not_the_order_of_keys(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest({"a": 1, "b": [2.0]}) == digest({"b": [2.0], "a": 1}) != digest({"a": 1, "b": [2.5]})


# -- pictures -----------------------------------------------------------------------------------------------------


def test_lossless_pictures_come_back_as_they_were():
    for picture in (RGB, DEEP, RGB[..., 0], DEEP[..., None].repeat(3, -1)):
        back = decode_image(encode_png(picture), "a.png", kind="unchanged")
        assert back.dtype == picture.dtype and np.array_equal(back, picture)
    assert np.array_equal(decode_image(encode_png(RGB), "a.png"), RGB)


def test_colours_are_red_green_blue():
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 250
    for data in (encode_png(red), encode_jpeg(red)):
        back = decode_image(data, "red")
        assert back[..., 0].mean() > 240 and back[..., 1:].mean() < 10
    stored = cv2.imdecode(np.frombuffer(encode_png(red), np.uint8), cv2.IMREAD_COLOR)
    assert stored[..., 2].mean() > 240  # another program sees red too


def test_a_header_is_read_without_the_pixels():
    assert picture_header(encode_png(RGB), "a") == (6, 9, 8, 3)
    assert picture_header(encode_png(DEEP), "a") == (6, 9, 16, 1)
    assert picture_header(encode_jpeg(RGB), "a") == (6, 9, 8, 3)
    assert picture_header(png_header(40_000, 30_000), "a")[:2] == (30_000, 40_000)


def test_what_follows_the_end_of_a_photograph_does_no_harm():
    """Telephones put a thumbnail in front, the note which way is up, and a video behind."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    data, thumbnail = encode_jpeg(noise), encode_jpeg(noise[:8, :8])
    turned = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0" + thumbnail
    photo = data[:2] + b"\xff\xe1" + (len(turned) + 2).to_bytes(2, "big") + turned + data[2:]
    stored = decode_image(photo + bytes(5000), "a.jpg")
    assert np.array_equal(stored, decode_image(data, "a.jpg"))
    assert np.array_equal(decode_image(photo + bytes(5000), "a.jpg", upright=True), np.rot90(stored, -1))
    with pytest.raises(UserError, match="cut short"):
        decode_image(photo[:-400] + bytes(5000), "a.jpg")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png_header(40_000, 40_000), "is 40000 x 40000 pixels, more than the 100,000,000 that are decoded"),
        (png_header(0, 10), "is 0 x 10 pixels"),
        (png_header(9, 6), "cannot be decoded: the file is damaged"),
        (encode_png(RGB)[:-20], "the PNG is cut short"),
        (encode_png(RGB)[:20], "neither PNG nor JPEG"),
        (encode_jpeg(RGB)[:-20], "the JPEG is cut short"),
        (encode_jpeg(RGB)[:30], "the JPEG is cut short or damaged"),
        (b"GIF89a" + bytes(100), "neither PNG nor JPEG"),
        (b"", "neither PNG nor JPEG"),
    ],
)
def test_a_picture_that_cannot_be_trusted_is_a_sentence_with_its_name(data, words):
    with pytest.raises(UserError, match=words) as caught:
        decode_image(data, "folder/name.png")
    assert str(caught.value).startswith("folder/name.png") and "\n" not in str(caught.value)


def test_damage_in_the_middle_of_a_png_is_found():
    data = bytearray(encode_png(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)))
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    with pytest.raises(UserError, match="damaged"):
        decode_image(bytes(data), "a.png")


def test_files_that_cannot_be_read_are_sentences(tmp_path):
    with pytest.raises(UserError, match=r"a\.png is missing"):
        read_image(tmp_path / "a.png")
    with pytest.raises(UserError, match="is a folder, a file was expected"):
        read_bytes(tmp_path)
    (tmp_path / "long").write_bytes(bytes(11))
    with pytest.raises(UserError, match="has 11 bytes, more than the 10 that are read"):
        read_bytes(tmp_path / "long", limit=10)


# -- errors -------------------------------------------------------------------------------------------------------


def test_many_problems_are_listed_up_to_a_limit():
    lines = str(problems("3 files are bad:", ["a", "b", "c"], limit=2)).splitlines()
    assert lines == ["3 files are bad:", "  a", "  b", "  ... and 1 more"]
