"""Pools: CycleGAN's published traces, SimGAN's history, exact resume, independence of gradients and batches."""

import io
import json

import numpy as np
import pytest
import torch

from pipeline.files import UserError
from pipeline.pool import Pool, swap_half, swap_some
from tests.parity.fixture import HERE

TRACES = json.loads((HERE / "losses.json").read_text())["image_pool"]["traces"]


def numbered(positions: np.ndarray) -> torch.Tensor:
    """Pictures that hold their own position."""
    return torch.tensor(positions, dtype=torch.float32)[:, None, None, None].expand(-1, 3, 2, 2)


def shown(pool: Pool, start: int, count: int) -> list[int]:
    positions = np.arange(start, start + count)
    return pool(numbered(positions), positions)[:, 0, 0, 0].int().tolist()


def inside(pool: Pool) -> list[int]:
    return [int(picture[0, 0, 0]) for picture in pool.kept]


@pytest.mark.parametrize("trace", TRACES)
def test_cyclegan_s_traces(trace):
    size, batch = trace["pool_size"], trace["batch"]
    given = iter([[p, ((index or 0) + 0.5) / size] for p, index in trace["draws"]])
    slots: list[int] = []
    returned: list[int] = []
    for query in range(trace["queries"]):
        first = query * batch
        draws = [next(given, [0.0, 0.0]) if first + n >= size else [0.9, 0.9] for n in range(batch)]  # none till full
        seen, kept = swap_some(len(slots), size, np.array(draws))
        known = slots + list(range(first, first + batch))
        returned += [known[n] for n in seen]
        slots = [known[n] for n in kept]
    assert returned == trace["returned"]
    assert slots == trace["final_pool"]


def test_half_of_what_a_full_pool_shows_is_old():
    pool = Pool(50, 0, "B")
    seen = [shown(pool, n, 1)[0] for n in range(2050)]
    assert seen[:50] == list(range(50))
    late = np.array(seen[50:])
    assert (late != np.arange(50, 2050)).mean() == pytest.approx(0.5, abs=0.04)
    assert len(set(late.tolist())) == len(late)  # what was swapped out is shown once, what passed by never again


def test_a_history_fills_and_shows_half_old_half_new():
    pool = Pool(64, 0, "refined", swap_half)
    for step in range(40):
        before, seen = inside(pool), shown(pool, 10 * step, 10)
        fresh = list(range(10 * step, 10 * step + 10))
        assert seen[:5] == fresh[:5]
        if step:
            assert set(seen[5:]) <= set(before) and len(set(seen[5:])) == 5
        else:
            assert seen == fresh
        assert len(pool.kept) == min(5 * (step + 1), 64)
        assert set(fresh[5:]) <= set(inside(pool))
        assert len(set(inside(pool))) == len(pool.kept)
    assert min(inside(pool)) < 300  # and the old do not all go first


def test_a_history_forgets_evenly():
    """Every slot is replaced equally often: the oldest picture's age is far above the mean age."""
    pool = Pool(32, 1, "refined", swap_half)
    for step in range(200):
        shown(pool, 16 * step, 16)
    ages = 3200 - np.array(inside(pool))
    assert ages.mean() == pytest.approx(16 * 32 / 8, rel=0.5)  # half a batch of 16 goes into 32 slots


def test_what_a_history_cannot_do_is_said():
    with pytest.raises(UserError, match="at least 2 pictures"):
        shown(Pool(8, 0, "refined", swap_half), 0, 1)
    with pytest.raises(UserError, match="give it 5 or more"):
        shown(Pool(4, 0, "refined", swap_half), 0, 10)


@pytest.mark.parametrize("rule", [swap_some, swap_half])
def test_a_killed_run_goes_on_as_if_it_had_not_been(rule):
    whole = Pool(6, 3, "B", rule)
    expected = [shown(whole, 4 * step, 4) for step in range(12)]
    for stop in (0, 1, 7):
        first, file = Pool(6, 3, "B", rule), io.BytesIO()
        for step in range(stop):
            shown(first, 4 * step, 4)
        torch.save(first.state(), file)
        shown(first, 4 * stop, 4)  # lost in the kill
        file.seek(0)
        second = Pool(6, 3, "B", rule)
        second.load_state(torch.load(file, weights_only=True))
        assert [shown(second, 4 * step, 4) for step in range(stop, 12)] == expected[stop:]
        assert torch.equal(second.state()["pictures"], whole.state()["pictures"])


def test_seed_name_and_position_alone_decide():
    def seen(seed: int, name: str) -> list[int]:
        torch.manual_seed(seed + 5)
        pool = Pool(5, seed, name)
        return [shown(pool, 3 * step, 3)[2] for step in range(20)]

    assert seen(0, "A") == seen(0, "A")
    assert seen(0, "A") != seen(0, "B") != seen(1, "B")


@pytest.mark.parametrize("rule", [swap_some, swap_half])
def test_pictures_are_copies_without_gradient(rule):
    pool = Pool(4, 0, "B", rule)
    for step in range(4):
        positions = np.arange(2 * step, 2 * step + 2)
        made = numbered(positions).clone().requires_grad_()
        got = pool(made * 1, positions)
        assert not got.requires_grad
        kept = inside(pool)
        with torch.no_grad():
            made.fill_(-1)
            got.fill_(-1)
        assert inside(pool) == kept and min(kept) >= 0
        assert all(picture.untyped_storage().nbytes() == 4 * 12 for picture in pool.kept)  # no batch is held by a view
