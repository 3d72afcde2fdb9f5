"""FCNs in the Wild: who learns when, what leaving a discriminator undecided costs, and the bounds on classes."""

from typing import Any

import numpy as np
import pytest
import torch

from pipeline.engine.step import run_step
from pipeline.methods import fcn_wild
from pipeline.methods.fcn_wild import Sizes
from tests.engine import toy

NAME = "fcn_wild"
BOUNDS = Sizes(torch.tensor([0.2, 0.1, 0.0]), torch.tensor([0.4, 0.2, 0.0]), torch.tensor([0.6, 0.3, 0.0]))


def built(**own: Any) -> tuple[Any, Any]:
    return toy.build(NAME, {NAME: own}), next(toy.Drawn(NAME).batches(0))


def probabilities(*shares: float) -> torch.Tensor:
    """1 x 3 x 10 x 10, sure of everything: the first rows are class 0, the next class 1, the rest class 2."""
    label = torch.repeat_interleave(torch.arange(3), torch.tensor([round(100 * share) for share in shares]))
    return torch.nn.functional.one_hot(label, 3).T.reshape(1, 3, 10, 10).double()


def test_the_discriminator_learns_first_and_the_segmenter_from_what_it_learnt():
    method, batch = built()
    scores: list[torch.Tensor] = []
    method.nets["D"].register_forward_hook(lambda net, given, said: scores.append(said.detach().clone()))
    updates = method.step(batch)
    run_step(updates, method.optimizers())
    assert [tuple(said.shape[1:]) for said in scores] == [(1, 8, 8)] * 4  # of each position of the features
    assert not torch.equal(scores[0], scores[2]) and not torch.equal(scores[1], scores[3])


def test_a_score_sees_its_own_position_alone():
    D = fcn_wild.position_discriminator(4, 8)
    features = torch.rand(1, 4, 5, 6)
    other = features.clone()
    other[:, :, 2, 3] += 1
    changed = D(features) != D(other)
    assert changed[0, 0, 2, 3] and changed.sum() == 1


def test_the_segmenter_loses_least_where_the_discriminator_is_undecided():
    method, batch = built(adversarial=1.0)
    with torch.no_grad():
        for p in method.nets["D"].parameters():
            p.zero_()
    updates = method.step(batch)
    assert next(updates).losses["D"].item() == pytest.approx(np.log(2))
    undecided = next(updates).losses["gan"].item()
    assert undecided == pytest.approx(2 * np.log(2))
    for score in (-3.0, 3.0):  # sure of either domain, right or wrong
        with torch.no_grad():
            method.nets["D"][-1].bias.fill_(score)
        updates = method.step(batch)
        next(updates)
        assert next(updates).losses["gan"].item() > undecided + 1


def test_sizes_are_the_quantiles_of_the_pictures_with_a_class():
    random = np.random.RandomState(0)
    label = torch.full((200, 20, 20), 255)
    shares = []
    for picture in label:
        picture[:10] = 0
        if (count := int(random.randint(0, 150))) > 50:
            picture[:10].view(-1)[:count] = 3
            shares.append(count / 200)
    counts = fcn_wild.share_histogram(label, 5)
    size = fcn_wild.sizes(counts)
    assert int(counts[3].sum()) == len(shares) and int(counts[0].sum()) == 200
    for found, wanted in (
        (size.lower, np.quantile(shares, 0.1)),
        (size.upper, np.quantile(shares, 0.9)),
        (size.mean, np.mean(shares)),
    ):
        assert found[3].item() == pytest.approx(wanted, rel=0.03)
    assert [bound[1].item() for bound in size] == [0, 0, 0]


def test_void_is_no_part_of_a_picture_s_classes():
    label = torch.full((1, 4, 4), 255)
    assert fcn_wild.share_histogram(label, 3).sum() == 0
    label[0, 0, 0] = 2
    assert fcn_wild.share_histogram(label, 3)[2, -1] == 1  # all of what is known


@pytest.mark.parametrize(
    ("shares", "loss"),
    [
        ((0.5, 0.2, 0.3), 0.0),  # both in their bounds, of the third class nothing is known
        ((0.8, 0.2, 0.0), (0.8 - 0.6) / 0.4 / 2),  # too much of the first
        ((0.1, 0.2, 0.7), (0.2 - 0.1) / 0.4 / 2),  # too little of it
        ((0.01, 0.0, 0.99), 0.0),  # not found: FOUND of the lower bound is 0.02, the other is absent
    ],
)
def test_found_classes_are_held_between_their_bounds(shares, loss):
    found = fcn_wild.size_loss(probabilities(*shares), BOUNDS, None)
    assert found.item() == pytest.approx(loss, abs=1e-6)


def test_what_lies_beyond_the_picture_is_no_part_of_it():
    inside = torch.zeros(1, 1, 10, 10, dtype=torch.bool)
    inside[:, :, :5] = True  # of which the first class has all, that is 0.4 too much
    assert fcn_wild.size_loss(probabilities(0.5, 0.2, 0.3), BOUNDS, inside).item() == pytest.approx(0.4 / 0.4)


def test_the_sizes_so_far_are_state():
    method, batch = built()
    run_step(method.step(batch), method.optimizers())
    assert int(method.state()["shares"].sum()) >= 2
    other, _ = built()
    other.load_state(method.state())
    assert torch.equal(other.shares, method.shares)
