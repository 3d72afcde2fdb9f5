"""Our nets compute what the published ones compute: outputs and gradients, in float64 (sharp) and in float32."""

import pytest
import torch
from torch import nn

from pipeline.nets.fcn8s import FCN8s
from pipeline.nets.patchgan import PatchGAN
from pipeline.nets.resnet_generator import ResnetGenerator
from tests.parity.fixture import Fixture

NETS = {
    "cyclegan_resnet6_instance": lambda: ResnetGenerator(width=64, blocks=6),
    "cyclegan_resnet6_oddsize": lambda: ResnetGenerator(width=16, blocks=6),
    "cyclegan_resnet9_instance": lambda: ResnetGenerator(width=64, blocks=9),
    "patchgan_n1_instance": lambda: PatchGAN(layers=1, width=64),
    "patchgan_n3_instance": lambda: PatchGAN(layers=3, width=64),
    "patchgan_n5_instance": lambda: PatchGAN(layers=5, width=16),
}


def check(name: str, net: nn.Module) -> None:
    """`pytest -rP` shows the largest differences found."""
    fixture = Fixture(name)
    fixture.check(fixture.fill(net))
    print(name, fixture.found)


@pytest.mark.parametrize("name", NETS)
def test_translator_nets(name):
    check(name, NETS[name]())


def test_fcn8s_of_the_papers_width():
    with torch.device("meta"):
        net = FCN8s(classes=19)  # 134 M parameters: no default initialisation, the fixture fills them
    check("fcn8s", net.to_empty(device="cpu").eval())
