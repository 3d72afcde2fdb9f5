"""Cityscapes, fine annotations, at any size (Cordts et al., CVPR 2016); also what the embedded world writes.

    leftImg8bit/{train,val,test}/CITY/CITY_SEQ_FRAME_leftImg8bit.png   (or .jpg, reduced)
    gtFine/{train,val,test}/CITY/CITY_SEQ_FRAME_gtFine_labelIds.png     8-bit label ids 0..33, not trainIds
    gtFine/{train,val,test}/CITY/CITY_SEQ_FRAME_gtFine_instanceIds.png  16-bit, id * 1000 + number, or id

The two published zips beside each other are read as they are. The test split's labels are all void and are left out.
"""

import re

import numpy as np

from pipeline import planes
from pipeline.classes import CITYSCAPES19, CITYSCAPES_ALL_IDS, CITYSCAPES_ID_TO_TRAIN
from pipeline.datasets.base import Dataset, Item, Options, find_folder, make_dataset, safe_key
from pipeline.datasets.source import File, Source

LAYOUT = "Cityscapes (leftImg8bit/SPLIT/CITY/*_leftImg8bit.png, gtFine/SPLIT/CITY/*_gtFine_labelIds.png)"
PICTURE = re.compile(r"(train|val|test)/([^/]+)/([^/]+)_leftImg8bit\.(?:png|jpg)")
TRUTH = {"label": "_gtFine_labelIds.png", "instance": "_gtFine_instanceIds.png"}


def open_cityscapes(source: Source, options: Options) -> Dataset:
    """Cityscapes as a Dataset; a sequence is a city."""
    pictures = find_folder(source, "leftImg8bit", layout=LAYOUT) + "leftImg8bit/"
    truths = _truth_folder(source)
    items, used = [], set()
    for name, file in source.files.items():
        found = PICTURE.fullmatch(name.removeprefix(pictures)) if name.startswith(pictures) else None
        if not found:
            continue
        split, city, stem = found.groups()
        files: dict[str, File] = {"image": file}
        for part, ending in TRUTH.items() if split != "test" else ():
            truth = f"{truths}{split}/{city}/{stem}{ending}"
            if truth in source.files:
                files[part] = source.files[truth]
                used.add(truth)
        items.append(Item(safe_key(stem), split, city, stem.removeprefix(f"{city}_"), files))
    labels = {n for n in source.files if n.endswith(TRUTH["label"]) and not n.startswith(f"{truths}test/")}
    return make_dataset("cityscapes", source, CITYSCAPES19.name, DECODERS, items, options, labels - used)


def _truth_folder(source: Source) -> str:
    """Target pictures may come without labels: then there is nothing to find."""
    if not any("gtFine/" in name for name in source.files):
        return "gtFine/"
    return find_folder(source, "gtFine", layout=LAYOUT) + "gtFine/"


def label(data: bytes, where: str) -> np.ndarray:
    """trainIds (H, W) uint8 of a labelIds file."""
    return planes.look_up(
        planes.plane8(data, where), CITYSCAPES_ID_TO_TRAIN, CITYSCAPES_ALL_IDS, where, "label ids run from 0 to 33"
    )


DECODERS = {"image": planes.image, "label": label, "instance": planes.instance16}
