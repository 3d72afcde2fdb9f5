"""AdaptSegNet's and ADVENT's nets and rates against the published code."""

import json

import pytest
import torch
from torch import nn

from pipeline.engine.schedules import factor
from pipeline.nets.deeplab_v2 import DeepLabV2
from pipeline.nets.fc_discriminator import KEYS, FCDiscriminator
from tests.parity.fixture import HERE, Fixture

DEEPLABS = {
    "deeplab_multi_eval": lambda: DeepLabV2(19, auxiliary=True, aspp="first_two"),
    "deeplab_multi_train": lambda: DeepLabV2(19, auxiliary=True, aspp="first_two", frozen=False),
    "deeplab_single": lambda: DeepLabV2(19, aspp="first_two"),
    "advent_deeplab_v2": lambda: DeepLabV2(19, auxiliary=True, aspp="all"),
}
RATES = json.loads((HERE / "metrics.json").read_text())["poly_learning_rate"]


@pytest.mark.parametrize("name", DEEPLABS)
def test_deeplab(name):
    """Scores at 1/8 of every head; the fixtures have gradients of the norms' scales too, which learn nothing."""
    fixture = Fixture(name)
    with torch.device("meta"):
        net = DEEPLABS[name]()  # no default initialisation, the fixture fills it
    fixture.fill(net.to_empty(device="cpu").requires_grad_())
    net.train(fixture.record["mode"] == "train")
    fixture.check(net, net.scores)
    print(name, fixture.found)


def test_discriminator():
    fixture = Fixture("fc_discriminator")
    fixture.check(fixture.fill(FCDiscriminator(19)))
    print(fixture.found)


def test_discriminator_of_advent():
    """The same function; its layers are numbered."""
    fixture, net = Fixture("advent_discriminator"), FCDiscriminator(19)
    numbered = nn.ModuleDict({str(2 * n): net.get_submodule(key) for n, key in enumerate(KEYS)})
    fixture.check(fixture.fill(numbered), net)
    print(fixture.found)


@pytest.mark.parametrize(("name", "base"), [("segmentation_2.5e-4", 2.5e-4), ("discriminator_1e-4", 1e-4)])
def test_poly_rates(name, base):
    rates = [base * factor("poly", iteration, 250_000) for iteration in RATES["iterations"]]
    assert rates == pytest.approx(RATES[name], rel=1e-12)
