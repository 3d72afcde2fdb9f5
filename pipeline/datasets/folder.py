"""Plain pictures, with or without labels: what somebody has who has no data set.

    ROOT/**/NAME.{png,jpg}      pictures, in any folders; ROOT/images/ and ROOT/RGB/ may stand between
    ROOT/labels/**/NAME.png     optional: 8-bit trainIds of `classes`, 255 = void, same names
    ROOT/instances/**/NAME.png  optional: 16-bit;  ROOT/depth/**/NAME.png  optional: 16-bit centimetres

Photographs that nothing is labelled of are turned as the camera notes it (EXIF); beside labels a picture is as stored.

A first folder named train, val or test is the split; otherwise everything is train. The other folders are the sequence.
"""

from functools import partial

import numpy as np
from pydantic import field_validator

from pipeline import planes
from pipeline.classes import IGNORE, TABLES
from pipeline.datasets.base import (
    PICTURES,
    Dataset,
    Decoder,
    Item,
    Options,
    make_dataset,
    safe_key,
    wrong_layout,
)
from pipeline.datasets.source import Source

TRUTH = {"label": "labels", "instance": "instances", "depth": "depth"}
SPLITS = ("train", "val", "test")


class FolderOptions(Options):
    classes: str = "cityscapes19"  # table of the labels

    @field_validator("classes")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in TABLES:
            raise ValueError(f"should be one of {', '.join(TABLES)}")
        return name


def open_folder(source: Source, options: FolderOptions) -> Dataset:
    """A folder of pictures as a Dataset."""
    items, used = [], set()
    for name, file in source.files.items():
        if not name.lower().endswith(PICTURES) or name.split("/")[0] in TRUTH.values():
            continue
        first, _, rest = name.partition("/")
        inner = (rest if first in ("images", "RGB") and rest else name).rpartition(".")[0]
        files = {"image": file}
        for part, folder in TRUTH.items():
            if (truth := f"{folder}/{inner}.png") in source.files:
                files[part] = source.files[truth]
                used.add(truth)
        *folders, stem = inner.split("/")
        split = folders[0] if folders and folders[0] in SPLITS else "train"
        sequence = "/".join(folders[1:] if folders and folders[0] in SPLITS else folders)
        items.append(Item(safe_key(*folders, stem), split, sequence, stem, files))
    if not items:
        raise wrong_layout(source, "pictures (*.png, *.jpg), optionally with labels/ of the same names")
    stray = {name for name in source.files if name.startswith("labels/") and name.endswith(".png")} - used
    bare = all(item.files.keys() == {"image"} for item in items)
    return make_dataset("folder", source, options.classes, _decoders(options.classes, bare), items, options, stray)


def _decoders(classes: str, bare: bool) -> dict[str, Decoder]:
    known = frozenset(range(len(TABLES[classes]))) | {IGNORE}
    return {
        "image": partial(planes.image, upright=bare),
        "label": partial(label, known=known, classes=classes),
        "instance": planes.instance16,
        "depth": planes.depth,
    }


def label(data: bytes, where: str, known: frozenset[int], classes: str) -> np.ndarray:
    """trainIds (H, W) uint8 as stored."""
    hint = f"labels are trainIds of {classes}: 0 to {len(known) - 2}, 255 = void"
    return planes.look_up(planes.plane8(data, where), np.arange(256, dtype=np.uint8), known, where, hint)
