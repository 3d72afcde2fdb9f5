"""pix2pix's nets beyond what the fixtures pin: sizes, noise, the two ways of inference, fields of view, published weights."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.files import UserError
from pipeline.nets.dropout import SampleDropout2d, seed_dropout
from pipeline.nets.init import init_normal
from pipeline.nets.patchgan import PatchGAN, PixelGAN
from pipeline.nets.unet import UNetGenerator, from_published, picture_seeds

PUBLISHED = json.loads((Path(__file__).parents[1] / "parity" / "published_pix2pix.json").read_text())["nets"]


def built(levels: int = 6, **options: Any) -> UNetGenerator:
    net = UNetGenerator(levels, 8, **options)
    init_normal(net, torch.Generator().manual_seed(0), std=0.2)
    return net


def pictures(count: int, height: int = 64, width: int = 64) -> Tensor:
    """As they come from files: multiples of 1/127.5."""
    return torch.randint(256, (count, 3, height, width), generator=torch.Generator().manual_seed(1)) / 127.5 - 1


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(("levels", "size"), [(2, (4, 12)), (5, (64, 96)), (6, (64, 64)), (7, (128, 128))])
def test_size_and_range_stay(levels, size, norm):
    net = built(levels, norm=norm, channels_in=4, channels_out=2)
    seed_dropout(net, range(2))
    drawn = net(torch.rand(2, 4, *size))
    assert drawn.shape == (2, 2, *size)
    assert drawn.abs().max() <= 1


def test_other_sizes_are_refused_in_a_sentence():
    with pytest.raises(UserError, match="6 levels takes pictures .* multiples of 64, not 64 x 100"):
        built()(torch.zeros(1, 3, 64, 100))


def test_unknown_options_are_refused():
    for options in ({"norm": "group"}, {"inference": "eval"}, {"levels": 1}):
        with pytest.raises(ValueError, match=str(*options.values())):
            UNetGenerator(**options)
    with pytest.raises(ValueError, match="group"):
        PatchGAN(norm="group")


@pytest.mark.parametrize(("levels", "layers"), [(4, 0), (5, 0), (6, 1), (7, 2), (8, 3)])
def test_dropout_is_where_it_was_published(levels, layers):
    """Behind the blocks of full width but the deepest; never where it is switched off."""

    def noisy(net: nn.Module) -> list[str]:
        return [name for name, layer in net.named_modules() if isinstance(layer, SampleDropout2d)]

    with torch.device("meta"):
        found = noisy(UNetGenerator(levels, 8))
        assert not noisy(UNetGenerator(levels, 8, dropout=False))
    deepest = "model.model.1" + ".model.3" * (levels - 2)
    assert len(found) == layers
    assert not any(name.startswith(deepest) for name in found)
    assert all(re.fullmatch(r"model\.model\.1(\.model\.3){3,}\.model\.7\.draw", name) for name in found)


def test_dropout_takes_single_values():
    net = built(7)
    seed_dropout(net, range(2))
    layer = net.get_submodule("model.model.1.model.3.model.3.model.3.model.7")
    dropped = layer(torch.ones(2, 64, 8, 8))
    assert dropped.unique().tolist() == [0.0, 2.0]
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)
    assert (dropped.mean((2, 3)) > 0).all()  # no channel is gone as a whole


def test_training_noise_belongs_to_the_picture():
    """Same streams, same picture out, whatever else is in the batch and whatever the process drew before."""
    net, batch = built(norm="instance"), pictures(3)
    seed_dropout(net, [11, 12, 13])
    whole = net(batch)
    torch.rand(5)
    seed_dropout(net, [12])
    assert torch.allclose(net(batch[1:2]), whole[1:2], atol=1e-5)
    assert not torch.allclose(net(batch[1:2]), whole[1:2], atol=1e-2)  # the streams have gone on
    with pytest.raises(RuntimeError, match="seed_dropout"):
        net(batch)


def with_statistics(inference: str) -> UNetGenerator:
    """A net whose batch norms have seen two batches, ready to translate."""
    net = built(inference=inference)
    for seed in (0, 2):
        seed_dropout(net, [seed, seed + 1])
        net(pictures(2) / 2)
    return net.eval()


@pytest.mark.parametrize("inference", ["as_trained", "running_statistics"])
def test_a_translation_does_not_depend_on_its_batch_or_on_what_came_before(inference):
    # in double precision: running statistics of a few pictures multiply what single precision rounds off
    net, batch = with_statistics(inference).double(), pictures(3).double()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with torch.inference_mode():
        whole, again, alone = net(batch), net(batch), net(batch[1:2])
    assert torch.equal(whole, again)
    assert torch.allclose(alone, whole[1:2], atol=1e-9)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_as_trained_is_what_training_does_with_a_batch_of_one():
    picture, net = pictures(1), with_statistics("as_trained")
    translated = net(picture)
    net.train()
    seed_dropout(net, picture_seeds(picture))
    assert torch.allclose(net(picture), translated, atol=1e-5)
    running = with_statistics("running_statistics")
    assert not torch.allclose(running(picture), translated, atol=0.1)


def test_running_statistics_have_no_noise():
    net = with_statistics("running_statistics")
    plain = built(inference="running_statistics", dropout=False).eval()
    plain.load_state_dict(net.state_dict())
    assert torch.equal(net(pictures(1)), plain(pictures(1)))


def test_noise_is_drawn_from_the_picture_s_8_bit_values():
    batch = pictures(2)
    seeds = picture_seeds(batch)
    assert len(set(seeds)) == 2
    assert picture_seeds(batch.double() + 1e-6) == seeds  # another device divides by 127.5 in another way
    batch[0, 0, 0, 0] += 1 / 127.5 if batch[0, 0, 0, 0] < 0 else -1 / 127.5
    assert [a == b for a, b in zip(picture_seeds(batch), seeds, strict=True)] == [False, True]


@pytest.mark.parametrize(("layers", "field"), [(0, 1), (1, 16), (3, 70), (5, 286)])
def test_a_score_sees_as_many_pixels_as_published(layers, field):
    net: nn.Module = PatchGAN(layers, 2, channels=6, norm="none") if layers else PixelGAN(2, channels=6, norm="none")
    image = torch.rand(1, 6, 320, 320, requires_grad=True)
    scores = net(image)
    middle = scores.shape[-1] // 2
    scores[0, 0, middle, middle].backward()
    assert image.grad is not None
    seen = image.grad[0].abs().sum(0) > 0
    assert seen.any(0).sum() == seen.any(1).sum() == field


# -- published weights --------------------------------------------------------------------------------------------


def shapes(net: nn.Module) -> list[list[Any]]:
    return [[key, list(value.shape)] for key, value in net.state_dict().items()]


def test_published_weights_of_full_size_are_recognised():
    """Shapes alone: the values are one number, stretched."""
    state = {key: torch.zeros(()).expand(shape) for key, shape in PUBLISHED["pix2pix_G"]["state"]}
    net, options, dropped = from_published(state, "latest_net_G.pth")
    assert options == {
        "levels": 8, "width": 64, "norm": "batch", "dropout": True, "channels_in": 3, "channels_out": 3,
    }  # fmt: skip
    assert shapes(net) == PUBLISHED["pix2pix_G"]["state"] and not dropped
    assert sum(p.numel() for p in net.parameters()) == PUBLISHED["pix2pix_G"]["parameters"]


def test_published_discriminator_has_our_keys():
    with torch.device("meta"):
        assert shapes(PatchGAN(channels=6, norm="batch")) == PUBLISHED["pix2pix_D"]["state"]


@pytest.mark.parametrize("options", [{}, {"norm": "instance", "channels_in": 1, "channels_out": 2}, {"levels": 2}])
def test_weights_come_back(options):
    net = built(**options)
    read, inferred, _ = from_published(net.state_dict(), "G.pth")
    assert inferred.items() >= ({"levels": 6, "norm": "batch", "width": 8} | options).items()
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in read.state_dict().items())


def test_statistics_of_old_instance_norms_are_left_out_and_named():
    net = built(norm="instance")
    stray = {f"model.model.1.model.2.{name}": torch.zeros(16) for name in ("running_mean", "running_var")}
    read, options, dropped = from_published(net.state_dict() | stray, "old.pth")
    assert options["norm"] == "instance" and dropped == list(stray)
    assert read.state_dict().keys() == net.state_dict().keys()


def test_keys_that_do_not_fit_are_named():
    state = built().state_dict()
    del state["model.model.1.model.5.weight"]
    state["model.model.1.model.3.model.2.bias"] = torch.zeros(3)
    state["model.model.1.model.9.weight"] = torch.zeros(1)
    with pytest.raises(UserError) as error:
        from_published(state, "bent.pth")
    text = str(error.value)
    assert "bent.pth" in text
    assert "missing: model.model.1.model.5.weight" in text
    assert "unexpected: model.model.1.model.9.weight" in text
    assert "model.model.1.model.3.model.2.bias: (3,) in the file, (32,) in the net" in text


def test_another_net_s_weights_are_refused():
    state = PatchGAN(1, 2).state_dict()
    with pytest.raises(UserError, match=r"D.pth(.|\n)*missing: model.model.0.weight(.|\n)*unexpected: model.0.weight"):
        from_published(state, "D.pth")
