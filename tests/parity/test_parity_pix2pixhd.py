"""pix2pixHD against the published code: nets, losses and complete training steps."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pipeline.engine.step import Update
from pipeline.losses_semantic import feature_matching, lsgan_scales, semantics
from pipeline.nets.multiscale import Pix2pixHDDiscriminator
from pipeline.nets.pix2pixhd import FeatureEncoder, GlobalGenerator, LocalEnhancer
from tests.parity import fill, step
from tests.parity.fixture import HERE, Fixture

NETS = {
    "pix2pixhd_global": lambda: GlobalGenerator(36, width=16),
    "pix2pixhd_local": lambda: LocalEnhancer(36, width=8),
    "pix2pixhd_local2": lambda: LocalEnhancer(8, width=4, halvings=2, blocks=2, enhancers=2, local_blocks=1),
    "pix2pixhd_encoder": lambda: FeatureEncoder(),
    "pix2pixhd_multiscale_d_features": lambda: Pix2pixHDDiscriminator(39, width=32),
    "pix2pixhd_multiscale_d_plain": lambda: Pix2pixHDDiscriminator(39, width=32, scales=3, features=False),
}
LOSSES = json.loads((HERE / "losses.json").read_text())


@pytest.mark.parametrize("name", NETS)
def test_nets(name):
    fixture, net = Fixture(name), NETS[name]()
    fixture.fill(net)
    if name.endswith("plain"):  # published with the sigmoid of its "vanilla" option; our vanilla loss takes raw scores
        fixture.check(net, lambda x: [[scale[-1].sigmoid()] for scale in net(x)])
    else:
        fixture.check(net)
    print(name, fixture.found)


@pytest.mark.parametrize("real", [True, False])
def test_adversarial_loss_over_scales(real):
    scores = {f"loss:scale{n}": _scores(f"loss:scale{n}", size) for n, size in enumerate([(9, 17), (6, 10)])}
    value = lsgan_scales([[scale] for scale in scores.values()], real)
    stored = LOSSES["gan_loss_pix2pixhd"]["table"]["lsgan"]["real" if real else "fake"]
    value.backward()
    assert value.item() == pytest.approx(stored["value"], rel=1e-10)
    for name, leaf in scores.items():
        seen = fill.probe(f"grad:{name}", leaf.grad.numpy())
        assert seen == pytest.approx(stored["gradient"][name], abs=1e-10 * stored["gradient"][name][0])


def test_complete_training_steps():
    fixture = step.record("step_pix2pixhd")
    own = Method()
    losses = {"G_GAN": "gan", "G_GAN_Feat": "features", "D_real": "D_real", "D_fake": "D_fake"}
    # The discriminator's two losses are stored whole; half of each is what it learns from.
    doubled = {name: (lambda values, key=ours: 2 * values[key]) for name, ours in losses.items() if name[0] == "D"}
    found = step.check_steps(fixture, own, map(_batch, range(3)), losses | doubled, {net: net for net in "GDE"})
    print(found)


class Method:
    """A training step of pix2pixHD with instance features, in the order of the published code."""

    def __init__(self) -> None:
        self.nets = nn.ModuleDict({
            "G": GlobalGenerator(39, width=4, blocks=3),
            "D": Pix2pixHDDiscriminator(39, width=4),
            "E": FeatureEncoder(width=4),
        })  # fmt: skip

    def optimizers(self) -> dict[str, Optimizer]:
        generator = [*self.nets["G"].parameters(), *self.nets["E"].parameters()]
        rates = {"lr": 2e-4, "betas": (0.5, 0.999)}
        return {"generator": Adam(generator, **rates), "discriminator": Adam(self.nets["D"].parameters(), **rates)}

    def step(self, batch: Any) -> Iterator[Update]:
        """All losses with the same weights, then G and E step, then D."""
        G, D, E = (self.nets[name] for name in "GDE")
        planes, real = batch.semantics, batch.image
        fake = G(torch.cat([planes, E(real, batch.instance)], 1))
        pair = torch.cat([planes, fake], 1)
        maps, real_maps = D(pair), D(torch.cat([planes, real], 1))
        # A pass of its own: the generator's update frees the first one's graph.
        discriminator = {"D_fake": lsgan_scales(D(pair), False) / 2, "D_real": lsgan_scales(real_maps, True) / 2}
        yield Update("generator", {"gan": lsgan_scales(maps, True), "features": 10 * feature_matching(maps, real_maps)})
        yield Update("discriminator", discriminator)


def _batch(n: int) -> SimpleNamespace:
    label, instance = (
        torch.from_numpy(fill.labels(f"step:hd_{kind}_{n}", (1, 64, 96), classes))
        for kind, classes in (("labels", 35), ("instances", 12))
    )
    planes = semantics(label, 35, instance).double()
    return SimpleNamespace(semantics=planes, instance=instance, image=step.array(f"step:hd_image_{n}", (1, 3, 64, 96)))


def _scores(name: str, size: tuple[int, int]) -> Tensor:
    return torch.from_numpy(fill.array(name, (2, 1, *size), -2, 2)).double().requires_grad_()
