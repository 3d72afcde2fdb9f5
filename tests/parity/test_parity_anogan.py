"""f-AnoGAN's nets, its gradient penalty and both methods' scores against published values, in float64 and in float32."""

import json
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pipeline.losses_codes import anogan_score, fanogan_score, gradient_penalty
from pipeline.nets.fanogan import (
    ConvDiscriminator,
    ConvEncoder,
    ConvGenerator,
    MlpDiscriminator,
    MlpEncoder,
    MlpGenerator,
)
from tests.parity import fill
from tests.parity.fixture import HERE, Fixture

METRICS = json.loads((HERE / "metrics.json").read_text())
TABLE = 1e-5  # float32 scores of metrics.json
NETS: dict[str, Callable[[], nn.Module]] = {
    "mnist_generator_eval": MlpGenerator,
    "mnist_generator_train": MlpGenerator,
    "mnist_discriminator": MlpDiscriminator,
    "mnist_encoder": MlpEncoder,
    "mvtec_generator_eval": ConvGenerator,
    "mvtec_generator_train": ConvGenerator,
    "mvtec_discriminator": ConvDiscriminator,
    "mvtec_encoder": ConvEncoder,
}
DTYPES = [torch.float32, torch.float64]


@pytest.mark.parametrize("name", NETS)
def test_nets(name):
    """`pytest -rP` shows the largest differences found."""
    with torch.device("meta"):
        net = NETS[name]()  # no default initialisation, the fixture fills it
    fixture = Fixture(f"fanogan_{name}")
    fixture.fill(net.to_empty(device="cpu")).train(fixture.record["mode"] == "train")
    fixture.record["zero_gradients"] = {"keys": fixture.record["zero_gradients"]}  # where other fixtures have this

    def judge(image: Tensor) -> list[Tensor]:
        scores, features = net.with_features(image)
        return [features, scores[:, None]]

    fixture.check(net, judge if name.endswith("discriminator") else None)
    print(name, fixture.found)


def given(name: str, shape: tuple[int, ...], dtype: torch.dtype, low: float = -1) -> Tensor:
    return torch.from_numpy(fill.array(name, shape, low)).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_penalty_and_its_own_gradient(dtype):
    stored, critic = METRICS["wgan_gp"], MlpDiscriminator()
    with torch.no_grad():
        for key, value in critic.state_dict().items():
            value.copy_(torch.from_numpy(fill.weight(key, value.shape)))
    real, fake = (given(f"gp:{name}", (4, 1, 28, 28), dtype) for name in ("real", "fake"))
    share = given("gp:alpha", (4, 1, 1, 1), dtype, 0).flatten()
    penalty = gradient_penalty(critic.to(dtype), real, fake, share)
    assert penalty.item() == pytest.approx(stored["value"], rel=stored["tolerance"])
    penalty.backward()
    for key, parameter in critic.named_parameters():
        probe = stored["parameter_gradients"][key]
        if not probe or not probe[0]:  # biases, but that the slopes of the LeakyReLUs depend on them
            assert parameter.grad is None or not parameter.grad.any()
            continue
        assert parameter.grad is not None
        got = fill.probe(f"gp/{key}", parameter.grad.numpy())
        assert got == pytest.approx(tuple(probe), abs=stored["tolerance"] * probe[0])


def pictures_and_features(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    image, drawn = (given(f"ano:{name}", (3, 1, 8, 8), dtype) for name in "xg")
    return image, drawn, given("ano:fx", (3, 16), dtype), given("ano:fg", (3, 16), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_score_of_anogan(dtype):
    stored, arguments = METRICS["anogan_score"], pictures_and_features(dtype)
    for name, weight in (("residual", 0.0), ("discrimination", 1.0), ("score", 0.1)):
        assert anogan_score(*arguments, weight).tolist() == pytest.approx(stored[name], rel=TABLE)


@pytest.mark.parametrize("dtype", DTYPES)
def test_score_of_fanogan(dtype):
    stored, arguments = METRICS["fanogan_score"], pictures_and_features(dtype)
    image, score = fanogan_score(*arguments, kappa=0.0), fanogan_score(*arguments)
    assert image.tolist() == pytest.approx(stored["image"], rel=TABLE)
    assert (score - image).tolist() == pytest.approx(stored["feature"], rel=TABLE)
    assert score.tolist() == pytest.approx(stored["score"], rel=TABLE)
    assert score.mean().item() == pytest.approx(stored["izi_f_loss"], rel=TABLE)
