"""Label maps and instance maps from a folder of anybody's, brought into a label space."""

from pathlib import Path

import numpy as np

from pipeline import planes
from pipeline.classes import IGNORE
from pipeline.files import UserError, picture_header, read_bytes, walk
from pipeline.label_spaces import VOID, class_table

ENDINGS = {
    "cityscapes35": "_labelIds.png",
    "cityscapes19": "_labelTrainIds.png",
}  # in a folder of Cityscapes's own names
INSTANCES = "_instanceIds.png"


def label_files(root: Path, classes: str) -> list[Path]:
    """The label maps below a folder: of a folder of Cityscapes those with the ids of `classes`, else all PNG files."""
    paths = sorted(folder / name for folder, names in walk(root) for name in names if name.lower().endswith(".png"))
    ending = ENDINGS.get(classes.removesuffix(VOID))
    return [path for path in paths if ending and path.name.endswith(ending)] or paths


def instance_file(path: Path, labels: Path, instances: Path) -> Path:
    """Where the instances of a label map lie: under its name in the folder `instances`, or under Cityscapes' name there."""
    same = instances / path.relative_to(labels)
    for ending in ENDINGS.values():
        if same.name.endswith(ending):
            return same.with_name(same.name.removesuffix(ending) + INSTANCES)
    return same


def read_label(path: Path, classes: str, table: np.ndarray) -> np.ndarray:
    """Ids (H, W) uint8 through a table of `id_table`; an id that the space `classes` does not have is a UserError."""
    ids = planes.plane8(read_bytes(path), str(path))
    known = len(class_table(classes))
    unknown = [int(i) for i in np.unique(ids) if i >= known and i != IGNORE]
    if unknown:
        shown = ", ".join(map(str, unknown[:12])) + (" ..." if len(unknown) > 12 else "")
        raise UserError(
            f"{path} holds ids {shown}, but {classes} has 0 to {known - 1}, and 255 for void; "
            "name the table of its ids with --classes"
        )
    return table[ids]


def read_instance(path: Path) -> np.ndarray:
    """Instance ids (H, W), 8 or 16 bits, as stored."""
    data, where = read_bytes(path), str(path)
    _, _, bits, _ = picture_header(data, where)
    return planes.instance16(data, where) if bits == 16 else planes.plane8(data, where)
