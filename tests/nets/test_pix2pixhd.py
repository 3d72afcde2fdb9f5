"""pix2pixHD's nets beyond what the parity fixtures pin: sizes, instances, coarse to fine, published weights."""

import json
from pathlib import Path

import pytest
import torch

from pipeline.files import UserError
from pipeline.nets.multiscale import Pix2pixHDDiscriminator, infer_pix2pixhd_discriminator
from pipeline.nets.pix2pixhd import (
    FeatureEncoder,
    GlobalGenerator,
    LocalEnhancer,
    infer_encoder,
    infer_global,
    infer_local,
    instance_mean,
)
from pipeline.nets.weights import load_strictly

KEYS = Path(__file__).parents[1] / "parity" / "published_keys_spade_pix2pixhd.json"
PUBLISHED = json.loads(KEYS.read_text())["nets"]
GLOBAL = {"channels": 36, "width": 64, "halvings": 4, "blocks": 9}
LOCAL = GLOBAL | {"width": 32, "enhancers": 1, "local_blocks": 3}
SCALES = {"channels": 39, "width": 64, "layers": 3, "scales": 2, "features": True}


def published(name: str) -> dict[str, torch.Tensor]:
    return {key: torch.empty(shape, device="meta") for key, shape in PUBLISHED[name]["state"]}


@pytest.mark.parametrize(
    ("name", "infer", "kind", "options"),
    [
        ("pix2pixhd_G_512p", infer_global, GlobalGenerator, GLOBAL),
        ("pix2pixhd_G_1024p", infer_local, LocalEnhancer, LOCAL),
        ("pix2pixhd_G_1024p_features", infer_local, LocalEnhancer, LOCAL | {"channels": 39}),
        ("pix2pixhd_D_2_scales", infer_pix2pixhd_discriminator, Pix2pixHDDiscriminator, SCALES),
        ("pix2pixhd_D_3_scales", infer_pix2pixhd_discriminator, Pix2pixHDDiscriminator, SCALES | {"scales": 3}),
        ("pix2pixhd_E", infer_encoder, FeatureEncoder, {"width": 16, "features": 3, "halvings": 4}),
    ],
)
def test_published_nets_tell_their_options(name, infer, kind, options):
    state = published(name)
    assert infer(state, name) == options
    with torch.device("meta"):
        net = kind(**options)
    load_strictly(net, state, name)
    assert sum(p.numel() for p in net.parameters()) == PUBLISHED[name]["parameters"]


@pytest.mark.parametrize(
    ("infer", "kind", "options"),
    [
        (infer_global, GlobalGenerator, {"channels": 7, "width": 4, "halvings": 2, "blocks": 1}),
        (infer_local, LocalEnhancer,
         {"channels": 8, "width": 2, "halvings": 2, "blocks": 2, "enhancers": 2, "local_blocks": 1}),
        (infer_pix2pixhd_discriminator, Pix2pixHDDiscriminator,
         {"channels": 6, "width": 4, "layers": 2, "scales": 3, "features": False}),
        (infer_encoder, FeatureEncoder, {"width": 4, "features": 2, "halvings": 3}),
    ],
)  # fmt: skip
def test_small_nets_tell_their_options(infer, kind, options):
    assert infer(kind(**options).state_dict(), "file") == options


def test_weights_that_do_not_fit_are_named():
    state = published("pix2pixhd_G_1024p")
    with torch.device("meta"):
        net = LocalEnhancer(**infer_local(state, "file"))
    del state["model1_2.7.bias"]
    state["spare"] = state["model.38.bias"] = state["model.4.bias"] = torch.empty(3)
    with pytest.raises(UserError) as error:
        load_strictly(net, state, "file")
    for line in ("missing: model1_2.7.bias", "unexpected: spare", "unexpected: model.38.bias", "model.4.bias: (3,) in"):
        assert line in str(error.value)


@pytest.mark.parametrize("infer", [infer_global, infer_local, infer_encoder, infer_pix2pixhd_discriminator])
def test_a_file_of_another_net_is_refused_in_a_sentence(infer):
    with pytest.raises(UserError, match="The weights in other.pth lack"):
        infer({"conv_img.weight": torch.empty(3)}, "other.pth")


@pytest.mark.parametrize(
    ("net", "multiple"),
    [(GlobalGenerator(4, 2, halvings=2, blocks=1), 4), (LocalEnhancer(4, 2, halvings=2, blocks=1), 8)],
)
def test_the_picture_has_the_size_of_the_label_map_or_is_refused(net, multiple):
    assert net.multiple == multiple
    picture = net(torch.rand(1, 4, 32, 48))
    assert picture.shape == (1, 3, 32, 48)
    assert picture.abs().max() <= 1
    with pytest.raises(UserError, match=f"30 x 48 pixels .* multiples of {multiple}"):
        net(torch.rand(1, 4, 30, 48))


def test_a_trained_global_generator_starts_a_local_enhancer():
    coarse, fine = GlobalGenerator(4, 8, halvings=2, blocks=1), LocalEnhancer(4, 4, halvings=2, blocks=1)
    result = fine.load_state_dict(coarse.state_dict(), strict=False)
    assert set(result.unexpected_keys) == {"model.18.weight", "model.18.bias"}  # its last convolution
    assert all(key.startswith("model1_") for key in result.missing_keys)


def test_instance_means_are_those_of_each_picture_and_instance():
    x = torch.rand(2, 3, 4, 6, dtype=torch.float64, requires_grad=True)
    places = torch.randint(0, 4, (2, 4, 6), generator=torch.Generator().manual_seed(0))
    instance = torch.tensor([0, 7, 26001, 65535])[places]
    expected = torch.empty_like(x)
    for n in range(2):
        for number in instance[n].unique():
            inside = instance[n] == number
            expected[n, :, inside] = x.detach()[n, :, inside].mean(1, keepdim=True).expand(-1, int(inside.sum()))
    means = instance_mean(x, instance)
    torch.testing.assert_close(means.detach(), expected.detach())
    torch.testing.assert_close(instance_mean(x, instance[:, None]), means)
    weight = torch.rand(2, 3, 4, 6, dtype=torch.float64)
    (means * weight).sum().backward()
    torch.testing.assert_close(x.grad, instance_mean(weight, instance))  # a mean is its own adjoint


def test_discriminators_with_and_without_features_are_one_net():
    with_features, without = (Pix2pixHDDiscriminator(4, 4, features=features) for features in (True, False))
    without.load_state_dict(dict(zip(without.state_dict(), with_features.state_dict().values(), strict=True)))
    x = torch.rand(1, 4, 40, 56)
    for maps, (scores,) in zip(with_features(x), without(x), strict=True):
        assert len(maps) == 5
        assert torch.equal(maps[-1], scores)
