"""A model directory is complete in itself, loads anywhere, and says what is wrong with it."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.engine.model import FILES, load_model
from pipeline.files import UserError
from tests.commands import contents
from tests.engine import toy


def output(name: str, nets: Any) -> torch.Tensor:
    """What the nets make of an odd picture, or label map."""
    module, random = toy.method_module(name), torch.Generator().manual_seed(1)
    given = {
        "image": torch.rand(1, 3, 37, 53, generator=random) * 2 - 1,
        "label": torch.randint(len(toy.CLASSES), (1, 37, 53), generator=random),
    }
    parts = [given.get(part) for part in getattr(module, "READS", ("image",))]
    clips = SimpleNamespace(image=given["image"], flow=torch.rand(1, 2, 37, 53, generator=random) * 4 - 2)
    if "scans" in module.DOMAINS:
        scan = given["image"][:, :, :32, :32]
        return module.judge(nets, toy.params(name), scan).maps(scan)
    with torch.inference_mode():
        if module.ABILITY == "sampler":
            return module.sample(nets, torch.rand(2, 6 + 3 + 2, generator=random))
        if "clips" in module.DOMAINS:
            return torch.stack(list(module.differences(nets, toy.params(name), clips).values()))
        return (module.translate if module.ABILITY == "translator" else module.logits)(nets, *parts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    toy.write_model("source_only", tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("name", toy.METHODS)
def test_a_model_is_five_files_the_same_bytes_each_time_and_does_the_same_elsewhere(name, tmp_path):
    nets = toy.write_model(name, tmp_path / "here")
    toy.write_model(name, tmp_path / "again")
    assert set(contents(tmp_path / "here")) == set(FILES)
    assert contents(tmp_path / "here") == contents(tmp_path / "again")
    shutil.move(tmp_path / "here", tmp_path / "far/away")
    model = load_model(tmp_path / "far/away")
    expected = output(name, nets)
    size = (32, 32) if {"scans", "digits"} & set(model.module.DOMAINS) else (37, 53)
    assert expected.shape[-2:] == size and expected.std() > 0
    assert torch.equal(output(name, model.nets), expected)
    assert (model.name, model.classes, model.params) == (name, toy.CLASSES, toy.params(name))
    assert not model.nets.training and not any(p.requires_grad for p in model.nets.parameters())


def test_a_trained_directory_says_how_it_came_about(trained):
    folder = trained / "models/translators/spigan/0"
    assert set(contents(folder)) == set(FILES)
    card = (folder / "card.md").read_text()
    for words in (
        "# spigan, seed 0",
        "8 steps of 2 pictures",
        "source: 8 pictures",
        "lite0",
        "torch ",
        "cpu, 1 threads",
    ):
        assert words in card, words
    assert str(trained) not in card  # nothing of this machine's folders
    model = load_model(folder)
    assert set(model.nets) == {"G"} and set(model.params) == {"train", "spigan"} and len(model.fingerprint) == 64


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"model is not a model directory: {name} missing"):
        load_model(folder)


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match="nowhere is not a model directory: weights.safetensors, params.yaml, "):
        load_model(tmp_path / "nowhere")


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    return str(caught.value)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_weights_of_another_shape_are_a_sentence(folder):
    edit(folder / "params.yaml", "width: 8", "width: 16")
    assert "weights.safetensors does not fit its params.yaml" in refused(folder)


def test_weights_that_lack_a_tensor_are_a_sentence(folder):
    file = folder / "weights.safetensors"
    tensors = load_file(file)
    lost = sorted(tensors)[0]
    save_file({name: value for name, value in tensors.items() if name != lost}, file)
    assert "does not fit its params.yaml" in refused(folder) and lost in refused(folder)


@pytest.mark.parametrize(
    "spoil", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\x80\x04" * 50]
)
def test_damaged_weights_are_a_sentence(folder, spoil):
    file = folder / "weights.safetensors"
    file.write_bytes(spoil(file.read_bytes()))
    assert "weights.safetensors does not fit" in refused(folder)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("method: source_only", "method: sorce_only", "method 'sorce_only' is unknown; known are"),
        ("method: source_only", "method: none", "none is a rival, which has no trained model"),
        ("method: source_only", "name: source_only", "params.yaml lacks the method"),
        ("width: 8", "width: broad", "params.yaml was edited or is of another version (see width)"),
        ("width: 8", "girth: 8", "params.yaml was edited or is of another version (see girth)"),
        ("segment:", "segmant:", "params.yaml was edited or is of another version (see 'segment')"),
    ],
)
def test_edited_parameters_are_a_sentence(folder, old, new, words):
    edit(folder / "params.yaml", old, new)
    assert words in refused(folder)


@pytest.mark.parametrize("content", [{"table": "cityscapes20"}, {}, ["cityscapes19"], {"table": ["a"]}])
def test_an_unknown_class_table_is_a_sentence(folder, content):
    (folder / "classes.json").write_text(json.dumps(content))
    assert "classes.json" in refused(folder) and "cityscapes19" in refused(folder)
