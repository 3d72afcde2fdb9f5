"""Published weights: options from shapes, old statistics dropped, every misfit named."""

import json
from typing import Any

import pytest
import torch

from pipeline import importing
from pipeline.files import UserError
from pipeline.nets.cut import CutDiscriminator, CutGenerator, PatchProjector
from pipeline.nets.patchgan import PatchGAN
from pipeline.nets.resnet_generator import ResnetGenerator
from tests.parity.fixture import HERE

NETS = json.loads((HERE / "published_keys_cyclegan_cut.json").read_text())["nets"]
RGB = {"channels_in": 3, "channels_out": 3}
PUBLISHED = {
    "cyclegan_G": ("resnet_generator", RGB | {"width": 64, "blocks": 9, "norm": "instance", "dropout": False}),
    "cyclegan_D": ("patchgan", {"channels": 3, "width": 64, "layers": 3, "norm": "instance"}),
    "pix2pix_D": ("patchgan", {"channels": 6, "width": 64, "layers": 3, "norm": "batch"}),
    "cut_G": ("cut_generator", {"width": 64, "blocks": 9}),
    "cut_D": ("cut_discriminator", {"width": 64, "layers": 3}),
    "cut_F": ("cut_projector", {"channels": [3, 128, 256, 256, 256], "width": 256}),
}


def hollow(shapes: Any) -> dict[str, torch.Tensor]:
    """A state dict of these shapes that takes no memory."""
    return {key: torch.empty(tuple(shape), device="meta") for key, shape in dict(shapes).items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_options_of_the_published_nets(name):
    function, options = PUBLISHED[name]
    state = hollow(NETS[name]["state"])
    imported = getattr(importing, function)({f"module.{key}": value for key, value in state.items()}, "latest.pth")
    assert imported.options == options
    assert imported.state.keys() == state.keys() and not imported.dropped
    shapes = getattr(importing, f"{function}_shapes")(**options)
    assert [[key, list(shape)] for key, shape in shapes.items()] == NETS[name]["state"]  # in the published order too


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("dropout", [True, False])
def test_every_generator_is_told_from_its_keys(norm, dropout):
    options = {"channels_in": 1, "channels_out": 4, "width": 24, "blocks": 6, "norm": norm, "dropout": dropout}
    state = hollow(importing.resnet_generator_shapes(**options))
    assert importing.resnet_generator(state, "here").options == options


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("layers", [1, 3, 5])
def test_every_discriminator_is_told_from_its_keys(norm, layers):
    options = {"channels": 6, "width": 16, "layers": layers, "norm": norm}
    assert importing.patchgan(hollow(importing.patchgan_shapes(**options)), "here").options == options


def test_dropout_shifts_the_second_convolution_of_a_block():
    def keys(dropout: bool) -> set[str]:
        shapes = importing.resnet_generator_shapes(3, 3, 32, 6, "batch", dropout)
        return {key.removeprefix("model.10.conv_block.") for key in shapes if "model.10" in key}

    assert {"5.weight", "6.running_mean"} <= keys(False)
    assert {"6.weight", "7.running_mean"} <= keys(True) and "5.weight" not in keys(True)


def test_statistics_of_early_instance_norms_are_dropped_and_named():
    shapes = dict(NETS["cyclegan_G"]["state"])
    norms = ["model.2", "model.10.conv_block.2", "model.10.conv_block.6"]
    old = {f"{norm}.{leaf}": [64] for norm in norms for leaf in ("running_mean", "running_var")}
    imported = importing.resnet_generator(hollow(shapes | old | {"model.2.num_batches_tracked": []}), "old.pth")
    assert imported.state.keys() == shapes.keys()
    assert sorted(imported.dropped) == sorted([*old, "model.2.num_batches_tracked"])
    assert imported.options["norm"] == "instance"


def test_batch_norms_keep_their_statistics_and_may_lack_counters():
    shapes = dict(NETS["pix2pix_D"]["state"])
    del shapes["model.3.num_batches_tracked"]
    assert "model.3.running_mean" in importing.patchgan(hollow(shapes), "2017.pth").state
    del shapes["model.3.running_mean"]
    with pytest.raises(UserError, match="missing: model.3.running_mean"):
        importing.patchgan(hollow(shapes), "cut.pth")


def test_every_misfit_is_named():
    state = hollow(NETS["cyclegan_G"]["state"])
    del state["model.12.conv_block.5.bias"]
    state["model.99.weight"] = state["model.4.bias"]
    state["model.22.weight"] = state["model.19.weight"]
    with pytest.raises(UserError) as error:
        importing.resnet_generator(state, "half.pth")
    text = str(error.value)
    assert (
        "half.pth" in text and "missing: model.12.conv_block.5.bias" in text and "unexpected: model.99.weight" in text
    )
    assert "model.22.weight: (256, 128, 3, 3) in the file, (128, 64, 3, 3) in the net" in text


@pytest.mark.parametrize(
    ("function", "name"),
    [("resnet_generator", "cut_D"), ("cut_generator", "cyclegan_D"), ("patchgan", "cut_F"), ("cut_projector", "cut_G")],
)
def test_another_net_s_weights_are_refused(function, name):
    with pytest.raises(UserError, match=r"other\.pth are of another net: \S+ is missing"):
        getattr(importing, function)(hollow(NETS[name]["state"]), "other.pth")


@pytest.mark.parametrize(
    ("function", "name"),
    [("resnet_generator", "cut_G"), ("cut_generator", "cyclegan_G"), ("cut_discriminator", "cyclegan_D")],
)
def test_blurs_tell_cut_from_cyclegan(function, name):
    with pytest.raises(UserError, match=r"other\.pth(.|\n)*(missing|unexpected): model\.\d+\.filt"):
        getattr(importing, function)(hollow(NETS[name]["state"]), "other.pth")


@pytest.mark.parametrize(
    ("function", "net"),
    [
        ("resnet_generator", ResnetGenerator(8, 2)),
        ("patchgan", PatchGAN(2, 8, channels=6)),
        ("cut_generator", CutGenerator(8, 2)),
        ("cut_discriminator", CutDiscriminator(2, 8)),
        ("cut_projector", PatchProjector([3, 16], 8)),
    ],
)
def test_what_is_imported_loads_into_our_nets(function, net):
    imported = getattr(importing, function)(net.state_dict(), "own")
    ours = {
        key: value for key, value in imported.options.items() if key not in ("channels_in", "channels_out", "dropout")
    }
    if function == "resnet_generator":
        assert ours.pop("norm") == "instance"
    again = type(net)(**ours)
    again.load_state_dict(imported.state)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))
