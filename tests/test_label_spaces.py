"""Label spaces: their ids in numbers say what their names say, and void goes where it belongs."""

import pytest

from pipeline.classes import CITYSCAPES19, CITYSCAPES_IDS, IGNORE
from pipeline.files import UserError
from pipeline.label_spaces import CITYSCAPES35, class_table, id_table


def test_cityscapes_ids_have_the_names_and_colours_of_their_train_ids():
    for raw, train in CITYSCAPES_IDS.items():
        assert CITYSCAPES35.names[raw] == CITYSCAPES19.names[train]
        assert CITYSCAPES35.colours[raw] == CITYSCAPES19.colours[train]
    assert len(CITYSCAPES35) == len(CITYSCAPES35.colours) == 35


def test_there_and_back():
    to_ids, back = id_table("cityscapes19", "cityscapes35"), id_table("cityscapes35", "cityscapes19")
    assert back[to_ids[:19]].tolist() == list(range(19))
    assert to_ids[255] == 0 and back[0] == IGNORE  # void is "unlabeled", and unlabeled is void
    assert id_table("cityscapes35", "cityscapes35")[[0, 34, 255]].tolist() == [0, 34, 255]
    assert id_table("cityscapes35", "camvid11")[[7, 26, 4]].tolist() == [3, 8, IGNORE]


def test_void_is_a_class_where_there_is_one():
    assert class_table("numbered150+void").names[-2:] == ("class 149", "void")
    assert id_table("numbered150+void", "numbered150+void")[[0, 150, 151, 255]].tolist() == [0, 150, 150, 150]
    assert id_table("cityscapes19", "cityscapes35+void")[[0, 255]].tolist() == [7, 35]
    assert id_table("cityscapes35", "cityscapes35+void")[[0, 255]].tolist() == [0, 35]


@pytest.mark.parametrize("name", ["numbered0", "numbered255", "cityscapes", "void", "+void"])
def test_unknown_tables(name):
    with pytest.raises(UserError, match=r"is unknown; known are cityscapes19, .*cityscapes35"):
        class_table(name)


def test_what_cannot_be_expressed():
    with pytest.raises(UserError, match="classes of cityscapes19 cannot be expressed in numbered150"):
        id_table("cityscapes19", "numbered150+void")
