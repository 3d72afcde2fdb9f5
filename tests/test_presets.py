"""Presets: each merges and validates; none is written over hand edits."""

import shutil
from itertools import takewhile
from pathlib import Path

import pytest

from pipeline import presets
from pipeline.files import UserError
from pipeline.params import read_yaml
from pipeline.world.writers import PARTS
from stages.validate import WEIGHT_FILES, check
from tests.commands import run_apart

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the presets and the default params.yaml."""
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    shutil.copy(ROOT / "presets/default.yaml", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_merges_validates_and_stays_readable(folder, name):
    presets.apply(name)
    assert check(read_yaml("params.yaml")) == []
    assert presets.nearest(read_yaml("params.yaml")) == (name, [])  # and so no hand edit
    text = Path("params.yaml").read_text()
    assert "# SPIGAN: adversarial" in text and "crop: [" in text
    assert max(map(len, text.splitlines())) <= 140


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_opens_with_what_it_is_how_it_is_started_its_cost_and_its_score(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    first, *more = takewhile(
        lambda line: line.startswith("#"), (ROOT / f"presets/{name}.yaml").read_text().splitlines()
    )
    assert first.endswith((".", ",")) or first[-1].isalnum(), "a sentence that says what it is"
    assert any(line.startswith("#     make ") for line in more), "its command, as a line of its own"
    cost, score = presets.head(name)
    assert cost.startswith("Cost: ") and score.startswith("Score to expect") and "not told" not in cost + score
    assert cost.endswith(".") and score.endswith(".") and "Score" not in cost


def test_the_nearest_preset_and_what_differs(folder):
    params = presets.values("camvid", read_yaml("presets/default.yaml"))
    assert presets.nearest(params) == ("camvid", [])
    params["train"]["gamma"] = 0.25
    assert presets.nearest(params) == ("camvid", ["train.gamma"])


def test_the_documents_tell_of_every_preset_and_every_file_of_weights():
    text = (ROOT / "docs/presets.md").read_text()
    listed = [line.split("`")[1] for line in text.partition("## ")[0].splitlines() if line.startswith("| `")]
    assert sorted(listed) == NAMES
    weights = text.partition("## Weight files")[2].partition("## ")[0]
    assert all(f"`{key}`" in weights for key in WEIGHT_FILES)


def test_everything_is_every_method_and_every_part_of_the_world():
    params = read_yaml(ROOT / "presets/everything.yaml")
    default = read_yaml(ROOT / "presets/default.yaml")
    assert all(params[kind].get(name) for kind in presets.SWITCHED for name in default[kind])
    assert set(params["simulate"]) == set(PARTS)


def test_another_real_domain_is_another_block_target_and_nothing_else():
    camvid, idd_lite = (read_yaml(ROOT / f"presets/{name}_segmenters.yaml") for name in ("camvid", "idd_lite"))
    assert camvid.pop("target")["layout"] == "camvid" and idd_lite.pop("target")["layout"] == "idd_lite"
    assert camvid == idd_lite


def test_a_preset_gives_way_to_another_without_force_and_the_diff_is_shown(folder):
    diff = presets.apply("tiny")
    assert "-  steps: " in diff and "+  steps: 8" in diff
    assert presets.apply("tiny") == ""
    presets.apply("default")
    assert read_yaml("params.yaml") == read_yaml("presets/default.yaml")


def test_hand_edits_are_left_alone_and_the_diff_is_told(folder):
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("gamma: 0.1", "gamma: 0.25"))
    edited = params.read_bytes()
    with pytest.raises(UserError, match="edited by hand") as caught:
        presets.apply("tiny")
    assert params.read_bytes() == edited
    assert "-  gamma: 0.25" in str(caught.value) and "--force" in str(caught.value)
    presets.apply("tiny", force=True)
    assert read_yaml("params.yaml")["train"]["gamma"] == 0.1


@pytest.mark.parametrize(("value", "code"), [("", 2), ("0", 2), ("1", 0)])
def test_force_is_on_where_it_says_so(folder, monkeypatch, value, code):
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("gamma: 0.1", "gamma: 0.25"))
    monkeypatch.setenv("FORCE", value)
    assert run_apart(folder, "-m", "pipeline.presets", "tiny").code == code


def test_comments_and_layout_are_no_hand_edits_of_values(folder):
    params = Path("params.yaml")
    params.write_text("# my own remark\n" + params.read_text())
    presets.apply("tiny")
    assert read_yaml("params.yaml")["train"]["steps"] == read_yaml("presets/tiny.yaml")["train"]["steps"]


def test_what_is_chosen_by_name_is_replaced_whole_and_the_rest_is_merged(folder):
    Path("presets/mine.yaml").write_text(
        "cells:\n  source_only: [none]\nworld:\n  sequences: {count: 1}\ncyclegan:\n  train: {steps: 8}\n"
    )
    presets.apply("mine")
    params = read_yaml("params.yaml")
    assert {name: arms for name, arms in params["cells"].items() if arms} == {"source_only": ["none"]}
    assert set(params["cells"]) == set(read_yaml("presets/default.yaml")["cells"])
    assert params["cyclegan"]["train"] == {"batch": 1, "steps": 8}
    assert params["world"]["sequences"]["count"] == 1 and "length" in params["world"]["sequences"]


def test_a_preset_with_an_unknown_key_is_a_sentence_with_its_file(folder):
    Path("presets/mine.yaml").write_text("train:\n  gama: 1.0\n")
    with pytest.raises(
        UserError, match=r"^presets/mine\.yaml: 'train\.gama' is unknown; did you mean 'train\.gamma'\?$"
    ):
        presets.apply("mine")


@pytest.mark.parametrize("text", ["translators:\n", "translators: [spigan]\n", "cells: none\n"])
def test_a_preset_with_a_list_where_a_mapping_belongs_is_a_sentence(folder, text):
    Path("presets/mine.yaml").write_text(text)
    with pytest.raises(UserError, match=r"^presets/mine\.yaml: (translators|cells) is a mapping of names to lists"):
        presets.apply("mine")


def test_the_command_line_ends_with_2_and_a_sentence(folder):
    ended = run_apart(folder, "-m", "pipeline.presets", "tinny")
    assert ended.sentence.startswith("error: preset 'tinny' is unknown; known are ")
