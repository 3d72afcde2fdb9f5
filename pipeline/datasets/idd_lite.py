"""IDD-Lite: Indian streets in seven classes (Varma et al., WACV 2019; the Lite package of IIIT Hyderabad).

idd20k_lite/leftImg8bit/{train,val,test}/DRIVE/ID_image.jpg
idd20k_lite/gtFine/{train,val}/DRIVE/ID_label.png   8-bit, 0..6, 255 = void
"""

import re

import numpy as np

from pipeline import planes
from pipeline.classes import IDD_LITE7, IGNORE
from pipeline.datasets.base import Dataset, Item, Options, find_folder, make_dataset, safe_key
from pipeline.datasets.source import Source

LAYOUT = "IDD-Lite (leftImg8bit/SPLIT/DRIVE/*_image.jpg, gtFine/SPLIT/DRIVE/*_label.png)"
PICTURE = re.compile(r"leftImg8bit/(train|val|test)/([^/]+)/([^/]+)_image\.(?:jpg|png)")
KNOWN = frozenset(range(len(IDD_LITE7))) | {IGNORE}


def open_idd_lite(source: Source, options: Options) -> Dataset:
    """IDD-Lite as a Dataset; a sequence is a drive (most hold one or two pictures)."""
    base = find_folder(source, "leftImg8bit", layout=LAYOUT)
    items, used = [], set()
    for name, file in source.files.items():
        found = PICTURE.fullmatch(name.removeprefix(base)) if name.startswith(base) else None
        if not found:
            continue
        split, drive, stem = found.groups()
        files, truth = {"image": file}, f"{base}gtFine/{split}/{drive}/{stem}_label.png"
        if truth in source.files:
            files["label"] = source.files[truth]
            used.add(truth)
        items.append(Item(safe_key(drive, stem), split, drive, stem, files))
    stray = {n for n in source.files if n.startswith(f"{base}gtFine/") and n.endswith("_label.png")} - used
    return make_dataset("idd_lite", source, IDD_LITE7.name, DECODERS, items, options, stray)


def label(data: bytes, where: str) -> np.ndarray:
    """trainIds of idd_lite7 (H, W) uint8."""
    ids = planes.plane8(data, where)
    return planes.look_up(ids, np.arange(256, dtype=np.uint8), KNOWN, where, "IDD-Lite's are 0 to 6 and 255")


DECODERS = {"image": planes.image, "label": label}
