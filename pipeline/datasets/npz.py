"""Arrays in one .npz, as MedMNIST publishes its sets (Yang et al., Scientific Data 2023): small pictures with a class each.

train_images   uint8 (N, H, W), (N, H, W, 1) or (N, H, W, 3);   val_images and test_images likewise, where there are
train_labels   integers (N,) or (N, 1)                          may be left out
train_masks    uint8 (N, H, W), 0 and 1 or 0 and 255            may be left out: the abnormal pixels
train_factors  floating (N, J), finite                          may be left out: what a picture was drawn with

The class of a picture is in its meta as `category`, whatever the integer, and its factors as `factors`, a list; the mask
is the label, of normal_abnormal.
"""

import io
import math
import tokenize
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from pipeline.classes import NORMAL_ABNORMAL
from pipeline.datasets import rows
from pipeline.datasets.base import Dataset, Item, Options, make_dataset, safe_key, wrong_layout
from pipeline.datasets.source import BAD_ZIP, CONTROL, File, Source
from pipeline.files import MAX_BYTES, UserError, problems

LAYOUT = "one .npz with arrays named train_images, train_labels, val_images, test_images ..."
SPLITS = ("train", "val", "test")
KINDS = {
    "images": "uint8 (N, H, W), (N, H, W, 1) or (N, H, W, 3)",
    "labels": "integers (N,) or (N, 1)",
    "masks": "uint8 (N, H, W)",
    "factors": "floating (N, J)",
}
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
DAMAGED = (
    *BAD_ZIP,
    SyntaxError,
    tokenize.TokenError,
    MemoryError,
    TypeError,
)  # the last four: a header of another kind


class Header(NamedTuple):
    """What is known of an array before it is unpacked."""

    shape: tuple[int, ...]
    dtype: np.dtype
    whole: bool  # as many bytes are there as that needs

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


def open_npz(source: Source, options: Options) -> Dataset:
    """The arrays of a .npz as a Dataset. Headers and labels are read and checked; pictures wait until they are read."""
    names = [name for name in source.names() if name.lower().endswith(".npz")]
    if not names:
        raise wrong_layout(source, LAYOUT)
    if len(names) > 1:
        raise UserError(f"{source.where} holds several data sets ({', '.join(names)}); give the path of one")
    file = source.files[names[0]]
    found = headers(file)
    if mistakes := [line for split in SPLITS for line in _mistakes(found, split)] or _several_sizes(found):
        raise problems(f"{file} holds arrays that do not do; save them again:", mistakes)
    items: list[Item] = []
    for name, header in found.items():
        rows.check_count(header.shape[0], f"{file}:{name}")
    for split in SPLITS:
        items += _items(file, found, split)
    stray = [f"{file}:{name}" for name in found if f"{name.split('_')[0]}_images" not in found]
    shape = _shapes(found).popitem()[0]
    decoders = {"image": partial(rows.picture, shape=shape), "label": partial(rows.mask, shape=shape)}
    return make_dataset("npz", source, NORMAL_ABNORMAL.name, decoders, items, options, stray)


def _items(file: File, found: dict[str, Header], split: str) -> list[Item]:
    arrays = {part: f"{split}_{kind}" for part, kind in (("image", "images"), ("label", "masks"))}
    sizes = {array: math.prod(found[array].shape[1:]) for array in arrays.values() if array in found}
    if arrays["image"] not in found:
        return []
    labels = load(file, f"{split}_labels").ravel() if f"{split}_labels" in found else None
    factors = _factors(file, f"{split}_factors") if f"{split}_factors" in found else None
    items = []
    for index in range(found[arrays["image"]].shape[0]):
        files = {p: rows.Row(load, file, a, index, sizes[a]) for p, a in arrays.items() if a in sizes}
        meta: dict[str, Any] = {} if labels is None else {"category": int(labels[index])}
        meta |= {} if factors is None else {"factors": factors[index]}
        items.append(Item(safe_key(split, f"{index:05d}"), split, split, f"{index:05d}", files, meta))
    return items


def _factors(file: File, name: str) -> list[list[float]]:
    """The rows of an array of factors. Raises UserError where one is not finite."""
    values = load(file, name).astype(np.float64)
    if len(bad := np.argwhere(~np.isfinite(values))):
        row, column = bad[0]
        raise UserError(f"{file}:{name}[{row}] holds {values[row, column]}; factors are finite numbers, save it again")
    return values.tolist()


# -- the file -----------------------------------------------------------------------------------------------------


def headers(file: File) -> dict[str, Header]:
    """The headers of all arrays of the layout. Raises UserError for what is no .npz, and where no array has pictures."""
    found = {}
    with _unpacking(file) as archive:
        for info in archive.infolist():
            split, _, kind = info.filename.removesuffix(".npy").partition("_")
            if split in SPLITS and kind in KINDS:
                if info.file_size > MAX_BYTES:
                    raise UserError(
                        f"{file}:{info.filename} has {info.file_size:,} bytes, more than the {MAX_BYTES:,} that are read"
                    )
                found[f"{split}_{kind}"] = _header(archive, info)
        others = CONTROL.sub("?", ", ".join(sorted(archive.namelist())[:8])) or "nothing"
    if not any(name.endswith("_images") for name in found):
        raise UserError(f"{file} is not in the expected layout: expected {LAYOUT}, found {others}")
    return found


def load(file: File, name: str) -> np.ndarray:
    """One array; nothing is unpickled."""
    with _unpacking(file) as archive, archive.open(f"{name}.npy") as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"{info.filename} has the unknown version {version}")
        shape, _, dtype = HEADERS[version](stream)
        return Header(shape, dtype, stream.tell() + math.prod(shape) * dtype.itemsize == info.file_size)


@contextmanager
def _unpacking(file: File) -> Iterator[zipfile.ZipFile]:
    data = file.read()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield archive
    except DAMAGED as error:
        raise UserError(f"{file} cannot be unpacked ({str(error)[:200]}); is it a whole .npz? Fetch it again") from None


# -- what is wrong with the arrays --------------------------------------------------------------------------------


def _mistakes(found: dict[str, Header], split: str) -> Iterator[str]:
    """A sentence for each mistake of the arrays of a split."""
    for kind, expected in KINDS.items():
        name = f"{split}_{kind}"
        if name not in found:
            continue
        if not _fits(found[name], kind):
            yield f"{name} is {found[name]}; expected {expected}"
        elif not found[name].whole:
            yield f"{name} has another length in the file than {found[name]} needs"
        elif (images := found.get(f"{split}_images")) and _fits(images, "images"):
            if found[name].shape[0] != images.shape[0]:
                yield f"{name} has {found[name].shape[0]} rows, but {split}_images {images.shape[0]} pictures"
            elif kind == "masks" and found[name].shape != images.shape[:3]:
                yield f"{name} is {found[name]}, but the pictures of {split}_images have another size: {images}"


def _fits(header: Header, kind: str) -> bool:
    shape, dtype = header.shape, header.dtype
    if not shape or min(shape) < 1:
        return False
    if kind == "labels":
        return dtype.kind in "iu" and shape[1:] in ((), (1,))
    if kind == "factors":
        return dtype.kind == "f" and len(shape) == 2
    channels = shape[3:] in ((), (1,), (3,)) if kind == "images" else shape[3:] == ()
    return dtype == np.uint8 and len(shape) >= 3 and channels


def _shapes(found: dict[str, Header]) -> dict[tuple[int, ...], str]:
    """(H, W, channels) -> an array with pictures of that shape."""
    return {(*h.shape[1:3], *(h.shape[3:] or (1,))): name for name, h in found.items() if name.endswith("_images")}


def _several_sizes(found: dict[str, Header]) -> list[str]:
    shapes = _shapes(found)
    return (
        [f"{name} has pictures of {' x '.join(map(str, s))}" for s, name in shapes.items()] if len(shapes) > 1 else []
    )
