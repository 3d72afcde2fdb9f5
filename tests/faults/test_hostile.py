"""Files made to do harm: refused in sentences, nothing run, nothing written elsewhere, no memory taken for a promise.

Names that lead out of an archive, links and devices in one are in tests/datasets/test_source.py; packed IDX files that
promise too much in test_readers_anomaly.py there; pickles with code in tests/stages/test_import_weights.py.
"""

import io
import json
import os
import pickle
import resource
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline.datasets import open_dataset
from pipeline.datasets.source import open_source
from pipeline.engine.model import load_model, save_model
from pipeline.files import UserError, decode_image, encode_png, read_json, sha256_file
from pipeline.methods import method_module
from pipeline.nets.weights import read_weights
from pipeline.params import read_yaml
from pipeline.sample import Sample, decode
from pipeline.shards.footer import most_values
from pipeline.shards.index import ShardSet
from pipeline.shards.layout import SCHEMA, set_digest
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards

GREY = np.zeros((3, 4), np.uint8)
MEBIBYTES = 1 << 20


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """No test here may take 300 MB more than its process holds already; what asks for more gets a MemoryError."""
    used = next(
        int(line.split()[1]) << 10
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmData")
    )
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (used + 300 * MEBIBYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def refused(call: Callable[[], object], *said: str) -> str:
    """The sentence of the UserError, which holds these words, and no line of another kind."""
    with pytest.raises(UserError) as caught:
        call()
    first, *others = str(caught.value).split("\n")
    assert all(words in str(caught.value) for words in said), caught.value
    assert len(first) < 800 and all(line.startswith("  ") for line in others)
    return first


# -- archives -----------------------------------------------------------------------------------------------------


def test_a_sparse_tar_member_is_refused(tmp_path):
    """Of GNU's kind: a member of a few bytes that is told to be a terabyte."""
    info = tarfile.TarInfo("a.png")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"\x80" + (1 << 40).to_bytes(11, "big")
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:]) + 8 * 32)
    (tmp_path / "a.tar").write_bytes(header + bytes(1024))
    refused(lambda: open_source(tmp_path / "a.tar"), "a.png: it is a link or a special file")


def test_a_name_that_breaks_a_sentence_is_refused(tmp_path):
    for name in ("a\nerror: all is well.png", "\x1b[2Ja.png"):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr(name, b"x")
        said = refused(lambda: open_source(tmp_path / "a.zip"), "its name holds control characters")
        assert "\x1b" not in said


@pytest.mark.parametrize("change", [(8, 10, 99), (6, 8, 0xFF), (4, 6, 0xFF), (26, 28, 0xFF)])
def test_damaged_zips_end_in_sentences(tmp_path, change):
    """Compression, flags, version and length of a name that cannot be: zipfile raises something else for each."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("train/a.png", encode_png(GREY))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    local, listed, value = change
    data[local] = data[data.index(b"PK\1\2") + listed] = value
    (tmp_path / "a.zip").write_bytes(data)

    def read() -> None:
        dataset = open_dataset("folder", tmp_path / "a.zip")
        dataset.read(dataset.items()[0])

    refused(read)


def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.datasets.source.MAX_BYTES", 10 * MEBIBYTES)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(11 * MEBIBYTES))
    assert (tmp_path / "a.zip").stat().st_size < 20_000
    dataset = open_dataset("folder", tmp_path / "a.zip")
    refused(lambda: dataset.read(dataset.items()[0]), "a.png has 11,534,336 bytes, more than the 10,485,760")


# -- pictures and arrays ------------------------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    """A PNG of this size whose few bytes of pixels are zeros, packed."""
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"IDAT": zlib.compress(bytes(99)),
        b"IEND": b"",
    }
    packed = [struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks.items()]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def test_pictures_of_a_thousand_million_pixels_are_refused_unread():
    for width, height in ((40_000, 40_000), (2**31 - 1, 2**31 - 1), (1, 2**32 - 1), (0, 5)):
        refused(lambda width=width, height=height: decode_image(png(width, height), "a.png"), "pixels, more than the")


def test_a_chunk_of_a_png_that_is_longer_than_its_file_is_refused_unread():
    """OpenCV would take 2.6 and 1.1 GB; found by benchmarks.fuzz."""
    sound = encode_png(GREY)
    for length, kind in ((0x9F00F113, b"IDAT"), (0x45000000, b"IEND")):
        at = sound.index(kind)
        bomb = sound[: at - 4] + struct.pack(">I", length) + sound[at:]
        refused(lambda bomb=bomb: decode_image(bomb, "a.png"), "the PNG is cut short")


def test_a_tiff_without_a_number_of_bits_is_refused():
    """Its tag is there, with no value; found by benchmarks.fuzz."""
    sound = cv2.imencode(".tiff", GREY)[1].tobytes()
    tag = struct.pack("<HHI", 258, 3, 1)
    assert tag in sound
    refused(lambda: decode_image(sound.replace(tag, struct.pack("<HHI", 258, 3, 0)), "a.tif"), "is no plain TIFF")


def test_an_array_file_of_too_many_pictures_is_refused(tmp_path):
    """Pictures of one pixel: a thousandth of their number of bytes when packed, but a name in memory for each."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (3 * MEBIBYTES, 1, 1)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("train_images.npy", head.getvalue() + bytes(3 * MEBIBYTES))
    refused(lambda: open_dataset("npz", tmp_path), "3,145,728 pictures, more than the 2,000,000 that are read")


def test_a_member_of_a_tar_that_is_longer_than_any_file_is_refused(tmp_path):
    """Found by benchmarks.fuzz."""
    huge = tarfile.TarInfo("a.png")
    huge.size = 2**63
    (tmp_path / "a.tar").write_bytes(huge.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    refused(lambda: open_source(tmp_path / "a.tar"), "is not a whole tar archive")


def test_names_in_an_array_file_do_not_break_the_sentence(tmp_path):
    """Found by benchmarks.fuzz."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a\nb\x1b[2J.npy", b"")
    assert "a?b?[2J.npy" in refused(lambda: open_dataset("npz", tmp_path), "is not in the expected layout")


def test_code_in_an_array_is_not_run(tmp_path):
    trap = np.empty(1, object)
    trap[0] = Trap(tmp_path / "ran")
    np.savez(tmp_path / "a.npz", train_images=np.zeros((1, 8, 8), np.uint8), train_labels=trap)
    refused(lambda: open_dataset("npz", tmp_path), "train_labels is object")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("train_images.npy", pickle.dumps(Trap(tmp_path / "ran")))
    refused(lambda: open_dataset("npz", tmp_path), "cannot be unpacked")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("header", ["{", "-" * 9000, "[]\0", "1", "{'descr': 'O8', 'fortran_order': 0, 'shape': (1,)}"])
def test_headers_of_arrays_that_are_none(tmp_path, header):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        text = header.encode()
        archive.writestr("train_images.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text)
    refused(lambda: open_dataset("npz", tmp_path), "a.npz")


# -- parameters and JSON ------------------------------------------------------------------------------------------


def laughs(merge: bool) -> str:
    """Ten lines that stand for a thousand million values."""
    inner = "{{<<: [{}]}}" if merge else "[{}]"
    lines = [f"a{n}: &a{n} {inner.format(', '.join([f'*a{n - 1}'] * 9))}" for n in range(1, 10)]
    return "\n".join(["a0: &a0 {x: 1, y: 2}", *lines])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (laughs(False), "aliases (*name) are not read"),
        (laughs(True), "aliases (*name) are not read"),
        ("a: &a [*a]", "aliases (*name) are not read"),
        ("a: " + "{a: " * 50_000, "depth"),
        ("- " * 50_000, "depth"),
        ("a: !!python/object/apply:os.mkdir [ran]", "could not determine a constructor for the tag"),
        ("a: !!python/name:os.mkdir", "could not determine a constructor for the tag"),
        ("a: 2001-99-99", "is not valid YAML"),
        ("a: " + "1" * 5000, "is not valid YAML"),
        ("a: !!bool x", "is not valid YAML"),
    ],
)
def test_yaml_that_runs_or_grows_is_refused(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(text)
    refused(lambda: read_yaml("params.yaml"), said)
    assert not Path("ran").exists()


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"\xff", b'"'])
def test_json_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text)
    refused(lambda: read_json(tmp_path / "a.json"), "a.json is not valid JSON")
    refused(lambda: decode("a", {"meta.json": text}), "a.meta.json is no JSON object")


def test_a_config_of_vistas_that_is_nested_deeply_is_refused(tmp_path):
    for name, data in (("training/images/a.png", encode_png(GREY)), ("config.json", b"[" * 100_000)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    refused(lambda: open_dataset("vistas", tmp_path), "has no list 'labels'")


# -- shards -------------------------------------------------------------------------------------------------------


@pytest.fixture
def shards(tmp_path) -> Path:
    def make(i: int) -> Sample:
        return Sample(f"a{i}", label=GREY, meta={"frame": i})

    settings = ShardSettings(image_format="png")
    write_shards(make, range(2), tmp_path / "set", classes="cityscapes19", split="train", settings=settings)
    return tmp_path / "set"


def described(folder: Path, table: pa.Table, **changes: Any) -> None:
    """An index with its digests, as somebody who means harm would write it."""
    pq.write_table(table, folder / "index.parquet")
    description = json.loads((folder / "set.json").read_text()) | {"index": sha256_file(folder / "index.parquet")}
    description |= {"pictures": len(table), "digest": set_digest(table["digest"].to_pylist())} | changes
    (folder / "set.json").write_text(json.dumps(description))


@pytest.mark.parametrize("name", ["../000000.tar", "{parent}/000000.tar", "000000.tar/../000000.tar", "a\n.tar"])
def test_a_shard_elsewhere_is_not_read(shards, name):
    (shards / "000000.tar").rename(shards.parent / "000000.tar")
    name = name.format(parent=shards.parent)
    description = json.loads((shards / "set.json").read_text())
    description["shards"][0]["name"] = name
    (shards / "set.json").write_text(json.dumps(description))
    refused(lambda: ShardSet.open(shards), "is no name of a shard")


@pytest.mark.parametrize("size", [3, "ab", [1], [1, "a"]])
def test_a_description_of_another_shape_is_refused(shards, size):
    described(shards, pq.read_table(shards / "index.parquet"), size=size)
    refused(lambda: ShardSet.open(shards), "set.json is damaged")


@pytest.mark.parametrize(
    "changes", [{"key": "a\x1b[2J"}, {"class_histogram": [1]}, {"class_histogram": [None] * 20}, {"shard": "../a.tar"}]
)
def test_rows_that_lie_are_refused(shards, changes):
    rows = pq.read_table(shards / "index.parquet").to_pylist()
    described(shards, pa.Table.from_pylist([rows[0] | changes, rows[1]], SCHEMA))
    refused(lambda: ShardSet.open(shards), "is damaged" if "shard" in changes else "set: 'a")


@pytest.mark.parametrize("place", [(-1, 5), (0, 0), (0, 1 << 62), (1 << 62, 1)])
def test_members_outside_their_shard_are_refused(shards, place):
    rows = pq.read_table(shards / "index.parquet").to_pylist()
    rows[0]["members"][0] |= {"offset": place[0], "size": place[1]}
    described(shards, pa.Table.from_pylist(rows, SCHEMA))
    refused(lambda: ShardSet.open(shards), "a0.label.png lies outside its shard")


def test_an_index_of_too_many_rows_is_refused_unread(shards):
    """Runs of one value pack without bound: kilobytes may be gigabytes as a list of rows."""
    row = pq.read_table(shards / "index.parquet").slice(0, 1)
    described(shards, row.take(pa.array(np.zeros(4000, np.int64))))
    refused(lambda: ShardSet.open(shards), "index.parquet has more rows than its shards can hold")


def test_an_index_with_a_row_of_too_many_values_is_refused_unread(shards):
    rows = pq.read_table(shards / "index.parquet").to_pylist()
    described(shards, pa.Table.from_pylist([rows[0] | {"class_histogram": [0] * 40_000}, rows[1]], SCHEMA))
    refused(lambda: ShardSet.open(shards), "index.parquet has more rows than its shards can hold")


def test_an_index_whose_footer_contradicts_itself_is_refused(shards):
    """pyarrow's own way to ask a column's number of values ends the process; found by benchmarks.fuzz."""
    index = shards / "index.parquet"
    data, optional, required = index.read_bytes(), b"\x25\x02\x18\x08sequence", b"\x25\x00\x18\x08sequence"
    assert optional in data  # a field of its schema
    index.write_bytes(data.replace(optional, required, 1))
    description = read_json(shards / "set.json") | {"index": sha256_file(index)}
    (shards / "set.json").write_text(json.dumps(description))
    refused(lambda: ShardSet.open(shards), "index.parquet cannot be read")


def test_a_footer_tells_as_many_values_as_pyarrow_does(tmp_path):
    file = tmp_path / "a.parquet"
    table = pa.table({"a": range(50), "b": [[1, 2, 3]] * 50, "c": [None] * 50, "d": [{"x": 1.5, "y": [True]}] * 50})
    for options in ({}, {"row_group_size": 7}, {"compression": "zstd", "write_page_index": True}):
        pq.write_table(table, file, **options)
        assert most_values(file) == 150
    for cut in (b"", b"PAR1", file.read_bytes()[-40:]):
        file.write_bytes(cut)
        with pytest.raises((ValueError, IndexError)):
            most_values(file)


def test_flow_of_another_kind_is_refused():
    refused(lambda: decode("a", {"flow.png": encode_png(GREY)}), "expected three channels of uint16")


# -- weights ------------------------------------------------------------------------------------------------------


def test_weights_that_promise_more_than_they_hold_are_refused(tmp_path):
    for name, promised in (("a", torch.zeros(1).expand(1 << 20, 1 << 20)), ("b", torch.empty(1 << 40, device="meta"))):
        torch.save({"model.1.weight": promised}, tmp_path / f"{name}.pth")
        refused(lambda name=name: read_weights(tmp_path / f"{name}.pth"), "promises more values of model.1.weight")


def test_weights_whose_names_break_a_sentence_are_refused(tmp_path):
    """Found by benchmarks.fuzz."""
    torch.save({"model.1\nweight": torch.zeros(1)}, tmp_path / "a.pth")
    refused(lambda: read_weights(tmp_path / "a.pth"), "holds no plain table of weights")


def test_a_safetensors_header_of_gigabytes_is_refused(tmp_path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [1 << 30], "data_offsets": [0, 4 << 30]}}).encode()
    for length in (len(header), 4 << 30, 1 << 63):
        (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", length) + header)
        refused(lambda: read_weights(tmp_path / "a.safetensors"), "is not a readable weights file")


def test_packed_weights_are_refused(tmp_path):
    torch.save({"a": torch.zeros(9)}, tmp_path / "sound.pth")
    with zipfile.ZipFile(tmp_path / "sound.pth") as sound, zipfile.ZipFile(tmp_path / "a.pth", "w", 8) as bomb:
        for name in sound.namelist():
            bomb.writestr(name, bytes(5 * MEBIBYTES) if name.endswith("data/0") else sound.read(name))
    assert (tmp_path / "a.pth").stat().st_size < MEBIBYTES
    refused(lambda: read_weights(tmp_path / "a.pth"), "is packed, which weights never are")


@pytest.mark.parametrize(
    "data", [b"", b"x", b"\x80\x02", b"PK\3\4" + bytes(60), b"\x80\x02}q\0(X\1\0\0\0aK\1s.", pickle.dumps([1] * 9)]
)
def test_noise_is_no_weights(tmp_path, data):
    (tmp_path / "a.pth").write_bytes(data)
    refused(lambda: read_weights(tmp_path / "a.pth"), "a.pth")


@pytest.mark.parametrize(
    "edit", [{"generator_width": 1 << 40}, {"generator_width": 30_000}, {"generator_blocks": 1 << 40}]
)
def test_a_model_whose_parameters_ask_for_terabytes_is_refused(tmp_path, edit):
    own = {"generator_width": 1, "generator_blocks": 1, "upsampling": "transposed"}
    nets = method_module("cyclegan").exported({"cyclegan": own}, 19)
    save_model(tmp_path / "m", "cyclegan", nets, {"cyclegan": own | edit}, "cityscapes19", "0" * 64, "# card\n")
    refused(lambda: load_model(tmp_path / "m", "cpu"), "params.yaml")
