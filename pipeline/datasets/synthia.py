"""SYNTHIA: RAND-CITYSCAPES and the sequences, with the label files that circulate (Ros et al., CVPR 2016).

    RGB/0000000.png           8-bit RGB
    GT/LABELS/0000000.png     16-bit, 3 channels: R = class id, G = instance id, B unused   (labels: raw16)
    parsed_LABELS/0000000.png 8-bit, 1 channel: the same class ids                          (labels: parsed_ids)
    synthia_mapped_to_cityscapes/0000000.png, or GT/LABELS/0000000_labelTrainIds.png        (labels: train_ids)
    Depth/0000000.png         16-bit centimetres, the same in each of 3 channels
    GT/COLOR/                 for looking only: wall and lane marking share one colour

A sequence has the same folders below its own name, and cameras below those: SEQ/RGB/Stereo_Left/Omni_F/000000.png.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from pipeline import planes
from pipeline.classes import CITYSCAPES19, IGNORE, synthia_known_ids, synthia_lut
from pipeline.datasets.base import Dataset, Decoder, Item, Options, make_dataset, safe_key, wrong_layout
from pipeline.datasets.source import File, Source
from pipeline.files import UserError, decode_image, picture_header

Table = Literal["rand_cityscapes", "seqs"]
Kind = Literal["raw16", "parsed_ids", "train_ids"]

# Where each kind of label is published, most particular first.
FOLDERS: dict[str, tuple[str, ...]] = {
    "raw16": ("GT/LABELS",),
    "parsed_ids": ("parsed_LABELS", "GT/parsed_LABELS", "GT/LABELS"),
    "train_ids": ("synthia_mapped_to_cityscapes", "labels", "GT/LABELS"),
}
SUFFIX = "_labelTrainIds"
COLOUR_REASON = (
    "it is 8-bit colour, like GT/COLOR, where wall and lanemarking share one colour, so ids cannot be got back; "
    "name GT/LABELS"
)
TRAIN_IDS = frozenset(range(len(CITYSCAPES19))) | {IGNORE}


class SynthiaOptions(Options):
    """What cannot be seen in a file must be said."""

    table: Table = Field(
        description="'rand_cityscapes' or 'seqs' (id 12 is motorcycle in the one, lane marking in the other)"
    )
    labels: Kind = Field(description="'raw16', 'parsed_ids' or 'train_ids' (docs/labels.md says which you have)")
    lanemarking: Literal["road", "void"] = "road"
    label_folder: str = ""  # where labels do not lie in a published folder: its name beside RGB


class Place(NamedTuple):
    """Where the label of a picture is looked for: head/FOLDER/tail."""

    head: str
    tail: str


def open_synthia(source: Source, options: SynthiaOptions) -> Dataset:
    """SYNTHIA as a Dataset of cityscapes19; instance only from raw16."""
    places = dict(_pictures(source))
    if not places:
        raise wrong_layout(source, "SYNTHIA (RGB/*.png, GT/LABELS/*.png, Depth/*.png)")
    folder, suffix = _label_folder(source, places, options)
    several = len({place.head for place in places.values()}) > 1  # the name of a lone package is no part of the keys
    items = [_item(source, name, place, folder, suffix, options, several) for name, place in places.items()]
    used = {str(file) for item in items for file in item.files.values()}
    stray = [name for name in source.files if f"/{folder}/" in f"/{name}" and str(source.files[name]) not in used]
    return make_dataset("synthia", source, CITYSCAPES19.name, decoders(options), items, options, stray)


def _pictures(source: Source) -> Iterator[tuple[str, Place]]:
    for name in source.files:
        if found := re.fullmatch(r"((?:.*/)?)RGB/(.+\.png)", name, re.IGNORECASE):
            yield name, Place(found[1], found[2])


def _label_folder(source: Source, places: dict[str, Place], options: SynthiaOptions) -> tuple[str, str]:
    """The folder with the declared labels, and the ending of their names."""
    folders = (options.label_folder.strip("/"),) if options.label_folder else FOLDERS[options.labels]
    suffixes = (SUFFIX, "") if options.labels == "train_ids" else ("",)
    for folder in folders:
        for suffix in suffixes:
            if any(_name(place, folder, suffix) in source.files for place in places.values()):
                return folder, suffix
    found = _folders(source)
    colour = " (GT/COLOR will not do: wall and lanemarking share one colour)" if "COLOR" in str(found) else ""
    raise UserError(
        f"{source.where} has no labels for its pictures: 'labels: {options.labels}' lie in {' or '.join(folders)}, "
        f"found {', '.join(found) or 'none'}{colour}; fetch them or declare what you have (labels, label_folder)"
    )


def _folders(source: Source) -> list[str]:
    return sorted({name.rpartition("/")[0] for name in source.files} - {""})[:8]


def _name(place: Place, folder: str, suffix: str) -> str:
    return f"{place.head}{folder}/{place.tail[:-4]}{suffix}.png"


def _item(
    source: Source, name: str, place: Place, folder: str, suffix: str, options: SynthiaOptions, several: bool
) -> Item:
    files: dict[str, File] = {"image": source.files[name]}
    if label := source.files.get(_name(place, folder, suffix)):
        files["label"] = label
        if options.labels == "raw16":
            files["instance"] = label
    if depth := source.files.get(_name(place, "Depth", "")):
        files["depth"] = depth
    camera, _, leaf = place.tail.rpartition("/")
    sequence = "/".join(part for part in (place.head.rstrip("/") if several else "", camera) if part)
    return Item(safe_key(*sequence.split("/"), leaf[:-4]), "train", sequence, leaf[:-4], files)


def decoders(options: SynthiaOptions) -> dict[str, Decoder]:
    """How each part is decoded under these options."""
    read: dict[str, Decoder] = {
        "image": planes.image,
        "label": partial(label, kind=options.labels, table=options.table, lanemarking=options.lanemarking),
        "depth": planes.depth,
    }
    return read | ({"instance": raw16_instance} if options.labels == "raw16" else {})


def label(data: bytes, where: str, kind: Kind, table: Table, lanemarking: str) -> np.ndarray:
    """trainIds of cityscapes19 (H, W) uint8. Raises UserError where the file contradicts what was declared."""
    _declared(data, where, kind)
    if kind == "train_ids":
        return _train_ids(planes.plane8(data, where), where)
    ids = raw16(data, where)[..., 0] if kind == "raw16" else planes.plane8(data, where)
    hint = ""
    if kind == "parsed_ids" and (ids == IGNORE).any():
        hint = "255 is the void of trainIds: declare labels: train_ids"
    elif table == "seqs" and 0 < ids.max(initial=0) <= max(synthia_known_ids("rand_cityscapes")):
        hint = "ids 16 to 22 belong to table: rand_cityscapes"
    return planes.look_up(ids, synthia_lut(table, lanemarking), synthia_known_ids(table), where, hint)


def _train_ids(ids: np.ndarray, where: str) -> np.ndarray:
    raw = sorted({int(i) for i in np.unique(ids)} & set(range(19, 23)))
    hint = "19 to 22 are SYNTHIA's own ids: declare labels: parsed_ids" if raw else ""
    return planes.look_up(ids, np.arange(256, dtype=np.uint8), TRAIN_IDS, where, hint)


def _declared(data: bytes, where: str, kind: Kind) -> None:
    """Compare the file's header with the declared kind."""
    _, _, bits, channels = picture_header(data, where)
    if bits == 8 and channels >= 3:
        raise UserError(f"{where} is refused as a label: {COLOUR_REASON}")
    if kind == "raw16" and bits != 16:
        raise UserError(f"{where} is {bits}-bit, but labels: raw16 means 16-bit; declare parsed_ids or train_ids")
    if kind == "raw16" and channels != 3:
        raise UserError(f"{where} has {channels} channel(s), but labels: raw16 means 3 (class, instance, empty)")
    if kind != "raw16" and bits == 16:
        raise UserError(f"{where} is 16-bit, but labels: {kind} means 8-bit; declare labels: raw16")


def raw16(data: bytes, where: str) -> np.ndarray:
    """GT/LABELS as stored: uint16 (H, W, 3) in RGB order: class, instance, empty."""
    stored = decode_image(data, where, kind="unchanged")
    if stored[..., 2].any() and not stored[..., 0].any():
        raise UserError(f"{where}: red is empty and blue is not, so somebody swapped its channels; fetch the original")
    return stored


def raw16_instance(data: bytes, where: str) -> np.ndarray:
    """Instance ids (H, W) uint16 of a raw16 file; 0 where nothing moves."""
    _declared(data, where, "raw16")
    return np.ascontiguousarray(raw16(data, where)[..., 1])
