"""What a user can get wrong ends in one sentence and exit code 2, with nothing half-written."""

import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.files import encode_png, read_image
from tests.commands import Ended, contents, environment, merge, run_apart, run_here, write_params

Copy = Callable[..., Path]
SOURCE = "data/raw/world_source"


@pytest.fixture
def source(world: Path, copy: Copy) -> Path:
    """A folder with the synthetic raw data, to be spoilt."""
    return copy(world, SOURCE)


def refused(folder: Path, stage: str, *arguments: str, leaves: tuple[str, ...] = ()) -> str:
    """The sentence of a stage that fails; it leaves no file behind, but scratch for the next try under `leaves`."""
    before = contents(folder)
    ended = run_here(folder, stage, *arguments)
    sentence = ended.sentence
    assert contents(folder, *leaves) == {name: data for name, data in before.items() if not name.startswith(leaves)}
    return sentence


def fix_labels(folder: Path) -> str:
    return refused(folder, "fix_labels", "--workers", "1")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


# -- raw data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["RGB", "GT/LABELS", "Depth"])
def test_a_truncated_picture(source, part):
    cut(source / SOURCE / part / "0000003.png")
    sentence = fix_labels(source)
    assert f"{SOURCE}/{part}/0000003.png" in sentence and "the PNG is cut short" in sentence
    assert len(sentence.splitlines()) == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_labels_of_8_bits_where_16_were_declared(source, channels):
    file = source / SOURCE / "GT/LABELS/0000002.png"
    labels = read_image(file, "unchanged").astype(np.uint8)
    file.write_bytes(encode_png(labels if channels == 3 else labels[..., 0]))
    sentence = fix_labels(source)
    assert f"{SOURCE}/GT/LABELS/0000002.png" in sentence and "8-bit" in sentence


def test_a_missing_depth(source):
    (source / SOURCE / "Depth/0000001.png").unlink()
    sentence = fix_labels(source)
    assert "0000001 has no depth" in sentence and "depth: none" in sentence


def test_an_unknown_id(source):
    file = source / SOURCE / "GT/LABELS/0000005.png"
    labels = read_image(file, "unchanged")
    labels[4:6, 4:6, 0] = 99
    file.write_bytes(encode_png(labels))
    sentence = fix_labels(source)
    assert "GT/LABELS/0000005.png" in sentence and "99" in sentence


def test_all_bad_files_are_told_at_once(source):
    cut(source / SOURCE / "RGB/0000000.png")
    (source / SOURCE / "Depth/0000001.png").unlink()
    (source / SOURCE / "GT/LABELS/0000002.png").write_bytes(b"")
    first, *listed = fix_labels(source).splitlines()
    assert "3 faults" in first
    assert [next(name for name in ("0000000", "0000001", "0000002") if name in line) for line in listed] == [
        "0000000", "0000001", "0000002",
    ]  # fmt: skip


def test_coloured_labels_are_refused_with_the_reason(source):
    shutil.rmtree(source / SOURCE / "GT/LABELS")
    assert "GT/COLOR" in fix_labels(source)


def test_a_folder_that_is_not_there(world, copy):
    sentence = fix_labels(copy(world))
    assert "data/raw/world_source" in sentence


def test_a_truncated_picture_while_sharding(world, copy):
    folder = copy(world, "data/raw/world_target")
    file = next(iter(sorted((folder / "data/raw/world_target/leftImg8bit/train").rglob("*.png"))))
    cut(file)
    sentence = refused(folder, "shard", "target_train", leaves=("data/shards/.target_train.scratch",))
    assert file.name in sentence and not (folder / "data/shards/target_train").exists()


def test_a_folder_that_may_not_be_read(source):
    drop = []
    if os.geteuid() == 0:
        drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        if not shutil.which(drop[0]):
            pytest.skip("root may read everything, and setpriv, which takes that right away, is not here")
    folder = source / SOURCE / "Depth"
    folder.chmod(0)
    try:
        done = subprocess.run(
            [*drop, sys.executable, "-m", "stages.fix_labels"],
            cwd=source, env=environment(), capture_output=True, text=True,
        )  # fmt: skip
    finally:
        folder.chmod(0o755)
    assert f"{SOURCE}/Depth" in Ended(done.returncode, done.stdout, done.stderr).sentence
    assert not (source / "data/fixed").exists() or not any((source / "data/fixed").iterdir())


# -- shards -------------------------------------------------------------------------------------------------------


@pytest.fixture
def shards(world: Path, copy: Copy) -> Path:
    """A folder with the source's shards, to be spoilt."""
    return copy(world, "data/shards/source")


def test_a_truncated_shard(shards):
    cut(shards / "data/shards/source/000001.tar")
    sentence = refused(shards, "translate", "none", "0")
    assert "data/shards/source: 000001.tar has" in sentence and "instead of" in sentence


def test_a_shard_with_other_bytes(shards):
    file = shards / "data/shards/source/000001.tar"
    data = bytearray(file.read_bytes())
    data[1000:1100] = bytes(100)
    file.write_bytes(data)
    sentence = refused(shards, "translate", "none", "0", leaves=("data/translated/none/.0.scratch",))
    assert "000001.tar" in sentence and "is not what was written" in sentence


def test_an_edited_index(shards):
    file = shards / "data/shards/source/index.parquet"
    table = pq.read_table(file)
    keys = pa.array([f"x{key}" for key in table["key"].to_pylist()])
    pq.write_table(table.set_column(table.schema.get_field_index("key"), "key", keys), file)
    sentence = refused(shards, "translate", "none", "0")
    assert "index.parquet is missing or is not what was written" in sentence


def test_training_on_a_set_that_was_never_made(world, copy):
    sentence = refused(copy(world), "train", "spigan", "0")
    assert "there is no shard set at data/shards/source; run the stage that makes it" in sentence


def test_a_full_disk(source, world):
    """A real process on a small real disk; with room again the same command ends well."""
    disk = source / "data/shards"
    disk.mkdir(parents=True)
    shutil.copytree(world / "data/fixed", source / "data/fixed")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here; it needs the rights of root")
    try:
        ended = run_apart(source, "-m", "stages.shard", "source")
        assert ended.sentence.startswith("error: the disk is full: data/shards/source could not be written")
        assert not (disk / "source").exists() and not list(disk.rglob("*.tmp"))
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        assert run_here(source, "shard", "source").code == 0
        assert set(contents(disk / "source")) == set(contents(world / "data/shards/source"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# -- memory and threads -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "work", "words", "leaves"),
    [
        (("train", "spigan", "0"), "pipeline.engine.loop.run_step", "step 0 with its batch of 2 crops of 32 x 32; set a smaller batch or crop", ".scratch"),
        (("translate", "spigan", "0"), "pipeline.translation.drawn", "memory is used up; ", "data/translated/spigan/.0.scratch"),
        (("evaluate", "source_only", "none", "0"), "pipeline.scoring.predict", "memory is used up; ", "-"),
    ],
)  # fmt: skip
def test_a_device_without_memory(trained, copy, monkeypatch, command, work, words, leaves):
    import torch

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(work, full)
    assert words in refused(copy(trained, "data/shards", "models"), *command, leaves=(leaves,))


# -- parameters and names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train": {"gama": 0.5}}, "'train.gama' is unknown; did you mean 'train.gamma'?"),
        ({"train": {"lr": "fast"}}, "train.lr is 'fast'"),
        ({"seeds": 0}, "seeds is a list of one or more whole numbers"),
        ({"spigan": {"features_file": "gone.pth"}}, "spigan.features_file names gone.pth, which is not there"),
    ],
)
def test_wrong_parameters(world, copy, tiny, changes, words):
    folder = copy(world)
    write_params(folder, merge(tiny, changes))
    assert words in refused(folder, "validate")


def test_wrong_parameters_stop_the_stage_that_reads_them_too(world, copy, tiny):
    folder = copy(world, "data/shards")
    write_params(folder, merge(tiny, {"train": {"gama": 0.5}}))
    assert "did you mean 'train.gamma'?" in refused(folder, "train", "spigan", "0")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("train", "spigann", "0"), "method 'spigann' is unknown; known are"),
        (("translate", "nonne", "0"), "method 'nonne' is unknown; known are"),
        (("translate", "oracle", "0"), "method 'oracle' is a segmenter, not a translator"),
        (("train", "none", "0"), "method 'none' is a rival"),
        (("segment", "spigan", "none", "0"), "method 'spigan' is a translator"),
        (("train", "source_only", "0"), "method 'source_only' is a segmenter"),
        (("shard", "sourze"), "set 'sourze' is unknown; known are source"),
        (("shard", "sequences"), "'sequences' needs the name of a folder in data/raw"),
        (("simulate", "sauce"), "the world has no part 'sauce'"),
    ],
)
def test_unknown_names(world, copy, command, words):
    assert words in refused(copy(world, "data/shards", "data/translated"), *command)


def test_a_traceback_is_there_for_who_asks(tmp_path):
    """Real processes: the sentence and its exit code, and what --debug shows instead."""
    plain = run_apart(tmp_path, "-m", "stages.validate")
    assert plain.sentence == "error: params.yaml is missing"
    asked = run_apart(tmp_path, "-m", "stages.validate", "--debug")
    assert asked.code == 1 and "Traceback (most recent call last)" in asked.err and "UserError" in asked.err


# -- pictures that are not what they seem -------------------------------------------------------------------------


def promise(width: int, height: int) -> bytes:
    """A PNG whose header promises width x height pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + head + b"\0\0\0\0IEND\xaeB`\x82"


def translate(trained: Path, images: Path, out: Path, *more: str) -> Ended:
    model = str(trained / "models/translators/spigan/0")
    return run_here(images.parent, "translate", "--model", model, "--images", str(images), "--out", str(out), *more)


def test_a_picture_of_1600_megapixels_is_refused_unread_and_the_others_are_translated(trained, tmp_path):
    images, out = tmp_path / "in", tmp_path / "out"
    images.mkdir()
    (images / "huge.png").write_bytes(promise(40_000, 40_000))
    (images / "cut.png").write_bytes(encode_png(np.zeros((32, 32, 3), np.uint8))[:-20])
    cv2.imwrite(str(images / "good.png"), np.full((32, 32, 3), 99, np.uint8))
    sentence = translate(trained, images, out).sentence
    assert sentence.splitlines()[0].startswith("error: 2 of 3 pictures could not be translated; the others are in ")
    assert "huge.png is 40000 x 40000 pixels" in sentence and "cut.png: the PNG is cut short" in sentence
    assert list(contents(out)) == ["good.png"]
