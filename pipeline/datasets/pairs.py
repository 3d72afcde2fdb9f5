"""Aligned pairs of pictures: the same view twice, such as by day and by night, or a photograph and a drawing of it.

    SPLIT/NAME.jpg                       side_by_side: both in one picture, left and right        (facades)
    day/NAME.png, night/NAME.png         folders: two folders, partners have the same name        (the world, Alderley)
    SPLIT/day/NAME.png, day/SPLIT/...    with splits

A folder named train, val or test is the split. Where none is val, the last `val_share` of train is: of every sequence,
which is the rest of the path, its end, because neighbouring frames of a drive are nearly the same picture.
"""

from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipeline import planes
from pipeline.classes import CITYSCAPES19
from pipeline.datasets.base import (
    PICTURES,
    Dataset,
    Decoder,
    Item,
    Options,
    make_dataset,
    safe_key,
    take_end,
    wrong_layout,
)
from pipeline.datasets.source import File, Source
from pipeline.files import UserError

SPLITS = ("train", "val", "test")
SHOWN = 3  # examples in a sentence
Half = Literal["left", "right"]


class PairOptions(Options):
    """How the two pictures of a pair lie."""

    layout: Literal["side_by_side", "folders"] = Field(description="side_by_side or folders")
    folders: Annotated[list[str], Field(min_length=2, max_length=2)] = ["day", "night"]  # of `image`, of `paired`
    image_half: Half = "left"  # side_by_side: which half is `image`; the other is `paired`
    val_share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    dev_share: float = Field(default=0.0, ge=0, lt=1)


def open_pairs(source: Source, options: PairOptions) -> Dataset:
    """Pairs as a Dataset whose items have the parts `image` and `paired`.

    Raises UserError where nothing fits the layout and for pictures that have no partner.
    """
    decoders: dict[str, Decoder]
    pictures = {PurePosixPath(name): file for name, file in source.files.items() if name.lower().endswith(PICTURES)}
    if options.layout == "side_by_side":
        decoders = {"image": partial(half, side=options.image_half), "paired": partial(half, side=_other(options))}
        items = [_item(path.with_suffix(""), {"image": file, "paired": file}) for path, file in pictures.items()]
    else:
        decoders = {"image": planes.image, "paired": planes.image}
        items = [_item(path, files) for path, files in _partners(source, pictures, options.folders).items()]
    if not items:
        expected = "side by side" if options.layout == "side_by_side" else f"in {'/ and '.join(options.folders)}/"
        raise wrong_layout(source, f"pairs of pictures {expected}")
    made = make_dataset("pairs", source, CITYSCAPES19.name, decoders, items, options)
    if any(item.split == "val" for item in items):
        return made
    return replace(made, all_items=take_end(made.all_items, options.val_share, "val"))


def half(data: bytes, where: str, side: Half) -> np.ndarray:
    """One half of a picture of two: uint8 RGB (H, W / 2, 3). Raises UserError where the width is odd."""
    both = planes.image(data, where)
    width = both.shape[1]
    if width % 2:
        raise UserError(f"{where} is {width} pixels wide, so it has no two equal halves; are these pairs side by side?")
    return both[:, : width // 2] if side == "left" else both[:, width // 2 :]


def _other(options: PairOptions) -> Half:
    return "right" if options.image_half == "left" else "left"


def _partners(
    source: Source, pictures: dict[PurePosixPath, File], folders: list[str]
) -> dict[PurePosixPath, dict[str, File]]:
    """Name without its folder and ending -> both files."""
    found: dict[PurePosixPath, dict[str, File]] = {}
    for path, file in pictures.items():
        for part, folder in zip(("image", "paired"), folders, strict=True):
            if folder in path.parent.parts:
                rest = list(path.with_suffix("").parts)
                rest.remove(folder)
                pair = found.setdefault(PurePosixPath(*rest), {})
                if part in pair:
                    raise UserError(f"{pair[part]} and {file} have the same name; take one of them away")
                pair[part] = file
    alone = [str(file) for files in found.values() if len(files) < 2 for file in files.values()]
    if alone:
        examples = ", ".join(sorted(alone)[:SHOWN]) + (", ..." if len(alone) > SHOWN else "")
        raise UserError(
            f"{source.where}: {len(alone)} of {len(pictures)} pictures have no partner of the same name in "
            f"{folders[0]}/ or {folders[1]}/ ({examples}); fetch the partners or take these pictures away"
        )
    return found


def _item(path: PurePosixPath, files: dict[str, File]) -> Item:
    """The item of a pair by its path without an ending; what precedes the split's folder is no part of its name."""
    folders = list(path.parent.parts)
    split = next((name for name in folders if name in SPLITS), None)
    within = folders[folders.index(split) :] if split else folders
    sequence = "/".join(within[1:] if split else within)
    return Item(safe_key(*within, path.name), split or "train", sequence, path.name, files)
