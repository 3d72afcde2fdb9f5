"""IDX, the files of MNIST (LeCun, Cortes, Burges) and of those made after it; digits in grey, with a class each.

train-images-idx3-ubyte[.gz]   big-endian: 0x803, count, height, width, then a byte for every pixel
train-labels-idx1-ubyte[.gz]   0x801, count, then a byte for every picture; may be left out
t10k-images-idx3-ubyte[.gz], t10k-labels-idx1-ubyte[.gz]

Before 'idx' a '.' may stand. Where a file lies beside its own .gz, it is taken and the .gz left. t10k is the split test.
The class of a picture is in its meta as `category`, an integer: digits10 names MNIST's, EMNIST's go beyond it.
"""

import gzip
import io
import math
import re
import zlib
from functools import partial

import numpy as np

from pipeline.classes import DIGITS10
from pipeline.datasets import rows
from pipeline.datasets.base import Dataset, Item, Options, make_dataset, safe_key, wrong_layout
from pipeline.datasets.source import File, Source
from pipeline.files import MAX_BYTES, UserError, problems

LAYOUT = "IDX files (train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., each also as .gz)"
NAME = re.compile(r"(train|t10k)-(images|labels)[-.]idx[13]-ubyte(?:\.gz)?")
SPLITS = {"train": "train", "t10k": "test"}
PICTURES, LABELS = 0x803, 0x801
KINDS = {PICTURES: "pictures", LABELS: "labels"}

Found = dict[tuple[str, str], File]  # (train or t10k, images or labels)
Arrays = dict[tuple[str, str], np.ndarray]


def open_idx(source: Source, options: Options) -> Dataset:
    """IDX files as a Dataset; all of them are read, so that a damaged one is known before anything else happens."""
    found = _find(source)
    arrays = _load(source, found)
    items = [item for part in SPLITS if (part, "images") in found for item in _items(part, found, arrays)]
    stray = [str(file) for (part, _), file in found.items() if (part, "images") not in found]
    decoders = {"image": partial(rows.picture, shape=next(iter(_shapes(arrays))))}
    return make_dataset("idx", source, DIGITS10.name, decoders, items, options, stray)


def _items(part: str, found: Found, arrays: Arrays) -> list[Item]:
    shown, truth, items = arrays[part, "images"], arrays.get((part, "labels")), []
    for index in range(len(shown)):
        row, frame = rows.Row(pictures, found[part, "images"], "", index, shown[0].nbytes), f"{index:05d}"
        meta = {} if truth is None else {"category": int(truth[index])}
        items.append(Item(safe_key(part, frame), SPLITS[part], part, frame, {"image": row}, meta))
    return items


def _load(source: Source, found: Found) -> Arrays:
    """All arrays. Raises one UserError that lists the bad files, and those that do not belong together."""
    arrays, mistakes = {}, []
    for (part, kind), file in found.items():
        try:
            arrays[part, kind] = rows.array(pictures if kind == "images" else labels, file)
        except UserError as error:
            mistakes.append(str(error))
    for part in SPLITS:
        truth, shown = arrays.get((part, "labels")), arrays.get((part, "images"))
        if truth is not None and shown is not None and len(truth) != len(shown):
            file, other = found[part, "labels"], found[part, "images"]
            mistakes.append(f"{file} has {len(truth)} labels, but {other} {len(shown)} pictures")
    if len(shapes := _shapes(arrays)) > 1:
        mistakes.append(f"pictures have several sizes: {', '.join(f'{w} x {h}' for h, w in sorted(shapes))}")
    if mistakes:
        raise problems(f"{source.where} holds IDX files that do not do; fetch them again:", mistakes)
    return arrays


def _shapes(arrays: Arrays) -> set[tuple[int, ...]]:
    return {array.shape[1:] for (_, kind), array in arrays.items() if kind == "images"}


def _find(source: Source) -> Found:
    """The files by what they are. Raises UserError where there are no pictures, or several files of one kind."""
    found: dict[tuple[str, str], str] = {}
    folders = set()
    for name in source.names():  # a name precedes the same with .gz
        folder, _, leaf = name.rpartition("/")
        if match := NAME.fullmatch(leaf):
            folders.add(folder)
            known = found.setdefault((match[1], match[2]), name)
            if folder == known.rpartition("/")[0] and name not in (known, f"{known}.gz"):
                raise UserError(f"{source.where} holds {known} and {name}, which are the same part; take one away")
    if len(folders) > 1:
        shown = ", ".join(map(repr, sorted(folders)))
        raise UserError(f"{source.where} holds IDX files in several folders ({shown}); name one by the option 'inside'")
    if not any(kind == "images" for _, kind in found):
        raise wrong_layout(source, LAYOUT)
    return {part: source.files[name] for part, name in found.items()}


def pictures(file: File, name: str = "") -> np.ndarray:
    """uint8 (N, H, W)."""
    return _read(file, PICTURES)


def labels(file: File, name: str = "") -> np.ndarray:
    """uint8 (N,)."""
    return _read(file, LABELS)


def _read(file: File, expected: int) -> np.ndarray:
    """The array of an IDX file, plain or gzip, never more of it than its header promises and MAX_BYTES allows."""
    data = file.read()
    stream = gzip.GzipFile(fileobj=io.BytesIO(data)) if data[:2] == b"\x1f\x8b" else io.BytesIO(data)
    try:
        shape = _header(stream.read(16 if expected == PICTURES else 8), expected, str(file))
        length = math.prod(shape)
        if not 0 < length <= MAX_BYTES:
            raise UserError(f"{file} promises {length:,} bytes; 1 to {MAX_BYTES:,} are read")
        rows.check_count(shape[0], str(file))
        body = stream.read(length + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{file} cannot be unpacked ({error}); fetch it again") from None
    if len(body) != length:
        there = f"only {len(body):,}" if len(body) < length else "more"
        raise UserError(f"{file} promises {length:,} values ({' x '.join(map(str, shape))}) and holds {there}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _header(head: bytes, expected: int, where: str) -> tuple[int, ...]:
    """The array's shape."""
    magic = int.from_bytes(head[:4], "big")
    if magic in KINDS and magic != expected:
        raise UserError(f"{where} holds {KINDS[magic]}, its name says {KINDS[expected]}; are two files swapped?")
    if magic != expected or len(head) < (16 if expected == PICTURES else 8):
        raise UserError(
            f"{where} is no IDX file of {KINDS[expected]}: it does not begin with {expected:#010x} and sizes"
        )
    return tuple(np.frombuffer(head[4:], ">u4").tolist())
