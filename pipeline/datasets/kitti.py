"""KITTI semantics, the 2018 benchmark (Alhaija et al., IJCV 2018): 200 pictures, in no order of time.

    training/image_2/000000_10.png   8-bit RGB
    training/semantic/000000_10.png  8-bit Cityscapes label ids
    training/instance/000000_10.png  16-bit, label id * 256 + number
    testing/image_2/                 no labels; split test

There is no published val: choose on dev, or report train of a model that never saw KITTI.
"""

import re

from pipeline import planes
from pipeline.classes import CITYSCAPES19
from pipeline.datasets.base import Dataset, Item, Options, find_folder, make_dataset, safe_key
from pipeline.datasets.cityscapes import label
from pipeline.datasets.source import Source

LAYOUT = "KITTI semantics (training/image_2/*.png, training/semantic/*.png, training/instance/*.png)"
PICTURE = re.compile(r"(training|testing)/image_2/([^/]+)\.(?:png|jpg)")
SPLITS = {"training": "train", "testing": "test"}
TRUTH = {"label": "semantic", "instance": "instance"}
DECODERS = {"image": planes.image, "label": label, "instance": planes.instance16}


def open_kitti(source: Source, options: Options) -> Dataset:
    """KITTI semantics as a Dataset of cityscapes19."""
    base = find_folder(source, "training/image_2", "testing/image_2", layout=LAYOUT)
    items = []
    for name, file in source.files.items():
        found = PICTURE.fullmatch(name.removeprefix(base)) if name.startswith(base) else None
        if not found:
            continue
        folder, stem = found.groups()
        truths = {part: f"{base}{folder}/{kind}/{stem}.png" for part, kind in TRUTH.items()}
        files = {"image": file} | {part: source.files[n] for part, n in truths.items() if n in source.files}
        items.append(Item(safe_key(folder, stem), SPLITS[folder], folder, stem, files))
    return make_dataset("kitti", source, CITYSCAPES19.name, DECODERS, items, options)
