"""Codes matched to classes: the best of all ways, and what is left over."""

from itertools import permutations

import numpy as np
import pytest

from pipeline.matching import crossed, frequent, matched


@pytest.mark.parametrize("seed", range(5))
def test_one_class_for_one_code_is_the_best_of_all_24_ways(seed):
    table = np.random.RandomState(seed).randint(0, 100, (4, 4))
    found = matched(table)
    best = max(sum(table[code, way[code]] for code in range(4)) for way in permutations(range(4)))
    assert sorted(found) == [0, 1, 2, 3] and table[range(4), found].sum() == best


def test_codes_may_share_a_class_and_some_stand_for_none():
    table = crossed(np.array([0, 0, 1, 1, 1, 2]), np.array([1, 1, 1, 1, 0, 0]), (4, 2))
    assert table.tolist() == [[0, 2], [1, 2], [1, 0], [0, 0]]
    assert frequent(table).tolist() == [1, 1, 0, -1]
    assert matched(table).tolist() == [1, 0, -1, -1]
