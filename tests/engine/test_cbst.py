"""CBST: when a round begins and what it remembers, thresholds of each class, the prior, and that it begins as source_only."""

from typing import Any

import pytest
import torch

from pipeline.classes import IGNORE
from pipeline.engine.step import run_step
from pipeline.methods import cbst
from tests.engine import toy

NAME = "cbst"


def built(changes: dict[str, Any] | None = None, **own: Any) -> tuple[Any, list[Any]]:
    """A method and its first eight batches."""
    batches = toy.Drawn(NAME).batches(0)
    return toy.build(NAME, (changes or {}) | {NAME: own}), [next(batches) for _ in range(8)]


def weights(net: torch.nn.Module) -> list[torch.Tensor]:
    return [value.clone() for value in net.state_dict().values()]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# -- rounds ---------------------------------------------------------------------------------------------------------


def test_rounds_share_the_steps_after_the_warm_up():
    method, _ = built({"segment": {"steps": 500, "tick": 20}}, warmup=0.4, rounds=4)
    rounds = [method._round(step) for step in range(500)]
    assert [rounds.count(r) for r in range(5)] == [200, 75, 75, 75, 75] and rounds == sorted(rounds)


def test_the_labeller_is_the_segmenter_of_the_round_s_start_and_counts_begin_anew():
    method, batches = built(warmup=0.25, rounds=2)  # 2 steps, then 3 and 3
    optimizers, S = method.optimizers(), method.nets["S"]
    pixels = batches[0].target.image[:, 0].numel()
    for n, batch in enumerate(batches):
        before = weights(S)
        if n in (2, 5):
            start = before
        losses = run_step(method.step(batch), optimizers)
        assert (losses["pseudo"] > 0) == (n >= 2)
        assert int(method.counts.sum()) == (0 if n < 2 else pixels * (1 + (n - 2) % 3))
        assert n < 2 or same(weights(method.labeller), start)
    assert not method.labeller.training and not any(p.requires_grad for p in method.labeller.parameters())


def test_until_the_first_round_it_is_source_only():
    method, batches = built(warmup=0.5, rounds=1)
    plain = toy.build("source_only")
    one, other = method.optimizers(), plain.optimizers()
    for batch in batches[:4]:
        run_step(method.step(batch), one)
        run_step(plain.step(batch), other)
    for key, value in plain.nets["S"].state_dict().items():
        torch.testing.assert_close(method.nets["S"].state_dict()[key], value, rtol=0, atol=1e-7)


def test_the_portion_grows_from_round_to_round_to_its_most(monkeypatch):
    portions: list[float] = []
    plain = cbst.thresholds
    monkeypatch.setattr(cbst, "thresholds", lambda counts, p: portions.append(p) or plain(counts, p))
    method, batches = built(warmup=0.0, rounds=8, portion=0.2, growth=0.1, portion_most=0.5)
    for batch in batches:
        run_step(method.step(batch), method.optimizers())
    assert portions == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5])


# -- labels ---------------------------------------------------------------------------------------------------------


def drawn(classes: int = 4) -> torch.Tensor:
    """Probabilities 3 x classes x 40 x 50: the first class sure, the last never."""
    scores = 2 * torch.randn(3, classes, 40, 50, generator=torch.Generator().manual_seed(0))
    scores[:, 0] += 4
    scores[:, 1] += 2
    scores[:, -1] -= 30
    return scores.softmax(1)


def test_thresholds_are_those_of_a_sort():
    probabilities = drawn()
    least = cbst.thresholds(cbst.histogram(probabilities), 0.3)
    winning, label = probabilities.max(1)
    for c in range(3):
        own = winning[label == c].double().sort(descending=True).values
        exact = own[int(0.3 * len(own)) - 1]
        assert least[c] <= exact and torch.logit(exact) - torch.logit(least[c]) < 0.0014
    assert least[3] == 1


def test_every_class_gets_its_portion_however_unsure_it_is():
    probabilities = drawn()
    winning, before = probabilities.max(1)
    label = cbst.pseudo_labels(probabilities, cbst.thresholds(cbst.histogram(probabilities), 0.3))
    for c in range(3):
        assert (before == c).sum() > 20
        assert (label[before == c] == c).float().mean() == pytest.approx(0.3, abs=0.05)
    unsure = winning[before == 2].mean()
    assert unsure < winning[before == 0].mean() and (label == 3).sum() == 0


def test_certainty_has_a_bin():
    counts = cbst.histogram(torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 5, 4))
    least = cbst.thresholds(counts, 0.5)
    assert counts.sum() == 20 and 0.999999 < least[0] < 1 and least[1] == 1


def test_beyond_the_picture_nothing_is_counted_or_taught(monkeypatch):
    method, (batch, *_) = built(warmup=0.0, portion=1.0, portion_most=1.0)
    batch.target.inside = torch.ones(2, 1, 32, 32, dtype=torch.bool)
    batch.target.inside[:, :, 20:] = False
    taught: list[torch.Tensor] = []
    plain = cbst.cross_entropy
    monkeypatch.setattr(cbst, "cross_entropy", lambda s, label, n: taught.append(label) or plain(s, label, n))
    next(method.step(batch))
    assert int(method.counts.sum()) == 2 * 20 * 32
    assert (taught[1][:, 20:] == IGNORE).all() and (taught[1][:, :20] != IGNORE).all()


# -- the prior ------------------------------------------------------------------------------------------------------


def test_the_prior_believes_a_class_where_the_source_has_it():
    label = torch.zeros(2, 32, 32, dtype=torch.long)
    label[:, 16:] = 1
    label[:, :, :2] = IGNORE
    places = cbst.where_classes_are(label, 3)
    assert places[0, 4, 8] == 1 and places[0, 12, 8] == 0 and places[1, 12, 8] == 1 and places[:, :, 0].sum() == 0
    even = torch.full((1, 3, 32, 32), 1 / 3)
    judged = cbst.with_prior(even, places)
    torch.testing.assert_close(judged.sum(1), torch.ones(1, 32, 32))
    assert (
        judged[0, 0, 4, 20] > judged[0, 2, 4, 20] > judged[0, 1, 4, 20]
    )  # a class that the source lacks stays as it is


def test_a_rare_class_is_not_thought_rarer_for_it():
    places = torch.full((2, cbst.CELLS, cbst.CELLS), 0.99)
    places[1] = 0.01
    given = torch.tensor([0.4, 0.6]).view(1, 2, 1, 1).expand(1, 2, 8, 8)
    torch.testing.assert_close(cbst.with_prior(given, places), given.contiguous())


# -- sentences ------------------------------------------------------------------------------------------------------


def test_what_cannot_be_is_a_sentence():
    found = cbst.check(toy.params(NAME, {NAME: {"rounds": 7, "portion": 0.6, "portion_most": 0.5}}))
    assert "7 rounds in the 6 steps" in found[0] and "above cbst.portion_most" in found[1]
    assert not cbst.check(toy.params(NAME))
