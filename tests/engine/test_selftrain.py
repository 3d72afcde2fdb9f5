"""Self-training: whom the teacher follows, what is pasted where, and what its labels weigh."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from pipeline.classes import IGNORE
from pipeline.engine.step import run_step
from pipeline.methods.selftrain import class_mask, orders, pseudo_labels, teacher_decay, weighted_cross_entropy
from tests.engine import toy

NAME = "selftrain"
CLASSES = len(toy.CLASSES)
DEEPLAB = {"segment": {"net": "deeplab_v2", "width": 2, "optimizer": "sgd", "lr": 2.5e-4, "batch_norm": "batch"}}


def built(changes: dict[str, Any] | None = None, **own: Any) -> tuple[Any, list[Any]]:
    """A method and its first three batches."""
    batches = toy.Drawn(NAME).batches(0)
    return toy.build(NAME, (changes or {}) | {NAME: own}), [next(batches) for _ in range(3)]


def weights(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in net.state_dict().items()}


# -- the teacher ----------------------------------------------------------------------------------------------------


def test_the_teacher_is_the_segmenter_at_first_and_then_its_average():
    method, batches = built(teacher=0.9)
    optimizers, S = method.optimizers(), method.nets["S"]
    with torch.no_grad():
        next(method.teacher.parameters()).add_(1.0)  # what it was before does not matter
    wanted = weights(S)
    for n, batch in enumerate(batches):
        decay = teacher_decay(n, 0.9)
        wanted = {key: decay * wanted[key] + (1 - decay) * value for key, value in weights(S).items()}
        run_step(method.step(batch), optimizers)
        for key, value in method.teacher.state_dict().items():
            torch.testing.assert_close(value, wanted[key], rtol=1e-5, atol=1e-6)
    assert any(not torch.equal(value, S.state_dict()[key]) for key, value in method.teacher.state_dict().items())


def test_the_teacher_takes_over_the_running_statistics_and_changes_none_itself():
    method, batches = built(DEEPLAB)
    optimizers = method.optimizers()
    run_step(method.step(batches[0]), optimizers)
    before = weights(method.nets["S"])
    assert not torch.equal(method.teacher.bn1.running_mean, before["bn1.running_mean"])  # S has gone on in its step
    run_step(method.step(batches[1]), optimizers)
    assert not method.teacher.training
    buffers = dict(method.teacher.named_buffers())
    assert any("running_var" in key for key in buffers)
    assert all(torch.equal(value, before[key]) for key, value in buffers.items())


def test_nothing_is_back_propagated_into_the_teacher():
    method, batches = built()
    update = next(method.step(batches[0]))
    torch.stack(list(update.losses.values())).sum().backward()
    assert all(p.grad is None and not p.requires_grad for p in method.teacher.parameters())
    held = {id(p) for o in method.optimizers().values() for group in o.param_groups for p in group["params"]}
    assert held == {id(p) for p in method.nets["S"].parameters()} and set(method.nets) == {"S"}


def test_the_teacher_is_part_of_the_state():
    method, batches = built()
    for batch in batches:
        run_step(method.step(batch), method.optimizers())
    other, _ = built()
    other.load_state(copy.deepcopy(method.state()))
    for key, value in method.teacher.state_dict().items():
        assert torch.equal(other.teacher.state_dict()[key], value)


# -- mixing ---------------------------------------------------------------------------------------------------------


def test_half_of_the_classes_of_each_picture_are_pasted_and_void_never():
    label = torch.tensor([[[0, 0, 3, 4, 4, 255]], [[7, 7, 7, 7, 255, 255]], [[255] * 6], [[1, 2, 8, 9, 9, 255]]])
    draws = torch.rand(4, CLASSES, generator=torch.Generator().manual_seed(0))
    pasted = class_mask(label, draws)
    for n, count in enumerate((2, 1, 0, 2)):  # rounded up
        chosen = set(label[n][pasted[n]].tolist())
        assert len(chosen) == count and IGNORE not in chosen
        assert torch.equal(pasted[n], torch.isin(label[n], torch.tensor(list(chosen), dtype=torch.long)))
        present = [c for c in label[n].unique().tolist() if c != IGNORE]
        assert chosen == set(sorted(present, key=lambda c: float(draws[n, c]))[:count])


def test_where_the_source_is_void_the_target_stays():
    method, (batch, *_) = built(jitter=0.0)
    taught = torch.full_like(batch.source.label, 5)
    image, label, weight = method._mixed(batch.source, batch.target, taught, torch.tensor(0.25))
    void = batch.source.label == IGNORE
    assert void.any() and (label[void] == 5).all() and (weight[void] == 0.25).all()
    everywhere = void[:, None].expand_as(image)
    torch.testing.assert_close(image[everywhere], batch.target.image[everywhere])
    pasted = weight == 1
    assert pasted.any() and torch.equal(label[pasted], batch.source.label[pasted])
    everywhere = pasted[:, None].expand_as(image)
    torch.testing.assert_close(image[everywhere], batch.source.image[everywhere])


def test_beyond_the_picture_nothing_is_taught():
    method, (batch, *_) = built()
    batch.target.inside = torch.ones(2, 1, 32, 32, dtype=torch.bool)
    batch.target.inside[:, :, 20:] = False
    label, _ = pseudo_labels(method.teacher(batch.target.image), 0.5, batch.target.inside)
    assert (label[:, 20:] == IGNORE).all() and (label[:, :20] != IGNORE).all()
    sharp = torch.zeros(2, 3, 32, 32)
    sharp[:, 1, :20] = 20.0  # sure wherever there is a picture
    assert pseudo_labels(sharp, 0.9, batch.target.inside)[1] == 1


# -- weights --------------------------------------------------------------------------------------------------------


def test_labels_weigh_as_the_share_of_sure_pixels_of_the_whole_batch():
    method, (batch, *_) = built()
    label, sure = pseudo_labels(method.teacher(batch.target.image), 0.0536)
    with torch.no_grad():
        probability, wanted = method.nets["S"](batch.target.image).softmax(1).max(1)  # the teacher is S so far
    assert torch.equal(label, wanted) and 0 < sure < 1
    assert sure.item() == pytest.approx((probability >= 0.0536).float().mean().item())


def test_the_weighted_loss_divides_by_the_labelled_pixels_and_not_by_the_weights():
    random = torch.Generator().manual_seed(0)
    scores, label = torch.randn(2, 4, 3, 5, generator=random), torch.randint(4, (2, 3, 5), generator=random)
    label[:, 0] = IGNORE
    weight = torch.rand(2, 3, 5, generator=random)
    each = F.cross_entropy(scores, label.clamp(max=3), reduction="none")
    wanted = (each * weight)[:, 1:].sum() / 20
    assert weighted_cross_entropy(scores, label, weight).item() == pytest.approx(wanted.item(), rel=1e-6)
    assert weighted_cross_entropy(scores, torch.full_like(label, IGNORE), weight).item() == 0


def test_an_unsure_teacher_teaches_nothing_but_what_was_pasted():
    method, (batch, *_) = built(threshold=0.99)
    losses = next(method.step(batch)).losses
    assert losses["masked"] == 0 and losses["mixed"] > 0


def test_losses_scale_with_their_weights_and_masking_can_be_left_out():
    once, twice, without = (
        next(method.step(batch)).losses
        for method, (batch, *_) in (built(), built(mixed=2.0, masked=3.0), built(masked=0.0))
    )
    ratios = {key: float((twice[key] / once[key]).detach()) for key in once}
    assert ratios == pytest.approx({"task": 1, "mixed": 2, "masked": 3}, rel=1e-5)
    assert list(without) == ["task", "mixed"]


def test_hidden_blocks_are_grey_and_others_are_seen():
    method, (batch, *_) = built(jitter=0.0, mask_block=8, mask_share=0.5)
    blocks = F.unfold(method._masked(batch.target), 8, stride=8)
    hidden = (blocks == 0).all(1)
    assert 0.2 < hidden.float().mean() < 0.8 and not torch.equal(hidden[0], hidden[1])
    seen = F.unfold(batch.target.image, 8, stride=8)
    torch.testing.assert_close(blocks.transpose(1, 2)[~hidden], seen.transpose(1, 2)[~hidden])


@pytest.mark.usefixtures("in_world")
def test_source_pictures_come_by_epochs_where_no_temperature_is_given():
    from pathlib import Path

    from stages.inputs import open_sets

    sets = open_sets({"source": ("image", "label")}, Path("data/shards/source"))
    assert set(orders(toy.params(NAME), sets, 0)) == {"source"}
    assert orders(toy.params(NAME, {NAME: {"rare_temperature": None}}), sets, 0) == {}
