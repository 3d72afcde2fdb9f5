"""A step: every update reaches its own nets and no other, and the losses reach the nets that they are meant for."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.engine.step import Update, run_step
from tests.engine import toy


def batch_of(name: str) -> Any:
    return next(toy.Drawn(name).batches(0))


def weights(nets: nn.ModuleDict) -> dict[str, list[Tensor]]:
    return {name: [p.detach().clone() for p in net.parameters()] for name, net in nets.items()}


def changes(name: str) -> dict[str, set[str]]:
    """update -> the nets whose parameters it changed, in the steps of a method up to where each update was due."""
    method, feed = toy.build(name), toy.Drawn(name).batches(0)
    optimizers = method.optimizers()
    changed: dict[str, set[str]] = {}

    def watched(batch: Any) -> Iterator[Update]:
        for update in method.step(batch):
            before = weights(method.nets)
            yield update  # the engine carries it out before it comes back here
            after = weights(method.nets)
            moved = {
                net
                for net in before
                if any(not torch.equal(a, b) for a, b in zip(before[net], after[net], strict=True))
            }
            assert update.due or not moved
            changed[update.name] = changed.get(update.name, set()) | moved

    for _ in range(8):
        run_step(watched(next(feed)), optimizers)
        if all(changed.values()):
            break
    return changed


def test_the_discriminator_and_the_generator_leave_each_other_alone():
    assert changes("spigan") == {"discriminator": {"D"}, "generator": {"G", "T", "P"}}
    assert changes("spigan_no_pi") == {"discriminator": {"D"}, "generator": {"G", "T"}}


@pytest.mark.parametrize("name", toy.METHODS)
def test_every_optimizer_is_used_and_changes_its_own_parameters_alone(name):
    method = toy.build(name)
    owners = {
        update: {net for net, module in method.nets.items() if {id(p) for p in module.parameters()} & held}
        for update, optimizer in method.optimizers().items()
        if (held := {id(p) for group in optimizer.param_groups for p in group["params"]})
    }
    assert changes(name) == owners
    assert set.union(*owners.values()) == set(method.nets)


def losses_of(name: str, changes: dict[str, Any] | None = None) -> tuple[Any, dict[str, Tensor]]:
    """A method and the losses of its last update, with their graph."""
    method = toy.build(name, changes)
    updates = list(method.step(batch_of(name)))
    return method, updates[-1].losses


@pytest.fixture(scope="module")
def spigan() -> tuple[Any, dict[str, Tensor]]:
    """spigan and the losses of its generator; a test keeps their graph."""
    return losses_of("spigan")


def size(gradients: Any) -> float:
    return sum(float(g.abs().sum()) for g in gradients if g is not None)


@pytest.mark.parametrize("loss", ["task", "privileged", "perceptual", "gan"])
def test_every_loss_of_spigan_reaches_the_generator(loss, spigan):
    method, losses = spigan
    generator = method.nets["G"]
    first, *_, last = [p for p in generator.parameters() if p.ndim == 4]  # kernels of its first and last layer
    for parameter in (first, last):
        assert size(torch.autograd.grad(losses[loss], [parameter], retain_graph=True)) > 0


@pytest.mark.parametrize(("loss", "reached"), [("task", {"G", "T"}), ("privileged", {"G", "P"}), ("perceptual", {"G"})])
def test_a_loss_of_spigan_reaches_no_other_net(loss, reached, spigan):
    method, losses = spigan
    for name, net in method.nets.items():
        parameters = list(net.parameters())
        gradients = torch.autograd.grad(losses[loss], parameters, retain_graph=True, allow_unused=True)
        assert (size(gradients) > 0) == (name in reached), f"{loss} and {name}"


def test_the_task_moves_the_generator_even_where_nothing_else_does():
    off = {"train": {"alpha": 0.0, "gamma": 0.0, "delta": 0.0}}
    for weights_off, moves in (({"beta": 0.5}, True), ({"beta": 0.0}, False)):
        method = toy.build("spigan", toy.merge(off, {"train": off["train"] | weights_off}))
        before = weights(method.nets)["G"]
        run_step(method.step(batch_of("spigan")), method.optimizers())
        after = weights(method.nets)["G"]
        assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) == moves


def test_the_weights_of_spigan_scale_their_losses(spigan):
    once = spigan[1]
    _, twice = losses_of("spigan", {"train": {"alpha": 2.0, "beta": 1.5, "gamma": 0.4, "delta": 0.99}})
    factors = {name: float((twice[name] / once[name]).detach()) for name in once}
    assert factors == pytest.approx({"gan": 2, "task": 3, "privileged": 4, "perceptual": 3}, rel=1e-5)


def test_without_privileged_information_there_is_neither_its_net_nor_its_loss():
    method, losses = losses_of("spigan_no_pi")
    assert set(method.nets) == {"G", "D", "T"} and set(losses) == {"gan", "task", "perceptual"}
    assert "depth" not in toy.method_module("spigan_no_pi").DOMAINS["source"]


def test_gradients_are_clipped_at_their_norm_over_the_whole_update():
    def step(clip: float) -> Tensor:
        net = nn.Linear(3, 1, bias=False)
        nn.init.zeros_(net.weight)
        update = Update("only", {"sum": net(torch.tensor([[30.0, 40.0, 0.0]])).sum()})
        run_step(iter([update]), {"only": torch.optim.SGD(net.parameters(), lr=1.0)}, clip)
        return net.weight.detach()[0]

    assert step(0.0).tolist() == [-30.0, -40.0, 0.0]
    assert step(0.5).tolist() == pytest.approx([-0.3, -0.4, 0.0], rel=1e-4)


@pytest.mark.parametrize("name", [name for name in toy.METHODS if "joined" in toy.params(name).get("train", {})])
def test_a_joined_pass_of_the_discriminator_gives_the_same_losses(name):
    found = []
    for joined in (False, True):
        method, batch = toy.build(name, {"train": {"joined": joined}}), batch_of(name)
        for net in [held for held in (method.nets, *vars(method).values()) if isinstance(held, nn.Module)]:
            net.double()
        for domain in vars(batch).values():
            domain.image = domain.image.double()
        losses = run_step(method.step(batch), method.optimizers())
        found.append({key: float(value) for key, value in losses.items()})
    assert found[1] == pytest.approx(found[0], rel=1e-9)


def test_losses_come_back_without_their_graph():
    method = toy.build("spigan")
    losses = run_step(method.step(batch_of("spigan")), method.optimizers())
    assert list(losses) == ["D", "gan", "task", "perceptual", "privileged"]
    assert not any(loss.requires_grad for loss in losses.values())
