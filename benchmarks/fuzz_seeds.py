"""Small valid files of every kind that is read: what benchmarks.fuzz begins with."""

import gzip
import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from PIL import Image

from pipeline.files import encode_jpeg, encode_png

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) % 7
RGB = np.stack([GREY, GREY, GREY], -1)
WIDE = RGB.astype(np.uint16)
PNG, LABEL, PLANE16, PNG16 = map(encode_png, (RGB, GREY, GREY.astype(np.uint16), WIDE))
JPEG = encode_jpeg(np.full((8, 8, 3), 99, np.uint8))
NAMES = ["construction--flat--road", *(f"void--{number}" for number in range(6))]
LAYOUT_OPTIONS: dict[str, dict[str, Any]] = {
    "pairs": {"layout": "folders"},
    "synthia": {"table": "rand_cityscapes", "labels": "raw16"},
}


def pictures() -> list[bytes]:
    """PNG of every kind, JPEG, TIFF and BMP."""
    others = [cv2.imencode(ending, GREY)[1].tobytes() for ending in (".tiff", ".bmp")]
    palette, bit = io.BytesIO(), io.BytesIO()
    picture = Image.fromarray(GREY, "L").convert("P")
    picture.save(palette, "PNG")
    Image.fromarray(GREY > 2).save(bit, "PNG")
    return [PNG, LABEL, PLANE16, PNG16, JPEG, *others, palette.getvalue(), bit.getvalue()]


def idx(values: np.ndarray, kind: int) -> bytes:
    return struct.pack(f">{1 + values.ndim}I", kind, *values.shape) + values.tobytes()


def npz(**arrays: np.ndarray) -> bytes:
    stored = io.BytesIO()
    np.savez(stored, **arrays)  # type: ignore[arg-type]
    return stored.getvalue()


def worlds() -> dict[str, dict[str, bytes]]:
    """Of every layout a whole small set: name -> bytes."""
    digits, classes = np.stack([GREY] * 4), np.arange(4, dtype=np.uint8)
    config = json.dumps({"labels": [{"name": name} for name in NAMES]}).encode()
    city, bits = "aachen/aachen_000000_000019", GREY % 2
    arrays = npz(train_images=digits, train_labels=classes, train_masks=digits % 2, train_factors=np.ones((4, 2)))
    lines = "TestVideoFile = {};\nTestVideoFile{end+1}.gt_frame = [1:2];\n"
    return {
        "camvid": {
            "train/0001TP_1.png": PNG, "trainannot/0001TP_1.png": LABEL, "val/0006R0_2.png": PNG, "valannot/0006R0_2.png": LABEL,
            "train.txt": b"/x/train/0001TP_1.png /x/trainannot/0001TP_1.png\n",
        },
        "cityscapes": {
            f"leftImg8bit/train/{city}_leftImg8bit.png": PNG, f"gtFine/train/{city}_gtFine_labelIds.png": LABEL,
            f"gtFine/train/{city}_gtFine_instanceIds.png": PLANE16,
        },
        "folder": {"a.png": PNG, "labels/a.png": LABEL, "instances/a.png": PLANE16, "depth/a.png": PLANE16},
        "idd_lite": {"leftImg8bit/train/0/1_image.jpg": JPEG, "gtFine/train/0/1_label.png": encode_png(np.zeros((8, 8), np.uint8))},
        "idx": {
            "train-images-idx3-ubyte": idx(digits, 0x803), "train-labels-idx1-ubyte": idx(classes, 0x801),
            "t10k-images-idx3-ubyte.gz": gzip.compress(idx(digits, 0x803), mtime=0),
        },
        "kitti": {"training/image_2/000000_10.png": PNG, "training/semantic/000000_10.png": LABEL, "training/instance/000000_10.png": PLANE16},
        "npz": {"a.npz": arrays},
        "pairs": {"day/a.png": PNG, "night/a.png": PNG},
        "sequences": {
            "s/RGB/1.png": PNG, "s/GT/LABELS/1.png": PNG16, "s/Depth/1.png": PLANE16, "s/flow/1.png": PNG16, "s/flow_back/1.png": PNG16,
        },
        "synthia": {"RGB/0000000.png": PNG, "GT/LABELS/0000000.png": PNG16, "Depth/0000000.png": PLANE16},
        "ucsd_ped": {
            "Train/Train001/001.tif": cv2.imencode(".tiff", GREY)[1].tobytes(), "Test/Test001/001.png": LABEL, "Test/Test001/002.png": LABEL,
            "Test/Test001_gt/001.bmp": cv2.imencode(".bmp", bits)[1].tobytes(), "Test/UCSDped2.m": lines.encode(),
        },
        "vistas": {
            "training/images/a.png": PNG, "training/labels/a.png": LABEL, "training/instances/a.png": PLANE16, "config.json": config,
        },
    }  # fmt: skip


def tar(members: dict[str, bytes]) -> bytes:
    stored = io.BytesIO()
    with tarfile.open(fileobj=stored, mode="w", bufsize=512) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stored.getvalue().rstrip(b"\0") + bytes(2048)


def zipped(members: dict[str, bytes]) -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # of 1980: the same every time
    return stored.getvalue()


# -- what would otherwise stop nearly every mutation at a check sum ------------------------------------------------


def mended_png(data: bytes) -> bytes:
    """The chunks of a PNG with their right check sums; other bytes as they are."""
    if data[:4] != b"\x89PNG":
        return data
    out = bytearray(data)
    for start, end in _chunks(data):
        out[end : end + 4] = struct.pack(">I", zlib.crc32(data[start:end]))
    return bytes(out)


def _chunks(data: bytes) -> Iterator[tuple[int, int]]:
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            return
        yield at + 4, end
        at = end + 4


def mended_tar(data: bytes) -> bytes:
    """The headers of a tar with their right check sums."""
    out = bytearray(data)
    for at in range(0, len(out) - 511, 512):
        if out[at + 257 : at + 262] == b"ustar":
            out[at + 148 : at + 156] = b" " * 8
            out[at + 148 : at + 156] = b"%06o\0 " % (sum(out[at : at + 512]) & 0o777777)
    return bytes(out)
