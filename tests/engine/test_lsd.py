"""LSD: who learns from which loss, and what every picture is to be taken for."""

from typing import Any

import pytest
import torch

from pipeline.engine.step import run_step
from pipeline.methods import lsd
from pipeline.nets.lsd import DomainAndClasses, FeatureDecoder
from tests.engine import toy

NAME = "lsd"


def built(**own: Any) -> tuple[Any, Any]:
    return toy.build(NAME, {NAME: own}), next(toy.Drawn(NAME).batches(0))


def reached(loss: torch.Tensor, net: torch.nn.Module) -> bool:
    gradients = torch.autograd.grad(loss, list(net.parameters()), retain_graph=True, allow_unused=True)
    return any(g is not None and bool(g.abs().sum() > 0) for g in gradients)


def test_every_net_steps_in_its_turn_and_its_losses_reach_it():
    method, batch = built()
    updates = list(method.step(batch))
    assert [update.name for update in updates] == ["discriminator", "generator", "segmenter"]
    assert [list(update.losses) for update in updates] == [
        ["D", "D_classes"], ["gan", "drawn_classes", "reconstruction"], ["task", "adapted", "read_classes"],
    ]  # fmt: skip
    for update, net in zip(updates, "DGS", strict=True):
        for name, loss in update.losses.items():
            assert reached(loss, method.nets[net]), name


def test_what_each_picture_is_to_be_taken_for(monkeypatch):
    asked: list[int] = []
    plain = lsd.is_taken_for
    monkeypatch.setattr(lsd, "is_taken_for", lambda scores, domain: asked.append(domain) or plain(scores, domain))
    method, batch = built()
    counts = [(update.name, len(asked)) for update in method.step(batch)]
    assert counts == [("discriminator", 4), ("generator", 6), ("segmenter", 8)]
    assert asked[:4] == [lsd.SOURCE, lsd.DRAWN_SOURCE, lsd.TARGET, lsd.DRAWN_TARGET] == [0, 1, 2, 3]
    assert asked[4:6] == [lsd.SOURCE, lsd.TARGET]  # G: real ones of their own domain
    assert asked[6:] == [lsd.TARGET, lsd.SOURCE]  # S: real ones of the other


def test_later_updates_see_the_nets_that_earlier_ones_changed():
    method, batch = built()
    said: list[torch.Tensor] = []
    drawn: list[torch.Tensor] = []
    method.nets["D"].register_forward_hook(lambda net, given, out: said.append(out[0].detach().clone()))
    method.nets["G"].register_forward_hook(lambda net, given, out: drawn.append(out.detach().clone()))
    run_step(method.step(batch), method.optimizers())
    assert len(said) == 8 and len(drawn) == 4
    assert not torch.equal(said[1], said[4])  # the same drawn source picture, before and after D's step
    assert not torch.equal(drawn[0], drawn[2])  # the same features, before and after G's step


def test_the_loss_of_a_domain_is_its_cross_entropy_at_every_place():
    scores = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    for domain in range(4):
        goal = torch.full((2, 3, 5), domain)
        wanted = torch.nn.functional.cross_entropy(scores, goal).item()
        assert lsd.is_taken_for(scores, domain).item() == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(("stride", "size"), [(4, (30, 41)), (8, (33, 64)), (32, (32, 40))])
def test_a_picture_is_drawn_at_its_size(stride, size):
    features = torch.rand(2, 6, -(-size[0] // stride), -(-size[1] // stride))
    drawn = FeatureDecoder(6, stride, width=8)(features, size)
    assert drawn.shape == (2, 3, *size) and drawn.abs().max() <= 1
    domain, classes = DomainAndClasses(5, width=4)(drawn)
    assert domain.shape[1] == 4 and classes.shape[1] == 5 and domain.shape[2:] == (size[0] // 8, size[1] // 8)
