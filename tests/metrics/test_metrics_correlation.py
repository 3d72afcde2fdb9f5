"""Which number that was read tells which that is known."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from pipeline.metrics.correlation import assigned, pearson, spearman


def test_correlations_are_those_of_scipy_and_the_pairs_are_found():
    random = np.random.RandomState(0)
    known = random.uniform(-1, 1, (300, 2))
    read = np.stack([np.exp(-3 * known[:, 1]), known[:, 0] + random.normal(0, 0.5, 300)], 1)  # falls, and crosswise
    for ours, theirs in ((pearson, pearsonr), (spearman, spearmanr)):
        expected = [[abs(theirs(read[:, j], known[:, f])[0]) for f in range(2)] for j in range(2)]
        assert ours(read, known) == pytest.approx(np.array(expected))
    assert spearman(read, known)[0, 1] == pytest.approx(1) and pearson(read, known)[0, 1] < 0.95
    assert assigned(spearman(read, known)) == [(0, 1), (1, 0)]


def test_what_never_changes_correlates_with_nothing():
    assert pearson(np.ones((5, 1)), np.arange(5.0)[:, None]).tolist() == [[0.0]]
