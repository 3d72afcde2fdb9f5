"""ResNet generator, PatchGAN, initialisation and padding, beyond what the parity fixtures pin."""

import numpy as np
import pytest
import torch

from pipeline.nets.init import init_normal
from pipeline.nets.patchgan import PatchGAN
from pipeline.nets.resnet_generator import ResnetGenerator, pad_to_multiple

CYCLEGAN_KEYS = [1, 4, 7, "10.conv_block.1", "18.conv_block.5", 19, 22, 26]


def test_published_keys_and_parameters_of_nine_blocks():
    state = ResnetGenerator().state_dict()
    assert {f"model.{key}.weight" for key in CYCLEGAN_KEYS} <= state.keys()
    assert sum(value.numel() for value in state.values()) == 11_378_179
    assert sum(value.numel() for value in PatchGAN().state_dict().values()) == 2_764_737


@pytest.mark.parametrize("up", ["transposed", "resize"])
def test_generator_keeps_the_size_and_the_range(up):
    net = ResnetGenerator(width=8, blocks=1, up=up)
    picture = net(torch.rand(2, 3, 32, 48) * 2 - 1)
    assert picture.shape == (2, 3, 32, 48)
    assert picture.abs().max() <= 1


def test_unknown_upsampling_is_refused():
    with pytest.raises(ValueError, match="transposed"):
        ResnetGenerator(up="bicubic")  # type: ignore[arg-type]


def test_a_discriminator_without_norm_sees_how_strong_a_pattern_is():
    """Instance norm scales it away; the keys are the same, so weights go from one to the other."""
    torch.manual_seed(0)
    pattern = torch.rand(1, 3, 64, 64) - 0.5
    nets = {norm: PatchGAN(2, 8, norm=norm) for norm in ("instance", "none")}
    nets["none"].load_state_dict(nets["instance"].state_dict())
    change = {norm: (net(pattern) - net(1.5 * pattern)).abs().mean() / net(pattern).std() for norm, net in nets.items()}
    assert change["none"] > 2 * change["instance"]


def test_resize_has_no_checkerboard():
    """A flat feature map must come out flat away from the border; a transposed convolution draws a grid on it."""

    def roughness(up: str) -> float:
        torch.manual_seed(0)
        net = ResnetGenerator(width=8, blocks=1, up=up)  # type: ignore[arg-type]
        (layer,) = net.model[11:12]
        return layer(torch.ones(1, 32, 9, 9))[..., 4:-4, 4:-4].std((2, 3)).max().item()

    assert roughness("resize") < 1e-6 < 1e-2 < roughness("transposed")


@pytest.mark.parametrize("size", [(64, 128), (50, 63), (227, 321), (1, 2)])
def test_padding_goes_and_comes_back(size):
    picture = torch.rand(1, 3, *size)
    padded, crop = pad_to_multiple(picture, 4)
    assert padded.shape[-2] % 4 == padded.shape[-1] % 4 == 0
    assert torch.equal(crop(padded), picture)
    assert np.array_equal(crop(padded.numpy()), picture.numpy())


def test_first_weights_depend_on_the_given_stream_alone():
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed + 17)  # the global stream must not matter
        net = ResnetGenerator(width=8, blocks=1)
        init_normal(net, torch.Generator().manual_seed(5))
        assert not net.get_parameter("model.1.bias").any()
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    first = weights(0)
    assert torch.equal(first, weights(1))
    assert first[first != 0].std().item() == pytest.approx(0.02, rel=0.05)
