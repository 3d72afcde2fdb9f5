"""InfoGAN: who learns from the information, codes that are drawn fairly, and labels that are used where they may be."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.engine.step import run_step
from pipeline.files import UserError
from pipeline.methods import domains_of, infogan, plain_gan
from pipeline.methods.infogan import codes, is_labelled, labels, warped
from pipeline.shards.batch import Batch
from tests.engine import toy

OWN = infogan.Settings(noise=6, categories=3, width=4)
LABELLED = {"infogan": {"labelled": 0.5, "invariance": 0.0}}


def batch_of(count: int = 8, category: Tensor | None = None) -> Any:
    image = torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    made = Batch("digits", [f"train-{n:05d}" for n in range(count)], np.arange(count), image=image, category=category)
    return SimpleNamespace(digits=made)


def reached(name: str, update: str, loss: str) -> set[str]:
    """The nets in which a loss of an update leaves a gradient that its optimizer uses."""
    method = toy.build(name)
    given = [one for one in method.step(batch_of()) if one.name == update and one.due][0]
    held = {id(p) for group in method.optimizers()[update].param_groups for p in group["params"]}
    found = set()
    for net, module in method.nets.items():
        own = [p for p in module.parameters() if id(p) in held]
        gradients = torch.autograd.grad(given.losses[loss], own, retain_graph=True, allow_unused=True) if own else ()
        found |= {net} if any(g is not None and g.any() for g in gradients) else set()
    return found


@pytest.mark.parametrize("code", ["category", "continuous"])
def test_q_the_trunk_and_the_generator_learn_from_the_information(code):
    assert reached("infogan", "discriminator", f"{code}_Q") == {"trunk", "Q"}
    assert reached("infogan", "generator", f"{code}_G") == {"G"}


def test_in_the_control_q_only_reads():
    assert reached("plain_gan", "reader", "category_Q") == {"Q"}
    losses = {update.name: set(update.losses) for update in toy.build("plain_gan").step(batch_of())}
    assert losses == {"discriminator": {"D"}, "reader": {"category_Q", "continuous_Q"}, "generator": {"gan"}}


def test_in_the_head_start_only_the_trunk_and_q_learn():
    method = toy.build("infogan", {"infogan": {"head_start": 0.5}})
    before = {key: value.clone() for key, value in method.nets.named_parameters()}
    losses = run_step(method.step(batch_of()), method.optimizers())
    assert {name for name, value in losses.items() if value} == {"invariance"}
    moved = {key.split(".")[0] for key, value in method.nets.named_parameters() if not torch.equal(value, before[key])}
    assert moved == {"trunk", "Q"}
    later = batch_of()
    later.digits.positions = later.digits.positions + method.begun * method.train.batch
    assert list(run_step(method.step(later), method.optimizers())) == list(losses)
    words = infogan.check(toy.params("infogan", {"infogan": {"head_start": 0.5, "invariance": 0.0}}))
    assert "head_start has nothing to learn" in words[0]


def test_codes_belong_to_their_place_and_every_category_is_drawn_equally_often():
    like = torch.zeros(1, dtype=torch.float64)
    whole, part = codes(OWN, 5, np.arange(30), like), codes(OWN, 5, np.arange(10, 20), like)
    assert torch.equal(whole.joined[10:20], part.joined)
    assert all(sorted(three.tolist()) == [0, 1, 2] for three in whole.category.split(3))
    assert torch.equal(whole.joined[:, 6:9].argmax(1), whole.category)
    assert torch.equal(whole.joined[:, 9:], whole.continuous) and -1 <= whole.continuous.min() < 0
    assert not torch.equal(whole.joined, codes(OWN, 6, np.arange(30), like).joined)


def test_a_picture_is_shifted_by_pixels_slanted_and_black_comes_in():
    dot, still = torch.full((1, 1, 28, 28), -1.0), 0.5
    dot[0, 0, 14, 14] = 1
    moved = warped(dot, OWN, np.array([[still, still, still, 0.0, 1.0]]))  # read 2 pixels to the left and 2 below
    assert moved[0, 0].argmax() == 12 * 28 + 16 and moved.max() == pytest.approx(1, abs=1e-4)
    bar = torch.full((1, 1, 28, 28), -1.0)
    bar[..., 13:15] = 1
    slanted = warped(bar, OWN, np.array([[1.0, still, still, still, still]]))[0, 0]
    assert slanted[4].argmax() - slanted[24].argmax() == 8  # 0.4 of 20 rows, to the right upwards
    turned = warped(torch.ones(1, 1, 28, 28), OWN, np.array([[still, 1.0, still, still, still]]))
    assert turned[0, 0, 0, 0] == -1 and turned[0, 0, 14, 14] == 1


# -- labels -------------------------------------------------------------------------------------------------------


def test_which_pictures_are_labelled_is_told_by_their_keys():
    keys = [f"train-{n:05d}" for n in range(4000)]
    few, more = ({key for key in keys if is_labelled(key, share)} for share in (0.1, 0.3))
    assert few < more and abs(len(few) / 4000 - 0.1) < 0.02 and abs(len(more) / 4000 - 0.3) < 0.03
    assert not any(is_labelled(key, 0.0) for key in keys) and all(is_labelled(key, 1.0) for key in keys)


def after_a_step(category: Tensor) -> dict[str, Tensor]:
    method = toy.build("infogan", LABELLED)
    run_step(method.step(batch_of(8, category)), method.optimizers())
    return {key: value.clone() for key, value in method.nets.state_dict().items()}


def test_the_labels_of_other_pictures_change_nothing():
    true = torch.arange(8) % 3
    chosen = torch.tensor([is_labelled(key, 0.5) for key in batch_of().digits.keys])
    assert 0 < chosen.sum() < 8
    same = after_a_step(torch.where(chosen, true, 99))  # not even a category
    assert all(torch.equal(value, same[key]) for key, value in after_a_step(true).items())
    other = after_a_step(torch.where(chosen, (true + 1) % 3, true))
    assert not torch.equal(other["Q.conv_disc.weight"], same["Q.conv_disc.weight"])


def test_the_loss_of_labels_is_that_of_all_of_them_on_average():
    method = toy.build("infogan", {"infogan": {"labelled": 1.0, "invariance": 0.0}})
    every = next(method.step(batch_of(8, torch.arange(8) % 3))).losses["labelled"]
    method.own = method.own.model_copy(update={"labelled": 0.5})
    chosen, parts = [], []
    for start in range(0, 4000, 8):  # other keys, the same pictures
        batch = batch_of(8, torch.arange(8) % 3)
        batch.digits.keys = [f"train-{start + n:05d}" for n in range(8)]
        goal = labels(batch.digits, method.own)
        chosen.append(goal >= 0)
        parts.append((goal >= 0).sum() / (0.5 * 8))
    assert torch.stack(parts).mean().item() == pytest.approx(1, abs=0.05)
    assert every.item() == pytest.approx(np.log(3), abs=0.3)


def test_without_labels_the_method_is_given_none():
    some = toy.params("infogan", LABELLED)
    assert domains_of(infogan, toy.params("infogan")) == domains_of(plain_gan, some) == {"digits": ("image",)}
    assert domains_of(infogan, some) == {"digits": ("image", "meta")}


@pytest.mark.parametrize(
    ("category", "words"), [(None, "digits_train has none"), (torch.full((8,), 7), "is of category 7, but infogan.cat")]
)
def test_labels_that_are_missing_or_unknown_are_a_sentence(category, words):
    with pytest.raises(UserError, match=words):
        labels(batch_of(8, category).digits, OWN.model_copy(update={"labelled": 1.0}))
