"""CamVid in SegNet's layout and eleven classes (Brostow et al. 2009; Badrinarayanan et al. 2017).

    CamVid/{train,val,test}/NAME.png        (or .jpg)
    CamVid/{train,val,test}annot/NAME.png   8-bit, 0..10, 11 = unlabelled
    CamVid/{train,val,test}.txt             one "picture label" pair a line; missing lists mean all files

A drive is what stands before the first '_' of a name: 0001TP (dusk), 0006R0, 0016E5 ...
"""

import re
from collections.abc import Iterator

import numpy as np

from pipeline import planes
from pipeline.classes import CAMVID11, IGNORE
from pipeline.datasets.base import PICTURES, Dataset, Item, Options, find_folder, make_dataset, safe_key
from pipeline.datasets.source import Source
from pipeline.files import UserError, problems

LAYOUT = "CamVid as SegNet packs it (train/*.png, trainannot/*.png, train.txt; val and test alike)"
SPLITS = ("train", "val", "test")
UNLABELLED = 11
_TABLE = np.full(256, IGNORE, np.uint8)
_TABLE[: len(CAMVID11)] = np.arange(len(CAMVID11))


def open_camvid(source: Source, options: Options) -> Dataset:
    """CamVid as a Dataset; a sequence is a drive."""
    base = find_folder(source, *(f"{split}annot" for split in SPLITS), layout=LAYOUT)
    items, lacking, used = [], [], set()
    for split in SPLITS:
        for picture, truth in _pairs(source, base, split):
            if picture not in source.files:
                lacking.append(f"{picture} stands in {base}{split}.txt and is missing")
                continue
            stem = picture.rpartition("/")[2].rpartition(".")[0]
            drive, _, frame = stem.partition("_")
            files = {"image": source.files[picture]}
            if truth in source.files:
                files["label"] = source.files[truth]
                used.add(truth)
            items.append(Item(safe_key(stem), split, drive, frame, files))
    if lacking:
        raise problems(f"{source.where} lacks pictures of its own lists; fetch them or mend the lists:", lacking)
    stray = {name for name in source.files if re.match(rf"{re.escape(base)}\w+annot/", name)} - used
    return make_dataset("camvid", source, CAMVID11.name, DECODERS, items, options, stray)


def _pairs(source: Source, base: str, split: str) -> Iterator[tuple[str, str]]:
    """(picture, label) names of a split. Lists name files from their maker's own root: the last two parts count."""
    if f"{base}{split}.txt" not in source.files:
        for name in source.names():
            if re.fullmatch(rf"{re.escape(base)}{split}/[^/]+", name) and name.lower().endswith(PICTURES):
                yield name, f"{base}{split}annot/{name.rpartition('/')[2].rpartition('.')[0]}.png"
        return
    where = source.files[f"{base}{split}.txt"]
    for number, line in enumerate(where.read().decode(errors="replace").splitlines(), 1):
        if words := line.split():
            if len(words) != 2:
                raise UserError(f"{where}, line {number}: expected 'picture label', found {line[:80]!r}")
            picture, truth = (base + "/".join(word.split("/")[-2:]) for word in words)
            yield picture, truth


def label(data: bytes, where: str) -> np.ndarray:
    """trainIds of camvid11 (H, W) uint8; 11, unlabelled, becomes 255."""
    return planes.look_up(planes.plane8(data, where), _TABLE, range(UNLABELLED + 1), where, "CamVid's run from 0 to 11")


DECODERS = {"image": planes.image, "label": label}
