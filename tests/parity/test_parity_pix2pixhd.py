"""pix2pixHD against the published code: nets, losses and complete training steps."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.engine.settings import TrainSettings
from pipeline.losses_semantic import lsgan_scales
from pipeline.methods.pix2pixhd import Pix2pixHD, Settings
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
    """The real method; its generator is the fixture's, which also reads features of the real picture's instances."""
    train = TrainSettings(steps=3, tick=1, batch=1, crop=[64, 96], lr=2e-4)
    own = Settings(generator_width=4, generator_blocks=3, discriminator_width=4, perceptual=0.0)
    method = Pix2pixHD(train, own, 35, 0)
    method.nets["G"] = WithFeatures()
    losses = {"G_GAN": "gan", "G_GAN_Feat": "matching"} | step.doubled({"D_real": "D_real", "D_fake": "D_fake"})
    nets = {"G": "G.draw", "D": "D", "E": "G.encode"}
    batches = (_batch(method.nets["G"], n) for n in range(3))
    print(step.check_steps(step.record("step_pix2pixhd"), method, batches, losses, nets))


class WithFeatures(nn.Module):
    """A generator with the encoder of instance features, which sim2street's pix2pixHD does without."""

    def __init__(self) -> None:
        super().__init__()
        self.draw, self.encode = GlobalGenerator(39, width=4, blocks=3), FeatureEncoder(width=4)
        self.seen: tuple[Tensor, Tensor] | None = None  # the step's real picture and its instances

    def forward(self, planes: Tensor) -> Tensor:
        assert self.seen
        return self.draw(torch.cat([planes, self.encode(*self.seen)], 1))


def _batch(generator: Any, n: int) -> SimpleNamespace:
    label, instance = step.maps("hd", n, (1, 64, 96), 12)
    image = step.array(f"step:hd_image_{n}", (1, 3, 64, 96))
    generator.seen = (image, instance + 65536 * label)
    return SimpleNamespace(labelled_target=SimpleNamespace(label=label, instance=instance, image=image))


def _scores(name: str, size: tuple[int, int]) -> Tensor:
    return torch.from_numpy(fill.array(name, (2, 1, *size), -2, 2)).double().requires_grad_()
