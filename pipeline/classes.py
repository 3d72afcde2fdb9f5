"""Class tables, palettes, and the tables that translate one data set's classes into another's.

Every label map inside the project holds *trainIds* of one table: 0 .. n-1, and `IGNORE` for void. The tables are the
published ones; where a published table is ambiguous the choice stands in a comment beside it.
"""

from dataclasses import dataclass

import numpy as np

IGNORE = 255


@dataclass(frozen=True)
class ClassTable:
    """Names and display colours of trainIds 0 .. n-1."""

    name: str
    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]

    def __len__(self) -> int:
        return len(self.names)

    def paint(self, label: np.ndarray) -> np.ndarray:
        """Label map (H, W) -> RGB uint8 (H, W, 3); ignored pixels are black."""
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(self)] = self.colours
        return palette[np.asarray(label, np.uint8)]


CITYSCAPES19 = ClassTable(
    "cityscapes19",
    (
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
        "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    ),
    (
        (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153),
        (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60),
        (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
    ),
)  # fmt: skip

CAMVID11 = ClassTable(
    "camvid11",
    (
        "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist",
    ),
    (
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
        (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    ),
)  # fmt: skip

IDD_LITE7 = ClassTable(
    "idd_lite7",
    ("drivable", "non-drivable", "living thing", "vehicle", "road-side object", "far object", "sky"),
    ((128, 64, 128), (244, 35, 232), (220, 20, 60), (0, 0, 142), (190, 153, 153), (70, 70, 70), (70, 130, 180)),
)

CATEGORIES7 = ClassTable(
    "categories7",
    ("flat", "construction", "object", "nature", "sky", "human", "vehicle"),
    ((128, 64, 128), (70, 70, 70), (153, 153, 153), (107, 142, 35), (70, 130, 180), (220, 20, 60), (0, 0, 142)),
)

NORMAL_ABNORMAL = ClassTable("normal_abnormal", ("normal", "abnormal"), ((0, 114, 178), (230, 159, 0)))

DIGITS10 = ClassTable(
    "digits10",
    tuple("0123456789"),
    (
        (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75), (227, 119, 194),
        (127, 127, 127), (188, 189, 34), (23, 190, 207),
    ),
)  # fmt: skip

STREETS = (CITYSCAPES19, CAMVID11, IDD_LITE7, CATEGORIES7)
TABLES = {table.name: table for table in (*STREETS, NORMAL_ABNORMAL, DIGITS10)}

# What a cityscapes19 class becomes in a coarser table, in trainId order. CamVid: bus and truck count as Car and wall as
# Building, because CamVid's own grouping of its 32 classes into 11 does so (Wall, Bridge, Tunnel and Archway are Building).
_MERGE: dict[str, tuple[int, ...]] = {
    #             road sidew build wall fence pole light sign veget terr sky pers rider car truck bus train moto bicycle
    "camvid11": (3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10),
    "idd_lite7": (0, 1, 5, 4, 4, 4, 4, 4, 5, 1, 6, 2, 2, 3, 3, 3, 3, 3, 3),
    "categories7": (0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 5, 6, 6, 6, 6, 6, 6),
}
# CamVid seen as IDD-Lite: Bicyclist takes the bicycle along, IDD-Lite's rider does not; a proposal, not published.
_CAMVID_AS_IDD_LITE = (6, 5, 4, 0, 1, 5, 4, 4, 3, 2, 2)


def merge_table(origin: str, goal: str) -> np.ndarray:
    """Look-up table (256,) uint8 from trainIds of table `origin` to those of `goal`; 255 stays 255.

    Raises ValueError where the classes of `origin` cannot be expressed in `goal`.
    """
    if origin == goal:
        rows: tuple[int, ...] = tuple(range(len(TABLES[goal])))
    elif origin == "cityscapes19" and goal in _MERGE:
        rows = _MERGE[goal]
    elif (origin, goal) == ("camvid11", "idd_lite7"):
        rows = _CAMVID_AS_IDD_LITE
    else:
        raise ValueError(f"classes of {origin} cannot be expressed in {goal}")
    table = np.full(256, IGNORE, np.uint8)
    table[: len(rows)] = rows
    return table


def _lut(pairs: dict[int, int]) -> np.ndarray:
    table = np.full(256, IGNORE, np.uint8)
    for raw, train in pairs.items():
        table[raw] = train
    return table


# Cityscapes label ids (also KITTI semantics and GTA5) -> trainIds; everything else is void.
CITYSCAPES_IDS: dict[int, int] = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15,
    31: 16, 32: 17, 33: 18,
}  # fmt: skip
CITYSCAPES_ID_TO_TRAIN = _lut(CITYSCAPES_IDS)
CITYSCAPES_ALL_IDS = range(34)  # ids that may stand in a labelIds file (-1, licence plate, is never written there)

# SYNTHIA-RAND-CITYSCAPES ids -> trainIds (README of the package, June 2016). 13 parking-slot and 14 road-work have no
# Cityscapes class; 22 lanemarking is drawn on the road and is added by `synthia_lut`.
SYNTHIA_RAND_CITYSCAPES: dict[int, int] = {
    1: 10, 2: 2, 3: 0, 4: 1, 5: 4, 6: 8, 7: 5, 8: 13, 9: 7, 10: 11, 11: 18, 12: 17, 15: 6, 16: 9, 17: 12, 18: 14,
    19: 15, 20: 16, 21: 3,
}  # fmt: skip
# SYNTHIA-SEQS: the first eleven agree, 12 is lane marking (motorcycle in the other table), 13 and 14 are reserved.
SYNTHIA_SEQS: dict[int, int] = {1: 10, 2: 2, 3: 0, 4: 1, 5: 4, 6: 8, 7: 5, 8: 13, 9: 7, 10: 11, 11: 18, 15: 6}
SYNTHIA_TABLES = {
    "rand_cityscapes": (SYNTHIA_RAND_CITYSCAPES, 22, frozenset(range(23))),
    "seqs": (SYNTHIA_SEQS, 12, frozenset(range(16))),
}


def synthia_lut(table: str, lanemarking: str = "road") -> np.ndarray:
    """Look-up table (256,) from SYNTHIA ids to cityscapes19 trainIds.

    table: "rand_cityscapes" or "seqs"; lanemarking: "road" (default, as DADA's 7 classes) or "void" (as the 16-class maps).
    """
    pairs, lane, _ = SYNTHIA_TABLES[table]
    return _lut(pairs | ({lane: 0} if lanemarking == "road" else {}))


def synthia_known_ids(table: str) -> frozenset[int]:
    """Ids that a correct file of this table may hold; anything else is an unknown id."""
    return SYNTHIA_TABLES[table][2]


# The classes that the published SYNTHIA protocols average over, as cityscapes19 trainIds.
SYNTHIA16 = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 15, 17, 18)
SYNTHIA13 = (0, 1, 2, 6, 7, 8, 10, 11, 12, 13, 15, 17, 18)
