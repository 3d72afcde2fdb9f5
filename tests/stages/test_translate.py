"""The stage that translates the whole synthetic set."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.classes import TABLES, merge_table
from pipeline.engine.model import load_model
from pipeline.files import UserError
from pipeline.shards.index import ShardSet
from pipeline.translation import drawn
from tests.commands import merge, run_here, write_params
from tests.engine import toy


def test_labels_are_drawn_in_the_ids_of_the_data_set_that_the_model_learned_from(world, copy, tiny):
    """A SPADE of CamVid draws the source's road, 0, as CamVid's road, 3, and not as its sky; the set keeps the source's ids."""
    folder = copy(world, "data/shards/source")
    write_params(folder, merge(tiny, {"shard": {"image_format": "png"}}))
    directory = folder / "models/translators/spade/0"
    toy.write_model("spade", directory, TABLES["camvid11"])
    ended = run_here(folder, "translate", "spade", "0")
    assert ended.code == 0, ended.err
    source, made = ShardSet.open(folder / "data/shards/source"), ShardSet.open(folder / "data/translated/spade/0")
    assert made.classes == "cityscapes19"
    model, ids = load_model(directory), merge_table("cityscapes19", "camvid11")
    for i in range(2):
        before, after = source.read(i), made.read(i)
        assert np.array_equal(after.label, before.label)
        assert np.array_equal(after.image, drawn(model, replace(before, label=ids[before.label])))
        with pytest.raises(UserError, match="has ids that are none of camvid11, which spade draws from"):
            drawn(model, before)
