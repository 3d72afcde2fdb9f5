"""The order and the draws are functions of (seed, stream, position), for ever."""

import numpy as np

from pipeline.shards.order import locate, order, uniforms

STORED_ORDER = [6, 4, 2, 9, 8, 5, 7, 3, 1, 0]
STORED_DRAWS = [0.35117094755015565, 0.07353361482303744]


def test_an_order_is_a_permutation_of_its_seed_epoch_and_stream():
    seen = [order(*which) for which in ((0, 0, 100, "source"), (0, 1, 100, "source"), (1, 0, 100, "source"))]
    seen.append(order(0, 0, 100, "target"))
    for one in seen:
        assert sorted(one) == list(range(100))
    assert len({tuple(one) for one in seen}) == 4


def test_it_is_the_same_on_every_machine_and_in_every_version():
    assert order(7, 2, 10, "source").tolist() == STORED_ORDER
    assert uniforms(7, "crop/source", np.array([5]), 2)[0].tolist() == STORED_DRAWS


def test_the_library_s_generators_are_neither_used_nor_touched():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    order.cache_clear()
    first = order(3, 4, 50)
    np.random.random(10)
    order.cache_clear()
    np.testing.assert_array_equal(first, order(3, 4, 50))
    np.random.seed(0)
    uniforms(0, "flip", np.arange(5), 3)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_epochs_are_exact_though_the_batch_does_not_divide_them():
    found = locate(5, 11, np.arange(33), "source")
    for epoch in range(3):
        assert sorted(found[11 * epoch : 11 * epoch + 11]) == list(range(11))


def test_draws_belong_to_positions():
    together = uniforms(1, "crop/source", np.arange(20), 2)
    np.testing.assert_array_equal(uniforms(1, "crop/source", np.array([13, 4]), 2), together[[13, 4]])
    assert not np.array_equal(together, uniforms(1, "crop/target", np.arange(20), 2))
    many = uniforms(1, "flip", np.arange(4000), 1)
    assert many.min() >= 0 and many.max() < 1 and abs(many.mean() - 0.5) < 0.02 and len(np.unique(many)) == 4000
