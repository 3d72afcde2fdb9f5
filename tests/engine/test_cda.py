"""CDA: what is easy is learnt from the source alone and binds the segmenter on the target, never the other way round."""

from typing import Any

import pytest
import torch

from pipeline.classes import IGNORE
from pipeline.methods import cda
from tests.engine import toy

NAME = "cda"


def built(**own: Any) -> tuple[Any, Any]:
    return toy.build(NAME, {NAME: own}), next(toy.Drawn(NAME).batches(0))


def reached(loss: torch.Tensor, net: torch.nn.Module) -> bool:
    gradients = torch.autograd.grad(loss, list(net.parameters()), retain_graph=True, allow_unused=True)
    return any(g is not None and bool(g.abs().sum() > 0) for g in gradients)


def test_what_is_easy_is_learnt_first_and_each_loss_reaches_its_own_net():
    method, batch = built()
    easy, hard = method.step(batch)
    assert (easy.name, list(easy.losses)) == ("easy", ["easy_spread", "easy_parts"])
    assert (hard.name, list(hard.losses)) == ("segmenter", ["task", "spread", "parts"])
    for update, own, other in ((easy, "E", "S"), (hard, "S", "E")):
        for name, loss in update.losses.items():
            assert reached(loss, method.nets[own]) and not reached(loss, method.nets[other]), name
    assert not any(p.requires_grad for p in method.features.parameters())


def test_the_spread_is_of_labelled_pixels():
    label = torch.tensor([[[0, 0, 2, 255]], [[255, 255, 255, 255]]])
    torch.testing.assert_close(cda.spread_of(label, 3), torch.tensor([[2 / 3, 0, 1 / 3], [0, 0, 0]]))


def test_a_sharpened_spread_counts_the_likeliest_class_of_every_pixel():
    scores = torch.zeros(1, 3, 2, 2)
    scores[:, 0, 0], scores[:, 2, 1] = 9.0, 4.0  # one row each, surer or not
    found = cda.sharpened_spread(scores)
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.0, 0.5]]), rtol=0, atol=1e-3)


def test_the_loss_of_a_spread_is_least_where_both_agree():
    spread = torch.tensor([[0.7, 0.2, 0.1]])
    losses = [cda.spread_loss(spread, other.log()) for other in (spread, spread.flip(1), torch.full((1, 3), 1 / 3))]
    assert losses[0] < losses[1] and losses[0] < losses[2]


def test_a_part_has_the_class_of_most_of_its_labelled_pixels():
    label = torch.tensor([[[1, 1, 255, 255], [1, 0, 255, 2], [255] * 4, [255] * 4]])
    assert cda.part_labels(label, 3, torch.Size((2, 2))).tolist() == [[[1, 2], [IGNORE, IGNORE]]]


def test_the_surest_share_of_the_batch_s_parts_is_taken_for_known():
    scores = torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    scores[0] *= 5  # a picture that is sure
    found = cda.sure_parts(scores, 0.6, torch.Size((20, 10)))
    assert found.shape == (3, 20, 10)
    cells = found[:, ::4, ::2]
    assert int((cells != IGNORE).sum()) == 45 and (cells[0] != IGNORE).sum() > (cells[1] != IGNORE).sum()
    assert torch.equal(cells[cells != IGNORE], scores.argmax(1)[cells != IGNORE])


def test_beyond_the_picture_no_part_is_known(monkeypatch):
    method, batch = built(sure=1.0)
    batch.target.inside = torch.ones(2, 1, 32, 32, dtype=torch.bool)
    batch.target.inside[:, :, 20:] = False
    taught: list[torch.Tensor] = []
    plain = cda.cross_entropy
    monkeypatch.setattr(cda, "cross_entropy", lambda s, label, n: taught.append(label) or plain(s, label, n))
    list(method.step(batch))
    assert (taught[2][:, 20:] == IGNORE).all() and (taught[2][:, :20] != IGNORE).all()


def test_beyond_the_picture_nothing_votes_or_takes_a_place_among_the_surest():
    inside = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    inside[:, :, 4:] = False
    scores = torch.zeros(1, 2, 8, 8)
    scores[:, 0, :4], scores[:, 1, 4:] = 9.0, 20.0  # surest of all beyond
    torch.testing.assert_close(cda.sharpened_spread(scores, inside), torch.tensor([[1.0, 0.0]]), atol=1e-6, rtol=0)
    found = cda.sure_parts(scores, 0.5, torch.Size((8, 8)), inside)
    assert (found[:, :4] == 0).all() and (found[:, 4:] == IGNORE).all()


def test_weights_scale_what_they_weigh():
    once, twice = (list(m.step(b))[1].losses for m, b in (built(spread=0.1, parts=0.1), built(spread=0.2, parts=0.3)))
    ratios = {key: float((twice[key] / once[key]).detach()) for key in once}
    assert ratios == pytest.approx({"task": 1, "spread": 2, "parts": 3}, rel=1e-5)
