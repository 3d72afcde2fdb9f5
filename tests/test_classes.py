"""The class tables say in numbers what the publishers' tables say in names."""

import numpy as np
import pytest

from pipeline.classes import (
    CAMVID11,
    CATEGORIES7,
    CITYSCAPES19,
    CITYSCAPES_ID_TO_TRAIN,
    IDD_LITE7,
    IGNORE,
    SYNTHIA13,
    SYNTHIA16,
    TABLES,
    merge_table,
    synthia_known_ids,
    synthia_lut,
)

NAMES = CITYSCAPES19.names

# id -> name, as in Cityscapes' labels.py (those with a trainId)
CITYSCAPES = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck",
    28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip

# id -> name, as in the README of SYNTHIA-RAND-CITYSCAPES
SYNTHIA = {
    1: "sky", 2: "building", 3: "road", 4: "sidewalk", 5: "fence", 6: "vegetation", 7: "pole", 8: "car",
    9: "traffic sign", 10: "person", 11: "bicycle", 12: "motorcycle", 15: "traffic light", 16: "terrain", 17: "rider",
    18: "truck", 19: "bus", 20: "train", 21: "wall",
}  # fmt: skip
SYNTHIA_VOID = (0, 13, 14)  # void, parking slot, road work
SYNTHIA_LANEMARKING = {"rand_cityscapes": 22, "seqs": 12}


def test_cityscapes_ids():
    for raw in range(256):
        assert CITYSCAPES_ID_TO_TRAIN[raw] == (NAMES.index(CITYSCAPES[raw]) if raw in CITYSCAPES else IGNORE), raw


def test_synthia_ids():
    table = synthia_lut("rand_cityscapes")
    assert {raw: NAMES[table[raw]] for raw in SYNTHIA} == SYNTHIA
    assert all(table[raw] == IGNORE for raw in SYNTHIA_VOID)


def test_id_12_is_a_motorcycle_in_one_table_and_lane_marking_in_the_other():
    assert NAMES[synthia_lut("rand_cityscapes")[12]] == "motorcycle"
    assert NAMES[synthia_lut("seqs", "road")[12]] == "road" and synthia_lut("seqs", "void")[12] == IGNORE


@pytest.mark.parametrize("table", SYNTHIA_LANEMARKING)
def test_lane_marking_is_road_or_void_and_nothing_else_changes(table):
    road, void = synthia_lut(table, "road"), synthia_lut(table, "void")
    assert np.flatnonzero(road != void).tolist() == [SYNTHIA_LANEMARKING[table]]
    assert NAMES[road[SYNTHIA_LANEMARKING[table]]] == "road"


@pytest.mark.parametrize("table", SYNTHIA_LANEMARKING)
def test_every_mapped_id_is_a_known_one(table):
    assert set(np.flatnonzero(synthia_lut(table) != IGNORE).tolist()) <= synthia_known_ids(table)
    assert 23 not in synthia_known_ids(table)


def test_the_published_protocols_of_synthia_leave_out_what_the_papers_leave_out():
    assert {NAMES[i] for i in range(19)} - {NAMES[i] for i in SYNTHIA16} == {"terrain", "truck", "train"}
    assert {NAMES[i] for i in SYNTHIA16} - {NAMES[i] for i in SYNTHIA13} == {"wall", "fence", "pole"}


MERGED = {
    "camvid11": {
        "road": "Road", "sidewalk": "Pavement", "building": "Building", "wall": "Building", "fence": "Fence",
        "pole": "Pole", "traffic light": "SignSymbol", "traffic sign": "SignSymbol", "vegetation": "Tree",
        "terrain": "Tree", "sky": "Sky", "person": "Pedestrian", "rider": "Bicyclist", "car": "Car", "truck": "Car",
        "bus": "Car", "train": "Car", "motorcycle": "Bicyclist", "bicycle": "Bicyclist",
    },
    "categories7": {
        "road": "flat", "sidewalk": "flat", "building": "construction", "wall": "construction",
        "fence": "construction", "pole": "object", "traffic light": "object", "traffic sign": "object",
        "vegetation": "nature", "terrain": "nature", "sky": "sky", "person": "human", "rider": "human",
        "car": "vehicle", "truck": "vehicle", "bus": "vehicle", "train": "vehicle", "motorcycle": "vehicle",
        "bicycle": "vehicle",
    },
}  # fmt: skip


@pytest.mark.parametrize("goal", MERGED)
def test_merging_cityscapes_into_a_coarser_table(goal):
    table = merge_table("cityscapes19", goal)
    assert {name: TABLES[goal].names[table[i]] for i, name in enumerate(NAMES)} == MERGED[goal]


def test_merging_keeps_void_and_covers_every_class():
    for goal in (CAMVID11, CATEGORIES7, IDD_LITE7, CITYSCAPES19):
        table = merge_table("cityscapes19", goal.name)
        assert (table[19:] == IGNORE).all() and set(table[:19].tolist()) == set(range(len(goal)))


def test_what_cannot_be_expressed_is_refused():
    with pytest.raises(ValueError, match="camvid11 cannot be expressed in cityscapes19"):
        merge_table("camvid11", "cityscapes19")


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_class_has_a_name_and_a_colour_of_its_own(table):
    assert len(set(table.names)) == len(set(table.colours)) == len(table.names) == len(table.colours) == len(table)
    label = np.arange(256, dtype=np.uint8)[None]
    painted = table.paint(label)
    assert painted.shape == (1, 256, 3) and [tuple(c) for c in painted[0, : len(table)]] == list(table.colours)
    assert not painted[0, len(table) :].any()
