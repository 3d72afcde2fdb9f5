"""Published files by the command line: what they draw afterwards, what is printed of them, and what is refused."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.adopting import Given, adopt, filled
from pipeline.engine.model import Model, load_model
from pipeline.files import UserError, encode_png, read_image, sha256_file
from pipeline.losses_semantic import semantics
from pipeline.methods import method_module
from pipeline.nets.deeplab_v2 import DeepLabV2
from pipeline.nets.fc_discriminator import FCDiscriminator
from pipeline.nets.pix2pixhd import GlobalGenerator
from pipeline.nets.resnet_generator import ResnetGenerator
from pipeline.nets.spade import SpadeGenerator
from pipeline.nets.unet import UNetGenerator
from pipeline.sample import Sample
from pipeline.translation import drawn, to_picture
from tests.commands import Ended, contents, run_here
from tests.parity import fill
from tests.parity.fixture import FLOAT64_RTOL, HERE, Fixture, _input

FILES = ("published_keys_cyclegan_cut", "published_keys_spade_pix2pixhd", "published_pix2pix")
PUBLISHED: dict[str, Any] = {}
for _name in FILES:
    _read = json.loads((HERE / f"{_name}.json").read_text())
    PUBLISHED |= _read.get("nets", {key: value for key, value in _read.items() if "state" in value})


def imported(folder: Path, state: dict[str, torch.Tensor], method: str, *more: str) -> Ended:
    """The command, on a file of this state dict, into folder/model."""
    torch.save(state, folder / "latest_net_G.pth")
    return run_here(folder, "import_weights", "--from", "latest_net_G.pth", "--method", method, "--out", "model", *more)


def loaded(folder: Path, state: dict[str, torch.Tensor], method: str, *more: str) -> Model:
    ended = imported(folder, state, method, *more)
    assert ended.code == 0, ended.err
    return load_model(folder / "model", "cpu")


def published(fixture: Fixture) -> dict[str, torch.Tensor]:
    """The fixture's file: published keys, each with the values that its name stands for."""
    return {key: torch.from_numpy(np.asarray(fill.weight(key, shape))) for key, shape in fixture.record["state"]}


def hollow(name: str) -> dict[str, torch.Tensor]:
    """A published file of full size that takes no memory."""
    return {key: torch.empty(tuple(shape), device="meta") for key, shape in PUBLISHED[name]["state"]}


# -- what is drawn is what the published net draws ----------------------------------------------------------------


def check(fixture: Fixture, net: nn.Module, precisions: dict[str, torch.dtype]) -> None:
    """The published outputs, within the fixture's own tolerances."""
    stored, tolerance = fixture.record["outputs"]["0"], fixture.record["tolerance"]
    limits = {"f32": tolerance["outputs_rtol"], "f64": FLOAT64_RTOL}
    for precision, dtype in precisions.items():
        x = _input(fixture.record["inputs"][0], dtype).detach()
        with torch.inference_mode():
            output = net.to(dtype)(x).numpy()
        samples = np.load(HERE / f"{fixture.name}.npz")[stored["npz"]]
        steps = tuple(slice(None, None, n) for n in stored["stride"])
        assert np.abs(output[steps] - samples).max() <= tolerance["output_samples_atol"]
        norm, along = stored["probe"][precision]
        found = fill.probe("output:0", output)
        print(fixture.name, precision, worst := max(abs(found[0] - norm), abs(found[1] - along)) / norm)
        assert worst <= limits[precision]


@pytest.mark.parametrize(
    ("name", "method", "more"),
    [
        ("cyclegan_resnet6_oddsize", "cyclegan", ()),
        ("cut_generator", "cut", ()),
        ("pix2pix_unet256_batch_eval", "pix2pix", ("--inference", "running_statistics")),
        ("pix2pixhd_global", "pix2pixhd", ()),
        ("pix2pixhd_local", "pix2pixhd", ()),
    ],
)
def test_an_imported_net_draws_what_the_published_net_draws(name, method, more, tmp_path):
    fixture = Fixture(name)
    model = loaded(tmp_path, published(fixture), method, *more)
    (net,) = model.nets.values()
    check(fixture, net, {"f32": torch.float32, "f64": torch.float64})
    for file in tmp_path.rglob("*.[ps]*t*"):
        file.unlink()  # up to 50 MB each


def warmed(fixture: Fixture, net: SpadeGenerator, passes: int) -> dict[str, torch.Tensor]:
    """A state dict whose spectral norms are those of the recorded pass: u and v have gone through `passes` before."""
    fixture.fill(net)
    with torch.no_grad():
        for _ in range(passes):
            net.train()(_input(fixture.record["inputs"][0], torch.float32))
    return net.state_dict()


@pytest.mark.parametrize(
    ("name", "arguments", "passes", "more"),
    [
        ("spade_generator_more_eval", {"channels": 36, "upsampling": "more"}, 2, ()),
        (
            "spade_generator_instance_dontcare", {"channels": 37, "norm": "instance"}, 1,
            ("--planes", "cityscapes35+dont_care+edges", "--upsampling", "normal"),
        ),
    ],
)  # fmt: skip
def test_an_imported_spade_draws_what_the_published_one_draws(name, arguments, passes, more, tmp_path):
    fixture = Fixture(name)
    model = loaded(tmp_path, warmed(fixture, SpadeGenerator(width=16, **arguments), passes), "spade", *more)
    check(fixture, model.nets["G"], {"f32": torch.float32})


@pytest.mark.parametrize(
    ("name", "aspp"),
    [("deeplab_multi_eval", "first_two"), ("deeplab_single", "first_two"), ("advent_deeplab_v2", "all")],
)
def test_an_imported_deeplab_scores_as_the_published_one(name, aspp):
    fixture = Fixture(name)
    state = {key: value * float(fixture._scale(key)) for key, value in published(fixture).items()}
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}  # as in 2018
    adopted = adopt("adaptsegnet", old, name, Given(aspp=aspp))
    net = filled(method_module("adaptsegnet"), adopted, name)["S"].eval()
    with torch.inference_mode():
        scores = net.scores(_input(fixture.record["inputs"][0], torch.float32).detach())
    for output, (path, stored) in zip(scores, fixture.record["outputs"].items(), strict=True):
        norm, along = stored["probe"]["f32"]
        found = fill.probe(f"output:{path}", output.numpy())
        assert max(abs(found[0] - norm), abs(found[1] - along)) <= fixture.record["tolerance"]["outputs_rtol"] * norm


def deeplab(classes: int = 19, auxiliary: bool = True) -> dict[str, torch.Tensor]:
    net = DeepLabV2(classes, 2, auxiliary)
    torch.manual_seed(0)
    return {f"module.{key}": torch.rand_like(value) for key, value in net.state_dict().items() if value.ndim}


@pytest.mark.parametrize("auxiliary", [True, False])
def test_an_imported_deeplab_is_scored(auxiliary, tmp_path, world):
    ended = imported(tmp_path, deeplab(auxiliary=auxiliary), "adaptsegnet", "--aspp", "first_two")
    assert "python -m stages.evaluate --model model" in ended.out, ended.err
    assert "- given, or as published: aspp first_two, align_corners True" in ended.out
    model = load_model(tmp_path / "model", "cpu")
    assert model.params["adaptsegnet"] == {"level": "multi" if auxiliary else "single"}
    assert model.nets["S"].feature_maps[-1] == (64, 8) and model.params["segment"]["aspp"] == "first_two"
    given = ("--model", "model", "--dataset", "cityscapes", "--root", str(world / "data/raw/world_target"))
    ended = run_here(tmp_path, "evaluate", *given, "--split", "val", "--out", "scores.json")
    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "scores.json").read_text())["pictures"] == 3


def test_advent_calls_the_only_head_of_one_level_layer6(tmp_path):
    state = deeplab(auxiliary=False)
    ours = loaded(tmp_path, state, "adaptsegnet", "--aspp", "all").nets["S"].state_dict()
    theirs = {key.replace("layer5.", "layer6."): value for key, value in state.items()}
    found = loaded(tmp_path, theirs, "adaptsegnet", "--aspp", "all")
    assert all(torch.equal(value, ours[key]) for key, value in found.nets["S"].state_dict().items())
    assert found.params["adaptsegnet"] == {"level": "single"}


def test_what_a_deeplab_s_file_cannot_tell_is_asked_for(tmp_path):
    sentence = imported(tmp_path, deeplab(), "adaptsegnet").sentence
    assert "say --aspp first_two for a file of AdaptSegNet's own code, --aspp all for one of ADVENT's" in sentence
    sentence = imported(tmp_path, deeplab(16), "adaptsegnet", "--aspp", "all").sentence
    assert "scores 16 classes, for which there is no table" in sentence
    critic = FCDiscriminator(19, 2).state_dict()
    assert "holds AdaptSegNet's discriminator, not a DeepLab-v2" in imported(tmp_path, critic, "adaptsegnet").sentence
    assert (
        "--aspp says nothing about"
        in imported(tmp_path, ResnetGenerator(4, 1).state_dict(), "cyclegan", "--aspp", "all").sentence
    )


# -- folders ------------------------------------------------------------------------------------------------------


def spade(**options: Any) -> SpadeGenerator:
    """A small net that has been used, so that its statistics and spectral norms mean something."""
    torch.manual_seed(0)
    net = SpadeGenerator(**({"channels": 36, "width": 2, "upsampling": "more", "hidden": 8} | options))
    with torch.no_grad():
        for _ in range(3):
            net.train()(torch.rand(2, net.channels, 64, 128), *([torch.rand(2, net.z_dim)] if net.z_dim else []))
    return net.eval()


def label_maps() -> tuple[np.ndarray, np.ndarray]:
    """Cityscapes label ids and the instance ids that belong to them, of two cars side by side among others."""
    random = np.random.default_rng(0)
    label = random.choice([0, 7, 11, 23, 26], (16, 16)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    label[:16, :32] = 26
    instance = label.astype(np.uint16)
    instance[label == 26] = 26000
    instance[:16, 16:32] = 26001
    return label, instance


def test_cityscapes_own_files_are_drawn(tmp_path):
    label, instance = label_maps()
    truth = tmp_path / "gtFine/val/ulm"
    truth.mkdir(parents=True)
    (truth / "ulm_0_gtFine_labelIds.png").write_bytes(encode_png(label))
    (truth / "ulm_0_gtFine_instanceIds.png").write_bytes(encode_png(instance))
    (truth / "ulm_0_gtFine_color.png").write_bytes(encode_png(np.zeros((128, 128, 3), np.uint8)))
    net = spade()
    loaded(tmp_path, net.state_dict(), "spade")
    maps = ("--labels", "gtFine/val", "--instances", "gtFine/val")
    ended = run_here(tmp_path, "translate", "--model", "model", *maps, "--out", "out")
    assert ended.code == 0 and ended.out == "1 pictures in out\n", ended.err
    assert list(contents(tmp_path / "out")) == ["ulm/ulm_0_gtFine_labelIds.png"]
    planes = semantics(torch.from_numpy(label.astype(int))[None], 35, torch.from_numpy(instance.astype(int))[None])
    with torch.inference_mode():
        expected = to_picture(net(planes)[0])
    assert np.array_equal(read_image(tmp_path / "out/ulm/ulm_0_gtFine_labelIds.png"), expected)


def test_train_ids_are_drawn_as_the_ids_that_they_stand_for(tmp_path):
    """A map of trainIds with --classes is drawn as the same map of Cityscapes ids; without, its 255 is refused or read as ids."""
    (tmp_path / "ids").mkdir(), (tmp_path / "train").mkdir()
    ids = np.array([[0, 7, 11], [23, 26, 33]], np.uint8).repeat(16, 0).repeat(16, 1)
    train = np.array([[255, 0, 2], [10, 13, 18]], np.uint8).repeat(16, 0).repeat(16, 1)
    (tmp_path / "ids/a.png").write_bytes(encode_png(ids))
    (tmp_path / "train/a.png").write_bytes(encode_png(train))
    loaded(tmp_path, spade().state_dict(), "spade")
    for labels, more in (("ids", ()), ("train", ("--classes", "cityscapes19"))):
        ended = run_here(tmp_path, "translate", "--model", "model", "--labels", labels, "--out", f"{labels}_out", *more)
        assert ended.code == 0, ended.err
    assert contents(tmp_path / "ids_out") == contents(tmp_path / "train_out")
    wrong = run_here(
        tmp_path, "translate", "--model", "model", "--labels", "ids", "--classes", "camvid11", "--out", "x"
    )
    assert wrong.sentence.startswith("error: classes of camvid11 cannot be expressed in cityscapes19")


def test_what_a_label_model_needs_is_said(tmp_path):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/a.png").write_bytes(encode_png(np.full((4, 4), 40, np.uint8)))
    (tmp_path / "maps/b.png").write_bytes(encode_png(np.zeros((4, 4, 3), np.uint8)))
    loaded(tmp_path, spade().state_dict(), "spade")

    def told(*more: str) -> str:
        return run_here(tmp_path, "translate", "--model", "model", "--out", "out", *more).sentence

    assert "a spade model needs --labels" in told("--images", "maps")
    assert "a spade model does not use --images" in told("--images", "maps", "--labels", "maps")
    assert "gone is not a folder of instance maps" in told("--labels", "maps", "--instances", "gone")
    sentence = told("--labels", "maps")
    assert "a.png holds ids 40, but cityscapes35 has 0 to 34, and 255 for void" in sentence
    assert "b.png has 3 channel(s) of 8 bits; one of 8 bits was expected" in sentence
    loaded(tmp_path, ResnetGenerator(4, 1).state_dict(), "cyclegan")
    assert "a cyclegan model does not use --classes" in told("--images", "maps", "--classes", "cityscapes19")


def test_pix2pix_draws_from_pictures(tmp_path):
    torch.manual_seed(0)
    net = UNetGenerator(5, 4, inference="as_trained").eval()
    loaded(tmp_path, net.state_dict(), "pix2pix")
    picture = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(encode_png(picture))
    ended = run_here(tmp_path, "translate", "--model", "model", "--images", "in", "--out", "out")
    assert ended.code == 0, ended.err
    with torch.inference_mode():
        expected = net(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1)[0]
    assert np.array_equal(read_image(tmp_path / "out/a.png"), to_picture(expected))


@pytest.mark.parametrize("norm", ["synchronised", "instance"])
def test_planes_that_ours_lack_or_add_change_nothing(norm, tmp_path):
    """As ADE20K's net: don't-care for void and no edges."""
    net = spade(channels=5, upsampling="normal", norm=norm)
    model = loaded(tmp_path, net.state_dict(), "spade", "--planes", "4+dont_care")
    label = np.arange(5, dtype=np.uint8).repeat(13)[None].repeat(64, 0)[:, :64]
    with torch.inference_mode():
        expected = net(semantics(torch.from_numpy(label.astype(int))[None], 4, dont_care=True))[0]
    assert np.abs(drawn(model, Sample("a", label=label)).astype(int) - to_picture(expected)).max() <= 1


def test_instance_features_are_held_at_0(tmp_path):
    torch.manual_seed(0)
    net = GlobalGenerator(7 + 3, 4, 2, 1)
    ended = imported(tmp_path, net.state_dict(), "pix2pixhd", "--planes", "6+edges+3features")
    assert "its 3 planes of instance features are held at 0" in ended.out, ended.err
    x = torch.rand(1, 7, 16, 16)
    with torch.inference_mode():
        ours = load_model(tmp_path / "model", "cpu").nets["G"](x)
        assert torch.allclose(ours, net(torch.cat([x, torch.zeros(1, 3, 16, 16)], 1)), atol=1e-5)


def test_a_style_starts_as_large_as_it_was_made(tmp_path):
    net = spade(channels=6, upsampling="normal", z_dim=8, start=(2, 4))
    model = loaded(tmp_path, net.state_dict(), "spade", "--planes", "5+edges", "--start", "2", "4")
    assert model.nets["G"].start == (2, 4) and model.params["spade"]["style"]
    first, second = (drawn(model, Sample("a", label=np.full((64, 128), n, np.uint8))) for n in (0, 0))
    assert first.shape == (64, 128, 3) and np.array_equal(first, second)


# -- what is told and kept ----------------------------------------------------------------------------------------


def test_the_record_says_where_the_weights_are_from(tmp_path):
    net = ResnetGenerator(4, 1)
    old = {f"model.2.{leaf}": torch.zeros(4) for leaf in ("running_mean", "running_var")}
    ended = imported(
        tmp_path, {f"module.{key}": value for key, value in {**net.state_dict(), **old}.items()}, "cyclegan"
    )
    digest = sha256_file(tmp_path / "latest_net_G.pth")
    assert f"- from latest_net_G.pth, SHA-256 {digest}\n" in ended.out, ended.err
    assert "- read off its weights: generator_width 4, generator_blocks 1, upsampling transposed\n" in ended.out
    assert "- every key is used but 2, running statistics of instance norms" in ended.out
    assert all(f"  - {key}\n" in ended.out for key in old)
    record = load_model(tmp_path / "model", "cpu").params["imported"]
    assert (record["file"], record["sha256"], record["dropped"]) == ("latest_net_G.pth", digest, list(old))
    assert str(tmp_path) not in "".join(data.decode(errors="replace") for data in contents(tmp_path / "model").values())


def test_the_same_file_becomes_the_same_directory(tmp_path):
    state = ResnetGenerator(4, 1).state_dict()
    made = []
    for _ in range(2):
        assert imported(tmp_path, state, "cyclegan").code == 0
        made.append(contents(tmp_path / "model"))
    assert made[0] == made[1]


def test_spade_keeps_its_running_statistics(tmp_path):
    state = spade().state_dict()
    ours = loaded(tmp_path, state, "spade").nets["G"].state_dict()
    assert ours.keys() == state.keys() and all(torch.equal(ours[key], value) for key, value in state.items())


def test_what_shapes_do_not_tell_is_recorded(tmp_path):
    model = loaded(tmp_path, UNetGenerator(5, 4).state_dict(), "pix2pix", "--no-dropout")
    assert model.params["imported"]["assumed"] == {"dropout": False, "inference": "as_trained"}
    assert model.params["pix2pix"]["dropout"] is False


LABELS = {"hidden": 128, "generator_width": 64, "norm": "synchronised", "style": False}
HD = {"generator_blocks": 9, "halvings": 4}
FULL = {  # the full-size published nets: method, its options, the space of its labels
    "cyclegan_G": ("cyclegan", {"generator_width": 64, "generator_blocks": 9, "upsampling": "transposed"}, None),
    "cut_G": ("cut", {"generator_width": 64, "generator_blocks": 9}, None),
    "pix2pix_G": ("pix2pix", {"levels": 8, "generator_width": 64, "norm": "batch"}, None),
    "pix2pixhd_G_512p": ("pix2pixhd", HD | {"generator_width": 64, "enhancers": 0}, "cityscapes35"),
    "pix2pixhd_G_1024p": ("pix2pixhd", HD | {"generator_width": 32, "enhancers": 1}, "cityscapes35"),
    "pix2pixhd_G_1024p_features": ("pix2pixhd", HD | {"generator_width": 32, "enhancers": 1}, "cityscapes35"),
    "spade_G_cityscapes": ("spade", LABELS | {"upsampling": "more"}, "cityscapes35"),
    "spade_G_ade20k": ("spade", LABELS | {"upsampling": "normal"}, "numbered150+void"),
    "spade_G_coco": ("spade", LABELS | {"upsampling": "normal"}, "numbered182+void"),
    "spade_G_cityscapes_vae": ("spade", LABELS | {"upsampling": "more", "style": True, "z_dim": 256}, "cityscapes35"),
}


@pytest.mark.parametrize("name", FULL)
def test_published_nets_of_full_size_fit(name):
    """Shapes alone."""
    method, options, classes = FULL[name]
    with torch.device("meta"):
        adopted = adopt(method, hollow(name), name, Given())
        nets = filled(method_module(method), adopted, name)
    assert adopted.params[method].items() >= options.items() and not adopted.dropped
    assert adopted.reads == (("label", "instance?") if classes else ("image",))
    assert classes is None or adopted.classes == classes
    if not adopted.notes:
        (net,) = nets.values()
        assert {key: tuple(value.shape) for key, value in net.state_dict().items()} == {
            key: tuple(shape) for key, shape in PUBLISHED[name]["state"]
        }
    if name.endswith("vae"):
        assert adopted.params["train"]["crop"] == [256, 512]  # its start of 4 x 8


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "method", "told"),
    [
        ("cyclegan_D", "cyclegan", "holds a PatchGAN discriminator, not a ResNet generator of CycleGAN's kind; give a generator"),
        ("pix2pix_D", "pix2pix", "holds a PatchGAN discriminator, not a U-Net"),
        ("cut_D", "cut", "holds a PatchGAN discriminator"),
        ("cut_F", "cut", "holds CUT's patch projector, not CUT's generator"),
        ("spade_D_cityscapes", "spade", "holds SPADE's discriminator"),
        ("spade_E", "spade", "holds SPADE's image encoder"),
        ("pix2pixhd_D_2_scales", "pix2pixhd", "holds pix2pixHD's discriminator"),
        ("pix2pixhd_E", "pix2pixhd", "holds pix2pixHD's encoder of instance features"),
        ("spade_G_coco", "pix2pixhd", "holds SPADE's generator, not a generator of pix2pixHD's kind; import it with --method s"),
        ("pix2pixhd_G_512p", "cyclegan", "import it with --method pix2pixhd"),
        ("pix2pixhd_G_1024p", "spade", "import it with --method pix2pixhd"),
        ("pix2pix_G", "cyclegan", "import it with --method pix2pix"),
        ("cyclegan_G", "pix2pix", "import it with --method cyclegan"),
        ("cut_G", "cyclegan", "holds CUT's generator, not a ResNet generator of CycleGAN's kind; import it with --method cut"),
    ],
)  # fmt: skip
def test_the_wrong_file_is_named(name, method, told):
    with pytest.raises(UserError) as error:
        adopt(method, hollow(name), "latest.pth", Given())
    assert str(error.value).startswith("latest.pth holds") and told in str(error.value) and "\n" not in str(error.value)


def test_a_key_too_many_and_one_too_few_are_named(tmp_path):
    state = spade().state_dict()
    del state["up_3.conv_0.weight_u"]
    state["up_9.conv_0.bias"] = torch.zeros(2)
    sentence = imported(tmp_path, state, "spade").sentence
    assert "missing: up_3.conv_0.weight_u" in sentence and "unexpected: up_9.conv_0.bias" in sentence
    assert not (tmp_path / "model").exists()


def fresh(channels: int = 36) -> SpadeGenerator:
    return SpadeGenerator(channels, 1, "more", hidden=2)


def test_nets_and_options_that_are_not_ours(tmp_path):
    def told(net: nn.Module, method: str, *more: str) -> str:
        return imported(tmp_path, net.state_dict(), method, *more).sentence

    assert "reads 20 planes, which no published net does; say what they are with --planes" in told(fresh(20), "spade")
    assert "reads 36 planes, but 35+dont_care+edges are 37" in told(fresh(), "spade", "--planes", "35+dont_care+edges")
    assert "--planes edges+35 is not understood" in told(fresh(), "spade", "--planes", "edges+35")
    assert "class table 'cityscapes' is unknown" in told(fresh(), "spade", "--planes", "cityscapes+edges")
    assert "--upsampling says nothing about a U-Net" in told(UNetGenerator(5, 4), "pix2pix", "--upsampling", "more")
    assert "has no style" in told(fresh(), "spade", "--start", "4", "8")
    most = SpadeGenerator(36, 2, "most", hidden=2)
    assert "has the blocks of upsampling 'most'" in told(most, "spade", "--upsampling", "more")
    assert "channels_out 1 (ours: 3)" in told(UNetGenerator(5, 4, channels_out=1), "pix2pix")


def test_code_in_a_file_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"model.1.weight": Trap()}, tmp_path / "bad.pth")
    ended = run_here(tmp_path, "import_weights", "--from", "bad.pth", "--method", "cyclegan", "--out", "model")
    assert "bad.pth calls posix.mkdir when it is read, and code is not run here" in ended.sentence
    assert not (tmp_path / "ran").exists() and not (tmp_path / "model").exists()
    torch.save(ResnetGenerator(4, 1), tmp_path / "bad.pth")  # a whole module, as torch.save(net) writes it
    ended = run_here(tmp_path, "import_weights", "--from", "bad.pth", "--method", "cyclegan", "--out", "model")
    assert "bad.pth calls pipeline.nets.resnet_generator.ResnetGenerator when it is read" in ended.sentence


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/diary.txt").write_text("mine")
    assert (
        "model is there and no model directory"
        in imported(tmp_path, ResnetGenerator(4, 1).state_dict(), "cyclegan").sentence
    )
    assert (tmp_path / "model/diary.txt").read_text() == "mine"
    assert (
        "There is no weights file gone.pth"
        in run_here(tmp_path, "import_weights", "--from", "gone.pth", "--method", "cut", "--out", "new").sentence
    )
