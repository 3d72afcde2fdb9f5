"""InfoGAN's nets and losses against the published code's values, in float64 (sharp) and in float32."""

import json
import math

import pytest
import torch
from torch import Tensor

from pipeline.losses_codes import categorical_information, published_gaussian_nll
from pipeline.nets.infogan import InfoDHead, InfoGenerator, InfoQHead, InfoTrunk
from tests.parity import fill
from tests.parity.fixture import HERE, Fixture

STORED = json.loads((HERE / "metrics.json").read_text())["infogan_q"]
TABLE = 1e-5  # float32 losses of metrics.json
DATA = {  # size, channels, code, categories, continuous
    "mnist": (28, 1, 74, 10, 2),
    "svhn": (32, 3, 168, 40, 4),
    "celeba": (32, 3, 228, 100, 1),
}


def draw(net: InfoGenerator, size: int, code: Tensor) -> Tensor:
    picture = net(code.flatten(1))
    return (picture + 1) / 2 if size == 28 else picture


def judge(net: InfoDHead, size: int, features: Tensor) -> Tensor:
    return net(features).sigmoid()[:, None, None, None]


def look(net: InfoTrunk, size: int, picture: Tensor) -> Tensor:
    return net(2 * picture - 1 if size == 28 else picture)


def explain(net: InfoQHead, size: int, features: Tensor) -> list[Tensor]:
    logits, mean, log_variance = net(features)
    return [logits, *(x[:, 0] if x.shape[1] == 1 else x for x in (mean, log_variance.exp()))]  # squeezed


PARTS = {"generator": draw, "trunk": look, "dhead": judge, "qhead": explain}
NETS = (  # of SVHN and CelebA what MNIST's do not show: the layers of size 32, and a single continuous code
    "mnist_generator_eval", "mnist_generator_train", "mnist_trunk_eval", "mnist_trunk_train", "mnist_dhead",
    "mnist_qhead_eval", "mnist_qhead_train",
    "svhn_generator_train", "svhn_trunk_train", "svhn_dhead", "svhn_qhead_train",
    "celeba_qhead_eval",
)  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_nets(name):
    """`pytest -rP` shows the largest differences found."""
    data, part, *_ = name.split("_")
    size, channels, code, categories, continuous = DATA[data]
    with torch.device("meta"):  # no default initialisation, the fixture fills it
        nets = {
            "generator": InfoGenerator(size, code, channels),
            "trunk": InfoTrunk(size, channels),
            "dhead": InfoDHead(size),
            "qhead": InfoQHead(size, categories, continuous),
        }
    fixture, net = Fixture(f"infogan_{name}"), nets[part].to_empty(device="cpu")
    fixture.fill(net).train(fixture.record["mode"] == "train")
    fixture.check(net, lambda given: PARTS[part](net, size, given))
    print(name, fixture.found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_losses_of_the_codes(dtype):
    def given(name: str, shape: tuple[int, ...], low: float = -1, high: float = 1) -> Tensor:
        return torch.from_numpy(fill.array(f"info:{name}", shape, low, high)).to(dtype)

    code, mean, variance = given("c", (5, 2)), given("mu", (5, 2)).requires_grad_(), given("var", (5, 2), 0.1, 2)
    nll = published_gaussian_nll(code, mean, variance.requires_grad_())
    nll.backward()
    assert nll.item() == pytest.approx(STORED["nll"], rel=TABLE)
    for name, leaf in (("mu", mean), ("var", variance)):
        assert leaf.grad is not None
        stored = STORED[f"gradient_{name}"]
        assert fill.probe(f"info/{name}", leaf.grad.numpy()) == pytest.approx(tuple(stored), abs=TABLE * stored[0])
    information = categorical_information(given("logits", (5, 10), -2, 2), torch.tensor([0, 3, 9, 3, 5]))
    assert information.item() == pytest.approx(math.log(10) - STORED["categorical"], rel=TABLE)
