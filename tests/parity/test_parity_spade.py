"""SPADE against the published code: nets, losses, semantics and complete training steps with and without style."""

import json
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.engine.settings import TrainSettings
from pipeline.losses_semantic import (
    feature_matching,
    hinge_generator_scales,
    hinge_scales,
    instance_edges,
    kld,
    semantics,
    vgg_l1,
)
from pipeline.methods import spade
from pipeline.nets.multiscale import SpadeDiscriminator
from pipeline.nets.spade import SpadeEncoder, SpadeGenerator
from tests.parity import fill, step
from tests.parity.fixture import HERE, Fixture

NETS = {
    "spade_generator_normal_train": lambda: SpadeGenerator(36, width=16),
    "spade_generator_more_train": lambda: SpadeGenerator(36, width=16, upsampling="more"),
    "spade_generator_more_eval": lambda: SpadeGenerator(36, width=16, upsampling="more"),
    "spade_generator_more_vae_train": lambda: SpadeGenerator(36, 16, "more", z_dim=256, start=(1, 2)),
    "spade_generator_most_train": lambda: SpadeGenerator(36, width=4, upsampling="most"),
    "spade_generator_instance_dontcare": lambda: SpadeGenerator(37, width=16, norm="instance"),
    "spade_multiscale_d": lambda: SpadeDiscriminator(39, width=32),
    "spade_multiscale_d_eval": lambda: SpadeDiscriminator(39, width=16),
    "spade_encoder": lambda: SpadeEncoder(width=16),
    "spade_encoder_resized": lambda: SpadeEncoder(width=16),
}
LOSSES = json.loads((HERE / "losses.json").read_text())


@pytest.mark.parametrize("name", NETS)
def test_nets(name):
    fixture, net = Fixture(name), NETS[name]()
    fixture.fill(net)
    if name == "spade_multiscale_d_eval":  # published without feature matching: the predictions alone
        fixture.check(net, lambda x: [[scale[-1]] for scale in net(x)])
    else:
        fixture.check(net)
    print(name, fixture.found)


@pytest.mark.parametrize(
    ("loss", "key"),
    [
        (lambda maps: hinge_scales(maps, True), "D_real"),
        (lambda maps: hinge_scales(maps, False), "D_fake"),
        (hinge_generator_scales, "G"),
    ],
)
def test_adversarial_losses_over_scales(loss, key):
    scores = {f"loss:scale{n}": _leaf(f"loss:scale{n}", (2, 1, *size)) for n, size in enumerate([(9, 17), (6, 10)])}
    stored = LOSSES["gan_loss_spade"]["multiscale"]["table"]["hinge"][key]
    _compare(loss([[scale] for scale in scores.values()]), scores, stored)


@pytest.mark.parametrize(("publication", "layers"), [("spade", 3), ("pix2pixhd", 3)])
def test_feature_matching(publication, layers):
    stored = LOSSES["feature_matching"]
    fake, real = (
        [
            [_leaf(f"loss:fm_{kind}_{scale}_{n}", tuple(shape)) for n, shape in enumerate(shapes)]
            for scale, shapes in enumerate(stored["shapes"])
        ]
        for kind in ("fake", "real")
    )
    leaves = {f"loss:fm_fake_{scale}_{n}": leaf for scale, maps in enumerate(fake) for n, leaf in enumerate(maps[:-1])}
    _compare(10 * feature_matching(fake, real, layers), leaves, stored[publication])
    assert all(leaf.grad is None for leaf in [*sum(real, []), *(maps[-1] for maps in fake)])


def test_kld():
    leaves = {f"loss:{name}": _leaf(f"loss:{name}", (3, 256), 1) for name in ("mu", "logvar")}
    _compare(kld(*leaves.values()), leaves, LOSSES["kld"])


def test_perceptual_weights():
    stored = LOSSES["vgg_loss"]
    layers = [torch.tensor([distance], dtype=torch.float64) for distance in stored["per_layer_l1"]]
    assert vgg_l1(layers, [0 * layer for layer in layers]).item() == pytest.approx(stored["value"], rel=1e-10)


def test_edges_and_semantics():
    stored = LOSSES["instance_edges"]
    assert instance_edges(torch.tensor([stored["instances"]])).tolist() == [[stored["edges"]]]
    example = LOSSES["spade_semantics"]["example"]
    label, instance = torch.tensor([example["labels"]]), torch.tensor([example["instances"]])
    assert semantics(label, 3, instance, dont_care=True).tolist() == [example["semantics"]]


@pytest.mark.parametrize(("name", "size"), [("step_spade", (64, 128)), ("step_spade_vae", (128, 256))])
def test_complete_training_steps(name, size, monkeypatch):
    """The real method, as it is by default: two passes of the generator a step, two rates (TTUR)."""
    style, noise = name.endswith("vae"), count()
    monkeypatch.setattr(spade, "normal", lambda *_: step.array(f"step:spade_eps_{next(noise)}", (2, 256)))
    train = TrainSettings(steps=3, tick=1, batch=2, crop=list(size), lr=2e-4)
    own = spade.Settings(discriminator_width=4, style=style, encoder_width=4, perceptual=0.0)
    generator = SpadeGenerator(36, width=4, z_dim=256 if style else 0, start=(4, 8))
    method = spade.Spade(train, own, generator, 35, 0)
    losses = {"GAN": "gan", "GAN_Feat": "matching", "D_Fake": "D_fake", "D_real": "D_real", "KLD": "kld"}
    batches = (_batch(n, size) for n in range(3))
    print(name, step.check_steps(step.record(name), method, batches, losses, {net: net for net in method.nets}))


def _batch(n: int, size: tuple[int, int]) -> SimpleNamespace:
    label, instance = step.maps("spade", n, (2, *size), 20)
    given = {"label": label, "instance": instance, "image": step.array(f"step:spade_image_{n}", (2, 3, *size))}
    return SimpleNamespace(labelled_target=SimpleNamespace(**given, positions=np.array([2 * n, 2 * n + 1])))


def _leaf(name: str, shape: tuple[int, ...], reach: float = 2) -> Tensor:
    return torch.from_numpy(fill.array(name, shape, -reach, reach)).double().requires_grad_()


def _compare(value: Tensor, leaves: dict[str, Tensor], stored: dict[str, Any]) -> None:
    """Value and gradients of a loss, in float64."""
    value.backward()
    assert value.item() == pytest.approx(stored["value"], rel=1e-10)
    assert leaves.keys() == stored["gradient"].keys()
    for name, leaf in leaves.items():
        expected = stored["gradient"][name]
        assert fill.probe(f"grad:{name}", leaf.grad.numpy()) == pytest.approx(expected, abs=1e-10 * expected[0])
