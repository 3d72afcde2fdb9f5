"""Rare classes first: as often as they should be, in pictures that show them, and by position alone."""

import numpy as np
import pytest

from pipeline.shards.loader import GlobalBatches
from pipeline.shards.rare import class_probabilities, rare_first

POSITIONS = np.arange(4000)
HISTOGRAMS = np.array(  # of pictures with 10,000 pixels: classes 0 to 3, then what is ignored
    [[9000, 500, 0, 0, 500], [9900, 0, 90, 0, 10], [9950, 0, 0, 0, 50], [9989, 0, 10, 0, 1], [9999, 0, 1, 0, 0]]
)


def test_the_rarer_the_likelier_and_what_does_not_occur_never():
    chance = class_probabilities(HISTOGRAMS.sum(0)[:-1], 0.5)
    share = HISTOGRAMS.sum(0)[:-1] / HISTOGRAMS[:, :-1].sum()
    assert chance.sum() == pytest.approx(1) and chance[3] == 0 and chance[2] > chance[1] > chance[0]
    assert chance[2] / chance[0] == pytest.approx(np.exp((share[0] - share[2]) / 0.5))


def test_pictures_are_drawn_as_often_as_the_classes_they_show():
    chance = class_probabilities(HISTOGRAMS.sum(0)[:-1], 0.5)
    found = np.bincount(rare_first(HISTOGRAMS, 0, 0.5)(POSITIONS), minlength=5) / len(POSITIONS)
    # class 0 is in all, class 1 in the first, of class 2 the second shows enough and the last two do not
    wanted = chance[0] / 5 + np.array([chance[1], chance[2], 0, 0, 0])
    np.testing.assert_allclose(found, wanted, atol=0.025)


def test_a_class_that_no_picture_shows_enough_of_is_drawn_from_all_that_have_any():
    few = HISTOGRAMS[[2, 3, 4]]
    drawn = rare_first(few, 0, 0.001)(POSITIONS)
    assert set(drawn) == {1, 2}  # at this temperature class 2 alone


def test_a_set_without_any_label_is_drawn_from_all_the_same():
    assert set(rare_first(np.array([[0, 0, 7], [0, 0, 7]]), 0, 0.1)(POSITIONS[:50])) == {0, 1}


def test_what_is_drawn_belongs_to_the_position_and_the_seed():
    order = rare_first(HISTOGRAMS, 1, 0.5)
    together = order(POSITIONS[:20])
    np.testing.assert_array_equal(order(np.array([13, 4])), together[[13, 4]])
    assert not np.array_equal(together, rare_first(HISTOGRAMS, 2, 0.5)(POSITIONS[:20]))


def test_a_feed_takes_the_order_for_its_domain_on_every_rank(opened):
    orders = {"source": rare_first(opened.histograms(), 3, 0.1)}
    sets = {"source": opened, "target": opened}
    whole = GlobalBatches(sets, 4, 3, orders=orders)
    parts = [GlobalBatches(sets, 4, 3, orders=orders, rank=rank, world=2) for rank in (0, 1)]
    for step in (0, 5):
        wanted = orders["source"](np.arange(4 * step, 4 * step + 4))
        np.testing.assert_array_equal(whole.indices("source", step), wanted)
        np.testing.assert_array_equal(np.concatenate([part.indices("source", step) for part in parts]), wanted)
    np.testing.assert_array_equal(whole.indices("target", 5), GlobalBatches(sets, 4, 3).indices("target", 5))
    stored = [opened.keys[i] for i in whole.indices("source", 5)]
    assert next(whole.batches(5))["source"].keys == stored
