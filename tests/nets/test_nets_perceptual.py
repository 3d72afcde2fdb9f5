"""Feature networks: depths, frozen weights, gradients to the picture, errors in plain words."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.files import UserError
from pipeline.losses import perceptual_l1
from pipeline.nets.inception import SIZE, Inception, resize_as_tensorflow1
from pipeline.nets.lite0 import EfficientNetLite0, lite0_weights
from pipeline.nets.perceptual import FeatureNet, feature_net
from pipeline.nets.vgg19 import VGG19
from pipeline.nets.weights import load_strictly


@pytest.fixture(scope="module")
def lite0() -> FeatureNet:
    return feature_net("lite0")


def test_lite0_has_five_depths_and_a_descriptor(lite0):
    image = torch.rand(2, 3, 64, 96) * 2 - 1
    maps = lite0(image)
    assert [tuple(m.shape[1:]) for m in maps] == [(16, 32, 48), (24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3)]
    assert lite0.descriptor(image).shape == (2, 320)
    assert lite0.digest.startswith("005bdebd")


def test_melted_norms_change_nothing():
    state, where = lite0_weights(None)
    plain, melted = EfficientNetLite0(), EfficientNetLite0()
    load_strictly(plain.eval(), state, where, skip=("_conv_head", "_bn1", "_fc"))
    melted.load_published(state, where)
    image = torch.rand(1, 3, 65, 97) * 2 - 1
    with torch.no_grad():
        for a, b in zip(plain(image), melted(image), strict=True):
            assert torch.allclose(a, b, atol=1e-3 * a.abs().max().item())


def test_loss_reaches_the_picture_and_no_weight(lite0):
    image = (torch.rand(1, 3, 64, 64) * 2 - 1).requires_grad_()
    with torch.no_grad():
        goal = lite0(torch.rand(1, 3, 64, 64) * 2 - 1)
    perceptual_l1(goal, lite0(image)).backward()
    assert image.grad is not None and image.grad.abs().sum(1).min() > 0
    assert not any(p.requires_grad for p in lite0.parameters())


def test_stays_in_eval_mode(lite0):
    nn.Sequential(lite0).train()
    assert not any(module.training for module in lite0.modules())


def test_vgg19_taps_unrectified_maps(tmp_path):
    torch.save({f"module.{key}": value for key, value in VGG19().state_dict().items()}, tmp_path / "vgg19.pth")
    net = feature_net("vgg19", tmp_path / "vgg19.pth")
    maps = net(torch.rand(1, 3, 32, 32) * 2 - 1)
    assert [m.shape[1] for m in maps] == [64, 128, 256, 512, 512]
    assert all(m.min() < 0 for m in maps)


def test_errors_name_the_file_and_the_way_out(tmp_path):
    with pytest.raises(UserError, match="lite0, vgg19"):
        feature_net("resnet50")
    with pytest.raises(UserError, match="nowhere.pth"):
        feature_net("vgg19", tmp_path / "nowhere.pth")
    with pytest.raises(UserError, match="lite0"):
        feature_net("inception")
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "half.pth")
    with pytest.raises(UserError, match="missing: features.0.bias"):
        feature_net("vgg19", tmp_path / "half.pth")


def test_inception_is_torchvision_s_with_tensorflow_s_pooling():
    """torchvision's net with its average pools corrected for the border, and the last made a maximum, is the FID's."""
    from torchvision.models import inception_v3

    torch.manual_seed(0)
    theirs = inception_v3(weights=None, init_weights=False, aux_logits=False).eval()
    theirs.fc = nn.Identity()
    ours = Inception().eval()
    ours.load_published(theirs.state_dict(), "torchvision")
    seen = {}

    def without_border(_, inputs):
        return inputs[0] / F.avg_pool2d(torch.ones_like(inputs[0][:1, :1]), 3, 1, 1)

    for name, module in theirs.named_modules():
        if name.endswith("branch_pool") and not name.startswith("Mixed_7c"):
            module.register_forward_pre_hook(without_border)
    theirs.Mixed_7c.register_forward_pre_hook(lambda _, inputs: seen.update(x=inputs[0]))
    theirs.Mixed_7c.branch_pool.register_forward_pre_hook(lambda *_: F.max_pool2d(seen["x"], 3, 1, 1))
    image = torch.rand(1, 3, 128, 256) * 2 - 1
    with torch.no_grad():
        expected = theirs((resize_as_tensorflow1((image + 1) * 127.5, SIZE) - 128) / 128)
        assert torch.allclose(ours(image)[-1].mean((2, 3)), expected, atol=1e-6)


def test_resizing_as_tensorflow_1_starts_at_the_corner():
    row = torch.arange(4.0).expand(1, 1, 4, 4)
    assert resize_as_tensorflow1(row, 8)[0, 0, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]
    assert resize_as_tensorflow1(row, 2)[0, 0, 1].tolist() == [0, 2]
