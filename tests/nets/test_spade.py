"""SPADE's nets beyond what the parity fixtures pin: sizes, style, void, several ranks, published weights."""

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from pipeline.files import UserError
from pipeline.losses_semantic import semantics
from pipeline.nets.multiscale import SpadeDiscriminator, SpectralConv2d, infer_spade_discriminator, init_xavier
from pipeline.nets.spade import (
    SpadeEncoder,
    SpadeGenerator,
    infer_encoder,
    infer_generator,
    sample_style,
)
from pipeline.nets.synchronised import SynchronisedNorm
from pipeline.nets.weights import load_strictly
from tests.commands import Process

KEYS = Path(__file__).parents[1] / "parity" / "published_keys_spade_pix2pixhd.json"
PUBLISHED = json.loads(KEYS.read_text())["nets"]
CITYSCAPES = {"channels": 36, "width": 64, "upsampling": "more", "norm": "synchronised", "hidden": 128}


def published(name: str) -> dict[str, torch.Tensor]:
    return {key: torch.empty(shape, device="meta") for key, shape in PUBLISHED[name]["state"]}


def tiny(**options) -> SpadeGenerator:
    net = SpadeGenerator(**({"channels": 5, "width": 2, "upsampling": "fewer", "hidden": 8} | options))
    init_xavier(net, torch.Generator().manual_seed(0), gain=1.0)
    return net


@pytest.mark.parametrize(
    ("name", "given", "options"),
    [
        ("spade_G_cityscapes", {"upsampling": "more"}, CITYSCAPES),
        ("spade_G_ade20k", {}, CITYSCAPES | {"channels": 151, "upsampling": "normal"}),
        ("spade_G_coco", {}, CITYSCAPES | {"channels": 184, "upsampling": "normal"}),
        ("spade_G_cityscapes_vae", {"upsampling": "more"}, CITYSCAPES | {"z_dim": 256, "start": (4, 8)}),
    ],
)
def test_published_generators_tell_their_options(name, given, options):
    state = published(name)
    assert infer_generator(state, name, **given) == options
    fits(SpadeGenerator, options, name)


@pytest.mark.parametrize(
    ("name", "infer", "kind", "options"),
    [
        ("spade_D_cityscapes", infer_spade_discriminator, SpadeDiscriminator,
         {"channels": 39, "width": 64, "layers": 3, "scales": 2}),
        ("spade_E", infer_encoder, SpadeEncoder, {"width": 64, "z_dim": 256, "layers": 6}),
    ],
)  # fmt: skip
def test_published_discriminator_and_encoder_tell_their_options(name, infer, kind, options):
    assert infer(published(name), name) == options
    fits(kind, options, name)


def fits(kind: type[nn.Module], options: dict, name: str) -> None:
    with torch.device("meta"):
        net = kind(**options)
    load_strictly(net, published(name), name)
    assert sum(p.numel() for p in net.parameters()) == PUBLISHED[name]["parameters"]


def test_the_largest_generator_and_instance_norm_are_recognised():
    with torch.device("meta"):
        state = SpadeGenerator(9, 4, "most", "instance", hidden=16).state_dict()
    expected = {"channels": 9, "width": 4, "upsampling": "most", "norm": "instance", "hidden": 16}
    assert infer_generator(state, "file") == expected


def test_weights_that_do_not_fit_are_named():
    state = published("spade_D_cityscapes")
    net = SpadeDiscriminator(**infer_spade_discriminator(state, "file"))
    del state["discriminator_1.model4.0.bias"]
    state["spare"] = state["discriminator_1.model0.0.bias"] = torch.empty(3)
    with pytest.raises(UserError) as error:
        load_strictly(net, state, "file")
    for line in ("missing: discriminator_1.model4.0.bias", "unexpected: spare", "model0.0.bias: (3,) in the file"):
        assert line in str(error.value)
    for infer in (infer_generator, infer_encoder):
        with pytest.raises(UserError, match="The weights in file lack"):
            infer(state, "file")


def test_a_style_map_that_shapes_do_not_tell_must_be_given():
    state = tiny(z_dim=4, start=(2, 6)).state_dict()
    with pytest.raises(UserError, match="12 places"):
        infer_generator(state, "file", "fewer")
    assert infer_generator(state, "file", "fewer", start=(2, 6))["start"] == (2, 6)


@pytest.mark.parametrize("size", [(64, 128), (128, 128), (32, 80)])
def test_the_picture_has_the_size_of_the_label_map(size):
    assert tiny()(torch.rand(1, 5, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize(("upsampling", "multiple"), [("fewer", 16), ("normal", 32), ("more", 64), ("most", 128)])
def test_a_size_that_cannot_be_drawn_is_refused_with_the_multiple(upsampling, multiple):
    net = tiny(upsampling=upsampling)
    assert net.multiple == multiple
    with pytest.raises(UserError, match=f"250 pixels .* multiples of {multiple}"):
        net(torch.rand(1, 5, 128, 250))


def test_style_changes_the_picture_at_any_size():
    net, encoder = tiny(z_dim=6, start=(2, 4)).eval(), SpadeEncoder(width=2, z_dim=6, layers=4).eval()
    styles = torch.cat([encoder(image)[0] for image in (torch.zeros(1, 3, 40, 90), torch.rand(1, 3, 64, 64))])
    for size in ((32, 64), (64, 64)):
        pictures = net(torch.rand(1, 5, *size).expand(2, -1, -1, -1), styles)
        assert pictures.shape == (2, 3, *size)
        assert not torch.allclose(pictures[0], pictures[1], atol=1e-5)
    with pytest.raises(ValueError, match="6 numbers"):
        net(torch.rand(1, 5, 32, 64))


def test_style_without_deviation_is_the_mean():
    mu = torch.rand(2, 3)
    assert torch.equal(sample_style(mu, torch.full((2, 3), -1e9), torch.rand(2, 3)), mu)
    torch.testing.assert_close(sample_style(mu, torch.zeros(2, 3), mu), 2 * mu)


@pytest.mark.parametrize("dont_care", [False, True])
def test_void_and_unknown_labels_stay_within_the_planes(dont_care):
    label = torch.tensor([[[0, 2, 255, 3, -1]]])
    planes = semantics(label, 3, dont_care=dont_care)
    assert planes.shape == (1, 3 + dont_care, 1, 5)
    assert planes[0, :3].sum(0).tolist() == [[1, 1, 0, 0, 0]]
    assert planes.sum(1).tolist() == [[[1, 1, dont_care, dont_care, dont_care]]]


def test_spectral_norm_bounds_the_layer_and_survives_two_passes_and_low_precision():
    layer = SpectralConv2d(3, 4, 3)
    layer.reset(torch.Generator().manual_seed(0))
    x = torch.rand(1, 3, 8, 8)
    (layer(x).sum() + layer(x).sum()).backward()  # the second pass must not spoil the first one's gradient
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(100):
            layer(x)
    assert layer.weight_u.norm().item() == pytest.approx(1, abs=1e-6)
    largest = torch.linalg.svdvals(layer.weight_orig.flatten(1))[0]
    assert layer._norm().item() == pytest.approx(largest.item(), rel=1e-5)


def test_evaluation_leaves_the_vectors_alone():
    layer = SpectralConv2d(3, 4, 3).eval()
    before = layer.weight_u.clone()
    layer(torch.rand(1, 3, 8, 8))
    assert torch.equal(before, layer.weight_u)


def test_first_weights_depend_on_the_given_stream_alone():
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)  # the global stream must not matter
        nets = nn.ModuleList([SpadeGenerator(5, 2, "fewer"), SpadeDiscriminator(8, 4), SpadeEncoder(2)])
        init_xavier(nets, torch.Generator().manual_seed(5))
        assert not any(value.any() for key, value in nets.named_parameters() if key.endswith("bias"))
        return torch.cat([value.flatten().float() for value in nets.state_dict().values()])

    assert torch.equal(weights(0), weights(1))


def test_two_processes_normalise_as_one_does(tmp_path):
    """Output, gradient through the statistics, and running statistics, from halves of a batch."""
    ranks = [Process(tmp_path, __file__, str(rank)) for rank in range(2)]
    ended = [rank.wait() for rank in ranks]
    assert [one.code for one in ended] == [0, 0], ended[0].err + ended[1].err
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    whole = _normalise(slice(None))
    for key in ("output", "gradient"):
        torch.testing.assert_close(torch.cat([part[key] for part in parts]), whole[key], rtol=1e-10, atol=1e-12)
    for part in parts:
        torch.testing.assert_close(part["state"], whole["state"], rtol=1e-10, atol=1e-12)


def _one_rank(rank: int) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{Path.cwd()}/meet", rank=rank, world_size=2)
    torch.save(_normalise(slice(2 * rank, 2 * rank + 2)), f"{rank}.pt")
    distributed.destroy_process_group()


def _normalise(part: slice) -> dict:
    random = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(4, 3, 5, 6, generator=random, dtype=torch.float64) for _ in range(2))
    net, x = SynchronisedNorm(3, affine=False).double(), x[part].requires_grad_()
    output = net(x)
    (output * weight[part]).sum().backward()
    return {"output": output.detach(), "gradient": x.grad, "state": dict(net.state_dict())}


if __name__ == "__main__":
    _one_rank(int(sys.argv[1]))
