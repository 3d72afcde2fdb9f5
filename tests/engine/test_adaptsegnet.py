"""AdaptSegNet: what each loss reaches, what the discriminators see and when, and that it is source_only but for them."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.engine.session import _card, _weight_files
from pipeline.engine.settings import SegmentSettings
from pipeline.engine.step import run_step
from pipeline.files import UserError, sha256_file
from pipeline.methods import adaptsegnet
from pipeline.methods.source_only import new_net, optimizer
from pipeline.nets.deeplab_v2 import DeepLabV2, init_as_published, load_backbone
from tests.engine import toy

NAME = "adaptsegnet"
DEEPLAB = {"segment": {"net": "deeplab_v2", "width": 2, "optimizer": "sgd", "lr": 2.5e-4, "ema": 0.0}}
LEVELS = {"single": [""], "multi": ["_auxiliary", ""]}


def built(**own: Any) -> tuple[Any, Any]:
    return toy.build(NAME, {NAME: own}), next(toy.Drawn(NAME).batches(0))


def seen_by(net: nn.Module) -> list[Tensor]:
    """What a discriminator is given, from now on."""
    seen: list[Tensor] = []
    net.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    return seen


def reached(loss: Tensor, net: nn.Module) -> float:
    gradients = torch.autograd.grad(loss, list(net.parameters()), retain_graph=True, allow_unused=True)
    return sum(float(g.abs().sum()) for g in gradients if g is not None)


@pytest.mark.parametrize("level", LEVELS)
def test_the_segmenter_steps_first_and_both_updates_have_every_level(level):
    method, batch = built(level=level)
    first, second = method.step(batch)
    ends = LEVELS[level]
    assert (first.name, second.name) == ("segmenter", "discriminator")
    assert list(first.losses) == [f"task{at}" for at in ends] + [f"gan{at}" for at in ends]
    assert list(second.losses) == [f"D{at}" for at in ends]
    assert set(method.nets) == {"S", *(f"D{at}" for at in ends)}


@pytest.mark.parametrize("space", ["output", "feature"])
def test_the_adversarial_loss_reaches_the_segmenter_through_its_own_discriminator(space):
    method, batch = built(space=space)
    losses = next(method.step(batch)).losses
    for at in LEVELS["multi"]:
        assert reached(losses[f"gan{at}"], method.nets["S"]) > 0
        assert reached(losses[f"gan{at}"], method.nets["D_auxiliary" if not at else "D"]) == 0
        assert not any(reached(losses[f"task{at}"], method.nets[f"D{end}"]) for end in LEVELS["multi"])
    head = method.nets["S"].score_auxiliary
    assert reached(losses["task_auxiliary"], head) > 0 and reached(losses["task"], head) == 0


@pytest.mark.parametrize(("loss", "distance"), [("vanilla", lambda s, t: math.log1p(math.exp(-s if t else s))),
                                                ("ls", lambda s, t: (s - t) ** 2)])  # fmt: skip
def test_source_is_0_and_target_is_1(loss, distance):
    """Discriminators that answer 2 whatever they see: S is told to be source, D to tell them apart, by halves."""
    method, batch = built(loss=loss)
    with torch.no_grad():
        for at in LEVELS["multi"]:
            for p in method.nets[f"D{at}"].parameters():
                p.zero_()
            method.nets[f"D{at}"].classifier.bias.fill_(2.0)
    first, second = method.step(batch)
    for at, weight in (("", 0.1), ("_auxiliary", 0.02)):
        assert first.losses[f"gan{at}"].item() == pytest.approx(weight * distance(2, 0))
        assert second.losses[f"D{at}"].item() == pytest.approx((distance(2, 0) + distance(2, 1)) / 2)


def test_discriminators_see_softmaxes_at_the_picture_s_size_from_before_the_segmenter_s_step():
    method, batch = built()
    seen = {at: seen_by(method.nets[f"D{at}"]) for at in LEVELS["multi"]}
    with torch.no_grad():
        goal = [level.logits.softmax(1) for level in method.nets["S"].levels(batch.source.image)]
    run_step(method.step(batch), method.optimizers())
    for at, source in zip(LEVELS["multi"], goal, strict=True):
        against, on_source, on_target = seen[at]
        assert against.shape == (2, len(toy.CLASSES), *batch.target.image.shape[-2:])
        torch.testing.assert_close(against.sum(1), torch.ones_like(against[:, 0]))
        assert torch.equal(on_source, source) and torch.equal(on_target, against)


def test_discriminators_of_features_see_what_the_heads_read():
    method, batch = built(space="feature")
    seen = {at: seen_by(method.nets[f"D{at}"]) for at in LEVELS["multi"]}
    list(method.step(batch))
    assert [seen[at][0].shape[1:] for at in LEVELS["multi"]] == [(32, 4, 4), (24, 8, 8)]
    assert (
        method.nets["D"](seen[""][0]).shape == method.nets["D_auxiliary"](seen["_auxiliary"][0]).shape == (2, 1, 1, 1)
    )


def test_without_adversarial_weight_one_level_is_source_only():
    """The same first weights, optimizer and pictures: what else a row differs by is the adaptation."""
    method, batch = built(level="single", adversarial=0.0)
    plain = toy.build("source_only")
    for one in (method, plain):
        run_step(one.step(batch), one.optimizers())
    for key, value in plain.nets["S"].state_dict().items():
        torch.testing.assert_close(method.nets["S"].state_dict()[key], value, rtol=0, atol=1e-7)


def test_until_the_warmup_ends_it_learns_from_source_labels_alone():
    method, plain = (
        toy.build(NAME, {NAME: {"level": "single", "warmup": 0.25}}),
        toy.build("source_only"),
    )  # 2 of 8 steps
    feed = toy.Drawn(NAME).batches(0)
    first = {key: value.clone() for key, value in method.nets["D"].state_dict().items()}
    optimizers, others = method.optimizers(), plain.optimizers()
    for _ in range(2):
        batch = next(feed)
        losses = run_step(method.step(batch), optimizers)
        run_step(plain.step(batch), others)
        assert losses["gan"] == losses["D"] == 0
    for key, value in plain.nets["S"].state_dict().items():
        assert torch.equal(method.nets["S"].state_dict()[key], value), key
    assert all(torch.equal(method.nets["D"].state_dict()[key], value) for key, value in first.items())
    assert run_step(method.step(next(feed)), optimizers)["D"] > 0
    assert not any(torch.equal(method.nets["D"].state_dict()[key], value) for key, value in first.items())


def test_averaged_over_blocks_a_score_stands_for_as_many_pixels():
    seen = {}
    for block in (1, 4):
        method, batch = built(block=block)
        method.nets["D"].register_forward_hook(
            lambda D, given, score, block=block: seen.update({block: (given[0], score)})
        )
        list(method.step(batch))
    (whole, score), (small, other) = seen[1], seen[4]
    assert small.shape[-2:] == (whole.shape[-2] // 4, whole.shape[-1] // 4) and other.shape == score.shape
    torch.testing.assert_close(small.sum(1), torch.ones_like(small[:, 0]))  # probabilities still


def test_an_auxiliary_head_changes_no_other_first_weight():
    one, two = (built(level=level)[0].nets["S"].state_dict() for level in LEVELS)
    assert all(torch.equal(two[key], value) for key, value in one.items())
    assert {key.partition(".")[0] for key in two.keys() - one.keys()} == {"score_auxiliary"}


def test_what_cannot_be_is_a_sentence():
    changes = {"segment": {"net": "fcn8s_same", "crop": [31, 64]}}
    found = adaptsegnet.check(toy.params(NAME, changes))
    assert "set adaptsegnet.level to single" in found[0] and "crop 32 pixels or more" in found[1]
    assert not adaptsegnet.check(toy.params(NAME))


# -- on DeepLab-v2 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_norm", ["frozen", "batch"])
def test_norms_of_a_deeplab_learn_nothing_and_keep_their_statistics_where_frozen(batch_norm):
    method = toy.build(NAME, toy.merge(DEEPLAB, {"segment": {"batch_norm": batch_norm}}))
    before = {key: value.clone() for key, value in method.nets["S"].state_dict().items()}
    run_step(method.step(next(toy.Drawn(NAME).batches(0))), method.optimizers())
    changed = {key for key, value in method.nets["S"].state_dict().items() if not torch.equal(value, before[key])}
    assert {"layer5.conv2d_list.3.weight", "layer6.conv2d_list.3.weight", "conv1.weight"} <= changed
    assert not {key for key in changed if key.startswith("bn1.") and key.endswith(("weight", "bias"))}
    assert {key for key in changed if "running" in key} == (
        {key for key in before if "running" in key} if batch_norm == "batch" else set()
    )


def test_every_weight_of_a_deeplab_is_in_one_group_once_and_heads_learn_ten_times_as_fast():
    """The published generator of parameters yields most of the backbone three times; see docs/segmenters.md."""
    settings = SegmentSettings(**toy.params(NAME, DEEPLAB)["segment"])
    net = new_net(settings, 5, torch.Generator().manual_seed(0), auxiliary=True)
    backbone, heads = optimizer(net, settings).param_groups
    listed = [id(p) for p in backbone["params"] + heads["params"]]
    assert len(set(listed)) == len(listed) and set(listed) == {id(p) for p in net.parameters() if p.requires_grad}
    assert heads["lr"] == pytest.approx(2.5e-3) and backbone["lr"] == 2.5e-4 and heads["momentum"] == 0.9
    assert len(heads["params"]) == 16 and len(backbone["params"]) == 104


def test_first_weights_of_a_deeplab_come_from_a_file_but_for_the_heads(tmp_path):
    given = DeepLabV2(21, width=2).state_dict()
    torch.save({f"Scale.{key}": torch.full_like(value, 2) for key, value in given.items()}, tmp_path / "init.pth")
    net = DeepLabV2(5, width=2, auxiliary=True)
    head = net.layer6.conv2d_list[0].weight.clone()
    load_backbone(net, tmp_path / "init.pth")
    assert net.conv1.weight.unique().tolist() == net.layer4[2].bn3.running_var.unique().tolist() == [2.0]
    assert torch.equal(net.layer6.conv2d_list[0].weight, head)
    torch.save({"conv1.weight": given["conv1.weight"]}, tmp_path / "part.pth")
    with pytest.raises(UserError, match=r"part.pth(.|\n)*missing: bn1.weight"):
        load_backbone(net, tmp_path / "part.pth")


def test_a_seed_draws_a_deeplab_the_same_with_a_second_head_and_without():
    one, two = DeepLabV2(5, 2), DeepLabV2(5, 2, auxiliary=True)
    for net in (one, two):
        init_as_published(net, torch.Generator().manual_seed(3))
    own = {key.replace("layer6.", "layer5."): v for key, v in two.state_dict().items() if not key.startswith("layer5.")}
    assert all(torch.equal(value, own[key]) for key, value in one.state_dict().items())


def test_a_training_goes_on_only_with_the_same_file_of_weights(tmp_path):
    """A path does not say what is in it."""
    file = tmp_path / "init.pth"
    found = []
    for content in (b"one", b"other"):
        file.write_bytes(content)
        found.append(_weight_files({"segment": {"resnet101": str(file)}, "spigan": {"vgg16": None}}))
    assert found[0] != found[1] and list(found[0]) == ["segment.resnet101: init.pth"]


def test_the_card_names_the_file_of_first_weights(tmp_path):
    (tmp_path / "init.pth").write_bytes(b"weights")
    changes = toy.merge(DEEPLAB, {"segment": {"resnet101": str(tmp_path / "init.pth")}})
    params = toy.params(NAME, changes)
    card = _card(NAME, 0, toy.settings_of(NAME, params), {}, "cpu", None, _weight_files(params))
    assert f"- weights of segment.resnet101: init.pth, SHA-256 {sha256_file(tmp_path / 'init.pth')}\n" in card
    assert str(tmp_path) not in card


def test_settings_that_a_deeplab_s_weights_depend_on_are_kept_with_the_model():
    kept = toy.params(NAME, toy.merge(DEEPLAB, {"segment": {"aspp": "first_two", "align_corners": False}}))
    net = adaptsegnet.exported(kept, 5)["S"]
    assert (net.layer6.count, net.align_corners, net.frozen) == (2, False, True)
    image = torch.rand(1, 3, 33, 41)
    assert adaptsegnet.logits(nn.ModuleDict({"S": net.eval()}), image).shape == (1, 5, 33, 41)
    assert torch.equal(net.levels(image)[1].logits, net(image))
