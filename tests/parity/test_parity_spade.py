"""SPADE against the published code: nets, losses, semantics and complete training steps with and without style."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pipeline.engine.step import Update
from pipeline.losses_semantic import (
    feature_matching,
    hinge_generator_scales,
    hinge_scales,
    instance_edges,
    kld,
    semantics,
    vgg_l1,
)
from pipeline.nets.multiscale import SpadeDiscriminator
from pipeline.nets.spade import SpadeEncoder, SpadeGenerator, sample_style
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


@pytest.mark.parametrize("name", ["step_spade", "step_spade_vae"])
def test_complete_training_steps(name):
    style = name.endswith("vae")
    size = (128, 256) if style else (64, 128)
    own = Method(style)
    losses = {"GAN": "gan", "GAN_Feat": "features", "D_Fake": "D_fake", "D_real": "D_real", "KLD": "kld"}
    nets = {net: net for net in own.nets}
    found = step.check_steps(step.record(name), own, (_batch(n, size) for n in range(3)), losses, nets)
    print(name, found)


class Method:
    """A training step of SPADE, in the order of the published code: two passes of the generator, two rates (TTUR)."""

    def __init__(self, style: bool) -> None:
        generator = SpadeGenerator(36, width=4, z_dim=256 if style else 0, start=(4, 8))
        self.nets = nn.ModuleDict({"G": generator, "D": SpadeDiscriminator(39, width=4)})
        if style:
            self.nets["E"] = SpadeEncoder(width=4)
        self.encodings = 0

    def optimizers(self) -> dict[str, Optimizer]:
        generator = [p for name in ("G", "E") if name in self.nets for p in self.nets[name].parameters()]
        return {
            "generator": Adam(generator, 1e-4, (0.0, 0.9)),
            "discriminator": Adam(self.nets["D"].parameters(), 4e-4, (0.0, 0.9)),
        }

    def step(self, batch: Any) -> Iterator[Update]:
        fake, losses = self._draw(batch)
        maps, real = self._judge(batch, fake)
        losses |= {"gan": hinge_generator_scales(maps), "features": 10 * feature_matching(maps, real)}
        yield Update("generator", losses)
        with torch.no_grad():  # as published: once more, with the new weights, which moves statistics and norms again
            fake, _ = self._draw(batch)
        maps, real = self._judge(batch, fake)
        yield Update("discriminator", {"D_fake": hinge_scales(maps, False), "D_real": hinge_scales(real, True)})

    def _draw(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The fake and, with style, the encoder's loss."""
        if "E" not in self.nets:
            return self.nets["G"](batch.semantics), {}
        mu, logvar = self.nets["E"](batch.image)
        z = sample_style(mu, logvar, step.array(f"step:spade_eps_{self.encodings}", tuple(mu.shape)))
        self.encodings += 1
        return self.nets["G"](batch.semantics, z), {"kld": 0.05 * kld(mu, logvar)}

    def _judge(self, batch: Any, fake: Tensor) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """Maps of the fakes and of the real pictures, from one pass: one step of the spectral norm's iteration."""
        pairs = [torch.cat([batch.semantics, image], 1) for image in (fake, batch.image)]
        maps = self.nets["D"](torch.cat(pairs))
        halves = [[layer.chunk(2) for layer in scale] for scale in maps]
        return [[half[0] for half in scale] for scale in halves], [[half[1] for half in scale] for scale in halves]


def _batch(n: int, size: tuple[int, int]) -> SimpleNamespace:
    label, instance = (
        torch.from_numpy(fill.labels(f"step:spade_{kind}_{n}", (2, *size), classes))
        for kind, classes in (("labels", 35), ("instances", 20))
    )
    planes = semantics(label, 35, instance).double()
    return SimpleNamespace(semantics=planes, image=step.array(f"step:spade_image_{n}", (2, 3, *size)))


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
