"""Losses and their gradients against the published code's values."""

import json

import pytest
import torch

from pipeline.engine.schedules import factor
from pipeline.losses import cross_entropy, hinge, hinge_generator, lsgan, perceptual_l1, vanilla
from pipeline.nets.vgg19 import CONV_X_2, VGG19
from tests.parity import fill
from tests.parity.fixture import HERE

LOSSES = json.loads((HERE / "losses.json").read_text())
METRICS = json.loads((HERE / "metrics.json").read_text())
CYCLEGAN = LOSSES["gan_loss_cyclegan_pix2pix"]["table"]
SPADE = LOSSES["gan_loss_spade"]["table"]["hinge"]
RATES, AT_START = LOSSES["learning_rate"], "step_at_start_as_published"
FLOAT32, FLOAT64 = 1e-6, 1e-10  # as losses.json says
TABLE = 1e-5  # float32 losses of metrics.json


def value_and_probe(loss, scores: torch.Tensor, name: str) -> list[float]:
    scores.requires_grad_()
    value = loss(scores)
    value.backward()
    assert scores.grad is not None
    return [value.item(), *fill.probe(name, scores.grad.numpy())]


def close(got: list[float], value: float, gradient: list[float], rtol: float) -> None:
    assert got[0] == pytest.approx(value, rel=rtol)
    assert got[1:] == pytest.approx(gradient, abs=rtol * gradient[0])


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, FLOAT32), (torch.float64, FLOAT64)])
@pytest.mark.parametrize(
    ("loss", "stored"),
    [
        (lambda x: lsgan(x, True), CYCLEGAN["lsgan"]["real"]),
        (lambda x: lsgan(x, False), CYCLEGAN["lsgan"]["fake"]),
        (lambda x: vanilla(x, True), CYCLEGAN["vanilla"]["real"]),
        (lambda x: vanilla(x, False), CYCLEGAN["vanilla"]["fake"]),
        (lambda x: hinge(x, True), SPADE["D_real"]),
        (lambda x: hinge(x, False), SPADE["D_fake"]),
        (hinge_generator, SPADE["G"]),
    ],
)
def test_adversarial_losses(loss, stored, dtype, rtol):
    scores = torch.from_numpy(fill.array("loss:prediction", (2, 1, 6, 7), -2, 2)).to(dtype)
    got = value_and_probe(loss, scores, "grad:loss:prediction")
    close(got, stored["value"], stored["gradient"]["loss:prediction"], rtol)


@pytest.mark.parametrize("key", ["vanilla_0", "vanilla_1", "ls_0", "ls_1"])
def test_adversarial_losses_of_the_segmentation_side(key):
    """AdaptSegNet pushes towards label 0 or 1, whatever it calls real."""
    kind, label = key.split("_")
    loss = {"vanilla": vanilla, "ls": lsgan}[kind]
    scores = torch.from_numpy(fill.array("adv:logits", (2, 1, 4, 8), -3, 3))
    stored = METRICS["adversarial"]["values"][key]
    got = value_and_probe(lambda x: loss(x, label == "1"), scores, f"adv/{key}")
    close(got, stored["value"], stored["gradient"], TABLE)


@pytest.mark.parametrize("corners", [True, False])
def test_segmentation_loss(corners):
    logits = torch.from_numpy(fill.array("seg:logits", (1, 19, 9, 17), -4, 4))
    label = torch.from_numpy(fill.labels("seg:labels", (1, 64, 128), 20))
    label[label == 19] = 255
    stored = METRICS["segmentation_loss"]["values"][f"align_corners_{corners}".lower()]

    def loss(x: torch.Tensor) -> torch.Tensor:
        large = torch.nn.functional.interpolate(x, (64, 128), mode="bilinear", align_corners=corners)
        return cross_entropy(large, label)

    got = value_and_probe(loss, logits, f"seg/align_{corners}".lower())
    close(got, stored["cross_entropy"], stored["gradient"], TABLE)


@pytest.mark.parametrize(
    ("schedule", "table"),
    [
        ("linear_as_published", [(e, rate / 2e-4) for e, rate in RATES["cyclegan_pix2pix_linear"][AT_START]]),
        ("linear", [(e, rate / 1e-4) for e, rate, _ in RATES["spade"]["niter_100_decay_100"]]),
    ],
)
def test_learning_rates_of_200_epochs(schedule, table):
    assert [factor(schedule, epoch - 1, 200) for epoch, _ in table] == pytest.approx([f for _, f in table], rel=1e-7)
    assert [factor(schedule, 7 * (epoch - 1), 1400) for epoch, _ in table] == pytest.approx([f for _, f in table])


def test_vgg19_layers_of_spigan():
    stored = LOSSES["vgg19_layer_indices_for_spigan"]
    assert tuple(stored[f"conv{n}_2"] for n in range(1, 6)) == CONV_X_2


def test_vgg19_perceptual_loss_of_spade():
    """Pins layers, ReLUs and pooling: rectified maps, picture as it is, weights 1/32 to 1."""
    net = VGG19(taps=(1, 6, 11, 20, 29), normalise=False)
    with torch.no_grad():
        for key, value in net.state_dict().items():
            value.copy_(torch.from_numpy(fill.weight(key, value.shape)))
    net.double()
    x, y = (torch.from_numpy(fill.array(f"loss:vgg_{name}", (1, 3, 48, 64))).double() for name in "xy")
    with torch.no_grad():
        goal = net(y)
    stored = LOSSES["vgg_loss"]

    def loss(image: torch.Tensor) -> torch.Tensor:
        layers = [perceptual_l1([ours], [theirs]) for ours, theirs in zip(net(image), goal, strict=True)]
        assert [layer.item() for layer in layers] == pytest.approx(stored["per_layer_l1"], rel=FLOAT64)
        return sum(layer / 2**n for layer, n in zip(layers, (5, 4, 3, 2, 0), strict=True))

    got = value_and_probe(loss, x, "grad:loss:vgg_x")
    close(got, stored["value"], stored["gradient"]["loss:vgg_x"], FLOAT64)
