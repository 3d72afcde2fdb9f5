"""Segmentation nets: any size, determinism, first loss, VGG16 weights."""

import math
import random
import re

import pytest
import torch
from torch import nn

from pipeline.files import UserError
from pipeline.losses import cross_entropy
from pipeline.nets.dropout import SampleDropout2d, seed_dropout
from pipeline.nets.fcn8s import VGG16_FEATURES, FCN8s, load_vgg16
from pipeline.nets.init import init_kaiming
from pipeline.nets.segmenters import segmenter
from pipeline.nets.vgg19 import MEAN, STD

NETS = {"fcn8s": 4, "fcn8s_same": 4, "small": 8}


def built(name: str, classes: int = 5) -> nn.Module:
    net = segmenter(name, classes, NETS[name])
    init_kaiming(net, torch.Generator().manual_seed(0))
    return net


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("size", [(64, 96), (33, 65)])
def test_logits_have_the_picture_s_size(name, size):
    net = built(name).eval()
    assert net(torch.rand(2, 3, *size)).shape == (2, 5, *size)
    assert built(name, classes=1).eval()(torch.rand(1, 3, *size)).shape == (1, 1, *size)


@pytest.mark.parametrize("name", NETS)
def test_a_fresh_net_is_unsure_and_can_learn(name):
    """First loss near log(classes), and a gradient for every layer: the published all-zero start would give none."""
    net = built(name)
    seed_dropout(net, range(2))
    image, label = torch.rand(2, 3, 64, 64) * 2 - 1, torch.randint(0, 5, (2, 64, 64))
    loss = cross_entropy(net(image), label)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(5), abs=0.1)
    assert all(p.grad is not None and p.grad.any() for key, p in net.named_parameters() if key.endswith("weight"))


def test_a_picture_s_prediction_does_not_depend_on_its_batch():
    for train in (True, False):
        net = built("small").train(train)
        images = torch.rand(3, 3, 64, 64)
        assert torch.allclose(net(images)[1:2], net(images[1:2]), atol=1e-5)


def test_small_segmenter_learns_a_thin_pole():
    """Bright columns one pixel wide: a net that only works at a quarter of the resolution cannot mark them."""
    net = built("small", 2)
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        label = (torch.rand(4, 1, 64, generator=generator) < 0.04).long().expand(4, 64, 64)
        image = label[:, None].float() * 1.5 - 0.75 + 0.1 * torch.randn(4, 3, 64, 64, generator=generator)
        optimizer.zero_grad()
        cross_entropy(net(image), label).backward()
        optimizer.step()
    hit = net(image).argmax(1)
    assert (hit & label).sum() / (hit | label).sum() > 0.6


def test_unknown_names_and_widths_are_refused():
    with pytest.raises(UserError, match="fcn8s"):
        segmenter("unet", 19, 16)
    with pytest.raises(UserError, match="multiple of 8"):
        segmenter("small", 19, 12)


def test_dropout_belongs_to_the_picture():
    layer = SampleDropout2d(0.5)
    x = torch.ones(4, 64, 2, 2)
    seed_dropout(layer, [7, 8, 9, 10])
    whole = layer(x)
    assert whole.unique().tolist() == [0.0, 2.0]
    seed_dropout(layer, [9, 10])
    assert torch.equal(layer(x[:2]), whole[2:])
    assert not torch.equal(whole[0], whole[1])
    with pytest.raises(RuntimeError, match="seed_dropout"):
        layer(x)
    assert torch.equal(layer.eval()(x), x)


def vgg16_state(width: int) -> dict[str, torch.Tensor]:
    """Weights of a narrow VGG16 under torchvision's keys."""
    net = FCN8s(classes=3, width=width)
    names = [name for name, layer in net.named_children() if re.match(r"conv\d_\d", name)]
    generator = torch.Generator().manual_seed(3)
    state = {}
    for index, name in zip(VGG16_FEATURES, names, strict=True):
        for leaf in ("weight", "bias"):
            shape = net.get_parameter(f"{name}.{leaf}").shape
            state[f"features.{index}.{leaf}"] = torch.randn(shape, generator=generator) * 0.2
    wide, deep = 64 * width, 8 * width
    state |= {"classifier.0.weight": torch.rand(wide, deep * 49), "classifier.0.bias": torch.rand(wide)}
    state |= {"classifier.3.weight": torch.rand(wide, wide), "classifier.3.bias": torch.rand(wide)}
    return state | {"classifier.6.weight": torch.rand(1000, wide), "classifier.6.bias": torch.rand(1000)}


def test_vgg16_weights_take_pictures_from_minus_one_to_one(tmp_path):
    state = vgg16_state(2)
    torch.save(state, tmp_path / "vgg16.pth")
    net = FCN8s(classes=3, width=2, same=True)
    load_vgg16(net, tmp_path / "vgg16.pth")
    picture = torch.rand(1, 3, 32, 32)
    normed = (picture - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    expected = nn.functional.conv2d(normed, state["features.0.weight"], state["features.0.bias"])
    assert torch.allclose(net.conv1_1(picture * 2 - 1)[..., 1:-1, 1:-1], expected, atol=1e-5)
    assert torch.equal(net.fc6.weight.flatten(), state["classifier.0.weight"].flatten())


def test_what_vgg16_weights_lack_is_named(tmp_path):
    state = vgg16_state(2)
    del state["features.28.bias"]
    state["classifier.3.weight"] = state["classifier.3.weight"][:5]
    torch.save(state, tmp_path / "half.pth")
    net = FCN8s(classes=3, width=2)
    before = net.conv1_1.weight.clone()
    with pytest.raises(UserError, match=r"half.pth(.|\n)*missing: features.28.bias(.|\n)*classifier.3.weight"):
        load_vgg16(net, tmp_path / "half.pth")
    assert torch.equal(net.conv1_1.weight, before)
    with pytest.raises(UserError, match="no weights file"):
        load_vgg16(net, tmp_path / "none.pth")
    for words in (
        b"not weights",
        b"hello",
        b"<html>",
        b"",
        b"\x80\x02}q\x00K\x01K\x02s.",
        random.Random(0).randbytes(60),
    ):
        (tmp_path / "text.pth").write_bytes(words)
        with pytest.raises(UserError, match="text.pth"):
            load_vgg16(net, tmp_path / "text.pth")
    torch.save({1: torch.zeros(1)}, tmp_path / "numbered.pth")
    with pytest.raises(UserError, match="holds no plain table of weights"):
        load_vgg16(net, tmp_path / "numbered.pth")
