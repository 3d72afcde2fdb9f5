"""pix2pix computes what its published code computes: each net, and whole training steps."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from torch import nn

from pipeline.methods import pix2pix_pairs
from pipeline.nets.patchgan import PatchGAN, PixelGAN
from pipeline.nets.unet import UNetGenerator
from tests.parity.fixture import Fixture
from tests.parity.step import array, check_steps, doubled, record

NETS: dict[str, Callable[[], nn.Module]] = {  # the fixtures' nets are built without dropout, which has no keys
    "pix2pix_unet128_batch_train": lambda: UNetGenerator(7, dropout=False),
    "pix2pix_unet128_batch_eval": lambda: UNetGenerator(7, inference="running_statistics"),
    "pix2pix_unet128_instance": lambda: UNetGenerator(7, norm="instance", dropout=False),
    "pix2pix_unet256_batch_train": lambda: UNetGenerator(8, width=32, dropout=False),
    "pix2pix_unet256_batch_eval": lambda: UNetGenerator(8, width=32, inference="running_statistics"),
    "pix2pix_unet256_instance": lambda: UNetGenerator(8, width=32, norm="instance", dropout=False),
    "patchgan_n3_conditional_batch_train": lambda: PatchGAN(3, channels=6, norm="batch"),
    "pixelgan_instance": lambda: PixelGAN(),
    "pixelgan_conditional_batch_train": lambda: PixelGAN(channels=6, norm="batch"),
}


@pytest.mark.parametrize("name", NETS)
def test_nets(name):
    """`pytest -rP` shows the largest differences found."""
    fixture = Fixture(name)
    net = NETS[name]().train(fixture.record["mode"] == "train")
    fixture.check(fixture.fill(net))
    print(name, fixture.found)


def test_complete_training_steps() -> None:
    params = {
        "train": {"steps": 3, "tick": 1, "batch": 2, "crop": [128, 128], "lr": 2e-4},
        "pix2pix_pairs": {"levels": 7, "generator_width": 4, "discriminator_width": 4, "dropout": False},
    }
    method = pix2pix_pairs.build(params, classes=2, seed=0)
    losses = {"G_GAN": "gan", "G_L1": "l1"} | doubled({"D_fake": "D_fake", "D_real": "D_real"})
    print(check_steps(record("step_pix2pix"), method, map(batch, range(3)), losses, {"G": "G", "D": "D"}))


def batch(n: int) -> SimpleNamespace:
    x, y = (array(f"step:pix2pix_{domain}_{n}", (2, 3, 128, 128)) for domain in "AB")
    return SimpleNamespace(pairs=SimpleNamespace(image=x, paired=y))
