"""Label spaces beyond the project's own class tables, and look-up tables from the ids of one to those of another.

A space has the name of a table of `pipeline.classes`, or is "cityscapes35" (Cityscapes label ids as published nets count
them), or "numbered150" (ids 0 to 149 without names). "+void" behind a name adds a class, the last one, for void (255).
"""

import re

import numpy as np

from pipeline.classes import CITYSCAPES_ID_TO_TRAIN, CITYSCAPES_IDS, IGNORE, TABLES, ClassTable, merge_table
from pipeline.files import UserError

VOID = "+void"

# Ids as in Cityscapes' labels.py. Published nets have 35 planes for them; id 34 is in no file, and its plane always 0.
CITYSCAPES35 = ClassTable(
    "cityscapes35",
    (
        "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road",
        "sidewalk", "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole",
        "polegroup", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck",
        "bus", "caravan", "trailer", "train", "motorcycle", "bicycle", "id 34",
    ),
    (
        (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (111, 74, 0), (81, 0, 81), (128, 64, 128),
        (244, 35, 232), (250, 170, 160), (230, 150, 140), (70, 70, 70), (102, 102, 156), (190, 153, 153),
        (180, 165, 180), (150, 100, 100), (150, 120, 90), (153, 153, 153), (153, 153, 153), (250, 170, 30),
        (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142),
        (0, 0, 70), (0, 60, 100), (0, 0, 90), (0, 0, 110), (0, 80, 100), (0, 0, 230), (119, 11, 32), (0, 0, 0),
    ),
)  # fmt: skip
UNLABELED = 0  # what Cityscapes label ids say for void


def class_table(name: str) -> ClassTable:
    """The table of a label space; a UserError that lists the known ones."""
    base, number = name.removesuffix(VOID), re.fullmatch(r"numbered([1-9]\d{0,2})", name.removesuffix(VOID))
    if number and int(number[1]) < IGNORE:
        table = _numbered(int(number[1]))
    elif base in TABLES or base == CITYSCAPES35.name:
        table = TABLES.get(base, CITYSCAPES35)
    else:
        known = ", ".join([*TABLES, CITYSCAPES35.name])
        raise UserError(f"class table '{name}' is unknown; known are {known} and numbered1 to numbered{IGNORE - 1}")
    return table if base == name else ClassTable(name, (*table.names, "void"), (*table.colours, (0, 0, 0)))


def _numbered(count: int) -> ClassTable:
    colours = tuple((37 * i % 256, 91 * i % 256, 173 * i % 256) for i in range(1, count + 1))
    return ClassTable(f"numbered{count}", tuple(f"class {i}" for i in range(count)), colours)


def id_table(origin: str, goal: str) -> np.ndarray:
    """Look-up table (256,) uint8 from the ids of space `origin` to those of `goal`.

    Void (255) becomes the class of void where `goal` has one, "unlabeled" where other ids become Cityscapes' own, and
    stays 255 else. Raises UserError where the classes of `origin` cannot be expressed in `goal`.
    """
    base = goal.removesuffix(VOID)
    try:
        table = _identity(len(class_table(goal))) if origin == goal else _between(origin, base)
    except ValueError as error:
        raise UserError(f"{error}; name the table of the label maps' ids with --classes") from None
    if base != goal:
        table[table == IGNORE] = len(class_table(base))
    elif base == CITYSCAPES35.name and origin != goal:
        table[table == IGNORE] = UNLABELED
    return table


def _between(origin: str, goal: str) -> np.ndarray:
    """As `id_table`, for a goal without a class for void."""
    if origin == goal:
        return _identity(len(class_table(goal)))
    if goal == CITYSCAPES35.name:
        ids = np.full(256, IGNORE, np.uint8)
        ids[list(CITYSCAPES_IDS.values())] = list(CITYSCAPES_IDS)
        return ids[merge_table(origin, "cityscapes19")]
    if origin == CITYSCAPES35.name:
        return merge_table("cityscapes19", goal)[CITYSCAPES_ID_TO_TRAIN]
    return merge_table(origin, goal)


def _identity(count: int) -> np.ndarray:
    table = np.full(256, IGNORE, np.uint8)
    table[:count] = np.arange(count)
    return table
