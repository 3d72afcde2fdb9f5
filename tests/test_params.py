"""Mistakes in params.yaml become sentences with the nearest known name."""

import copy
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.session import resolve
from pipeline.engine.settings import DeviceSettings, SegmentSettings, TrainSettings
from pipeline.files import UserError
from pipeline.methods import method_module
from pipeline.params import block, load, parse, read_yaml
from stages.validate import LISTS, check, check_files, models
from tests.commands import contents, run_here

DEFAULT = Path(__file__).parents[1] / "presets/default.yaml"


@pytest.fixture
def params() -> dict[str, Any]:
    return copy.deepcopy(read_yaml(DEFAULT))


def switch_off(params, name):
    params["translators"][name] = []
    for listed in (params["cells"]["source_only"], params["exactness"]):
        listed[:] = [other for other in listed if other != name]


def only(params: dict[str, Any]) -> str:
    """The one sentence that `validate` has about the parameters."""
    sentences = check(params)
    assert len(sentences) == 1, sentences
    assert "\n" not in sentences[0]
    return sentences[0]


def test_the_defaults_are_valid(params):
    assert check(params) == []


def test_an_unknown_key_names_the_nearest_known_one(params):
    params["train"]["gama"] = 1.0
    assert only(params) == "params.yaml: 'train.gama' is unknown; did you mean 'train.gamma'?"


def test_an_unknown_block_names_the_nearest_known_one(params):
    params["segmet"] = {"lr": 1.0}
    assert only(params) == "params.yaml: 'segmet' is unknown; did you mean 'segment'?"


def test_an_unknown_key_deeper_down_names_its_siblings(params):
    params["world"]["sequences"]["lenght"] = 3
    assert only(params) == "params.yaml: 'world.sequences.lenght' is unknown; did you mean 'world.sequences.length'?"


def test_an_unknown_key_like_nothing_known_lists_what_there_is(params):
    params["evaluate"]["zzz"] = 1
    sentence = only(params)
    assert "'evaluate.zzz' is unknown" in sentence and "gallery" in sentence and "split" in sentence


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("train.steps", "many", ["train.steps", "'many'", "integer"]),
        ("train.steps", 8.5, ["train.steps", "8.5", "integer"]),
        ("train.steps", 0, ["train.steps", "0", "greater than 0"]),
        ("train.lr", "fast", ["train.lr", "'fast'", "number"]),
        ("train.lr", "1e-6", ["train.lr", "'1e-6'", "number"]),  # a quoted number is a text, and nothing converts it
        ("train.crop", [128], ["train.crop", "2 items"]),
        ("train.schedule", "cosine", ["train.schedule", "'cosine'", "constant", "linear", "poly"]),
        ("segment.net", "deeplab", ["segment.net", "'deeplab'", "small", "fcn8s"]),
        ("source.table", "synthia", ["source.table", "'synthia'", "rand_cityscapes", "seqs"]),
        ("evaluate.split", "test", ["evaluate.split", "'test'", "dev", "val"]),
        ("device.threads", -1, ["device.threads", "-1", "greater than or equal to 0"]),
        ("target.dev_share", 1.5, ["target.dev_share", "1.5", "less than 1"]),
        ("world.size", [100, 256], ["world.size", "divisible by 8"]),
        ("world.source", True, ["world.source", "True", "integer"]),
        ("shard.height", 10, ["shard", "height and width"]),
        ("train.tick", 7, ["train", "tick (7)", "divide steps ("]),
    ],
)
def test_a_wrong_value_is_a_sentence_with_its_place(params, place, value, words):
    name, key = place.split(".")
    params[name][key] = value
    sentence = only(params)
    assert sentence.startswith("params.yaml: ") and all(word in sentence for word in words), sentence


def test_a_missing_block_and_a_missing_key_are_named(params):
    del params["flow"], params["train"]["lr"]
    assert check(params) == [
        "params.yaml has no block 'flow'; take it from presets/default.yaml",
        "params.yaml: train.lr is missing; take it from presets/default.yaml",
    ]


def test_all_mistakes_are_told_at_once(params):
    params["train"] |= {"gama": 1.0, "lr": "fast"}
    params["segment"]["width"] = 0
    told = " ".join(check(params))
    assert all(place in told for place in ("train.gama", "train.lr", "segment.width"))


def test_whole_numbers_serve_as_rates_but_not_the_other_way_round():
    settings = parse(TrainSettings, {"steps": 4, "batch": 1, "crop": [8, 8], "tick": 2, "lr": 1}, "train")
    assert settings.lr == 1.0
    with pytest.raises(UserError, match=r"train\.steps is 4\.0"):
        parse(TrainSettings, {"steps": 4.0, "batch": 1, "crop": [8, 8], "tick": 2, "lr": 1}, "train")


@pytest.mark.parametrize("text", ["1e-06", "1e-6", "0.000001", "1.0e-06"])
def test_small_numbers_are_numbers_however_they_are_written(tmp_path, text):
    (tmp_path / "params.yaml").write_text(f"train:\n  lr: {text}\n")
    assert load(tmp_path / "params.yaml") == {"train": {"lr": 1e-6}}


@pytest.mark.parametrize("text", ["a: [1, 2", "a: 1\n b: 2\n", "a: 1\na: 2\n"])
def test_broken_yaml_is_one_sentence(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError, match="is not valid YAML") as caught:
        load(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)


def test_a_missing_or_empty_file_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match="params.yaml is missing"):
        load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("")
    with pytest.raises(UserError, match="must hold a mapping of blocks"):
        load(tmp_path / "params.yaml")


def test_a_file_in_another_encoding_and_a_folder_are_sentences(tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_bytes("seeds: [0] # größer\n".encode("latin-1"))
    with pytest.raises(UserError, match="params.yaml is not UTF-8 text"):
        load(tmp_path / "params.yaml")
    monkeypatch.setenv("SIM2STREET_PARAMS", str(tmp_path))
    with pytest.raises(UserError, match="is a folder; name a file of parameters"):
        load()


def test_a_block_that_is_no_mapping_is_a_sentence():
    with pytest.raises(UserError, match="device"):
        block({"device": 3}, "device", DeviceSettings)
    with pytest.raises(UserError, match="segment"):
        block({"segment": None}, "segment", SegmentSettings)


def test_nothing_is_configured_anywhere_but_in_params_yaml(params):
    lacking = {
        f"{name}.{field}"
        for name, model in models().items()
        for field in model.model_fields
        if field not in params[name]
    }
    assert not lacking, f"presets/default.yaml lacks {', '.join(sorted(lacking))}"


@pytest.mark.parametrize(
    "place",
    ["segment.vgg16", "segment.resnet101", "spigan.features_file", "measure.network_file", "measure.lpips_alexnet"],
)
def test_a_file_of_weights_that_is_not_there_is_told_before_anything_runs(params, place):
    assert check_files(params) == []
    block, key = place.split(".")
    params[block][key] = "somewhere/weights.pth"
    (sentence,) = check_files(params)
    assert sentence.startswith(f"params.yaml: {place} names somewhere/weights.pth, which is not there")


def test_make_run_checks_before_dvc_reads_the_lists_and_writes_nothing(tmp_path):
    text = DEFAULT.read_text()
    for ours, wrong in (("seeds: [0]", "seeds: 0"), ("simulate: [source, target, perfect, sequences]", "simulate:")):
        (tmp_path / "params.yaml").write_text(text.replace(ours, wrong, 1))
        assert " is a list of " in run_here(tmp_path, "validate", "--check").sentence
    (tmp_path / "params.yaml").write_text(text)
    assert run_here(tmp_path, "validate", "--check").code == 0 and list(contents(tmp_path)) == ["params.yaml"]
    steps = (DEFAULT.parents[1] / "Makefile").read_text().split("\nrun:")[1].split("\n\n")[0]
    assert 0 < steps.find("stages.validate --check") < steps.find("dvc repro")


def test_the_network_that_comes_without_weights_needs_its_file(params):
    params["measure"]["network"] = "inception"
    (sentence,) = check_files(params)
    assert "measure.network is inception, which needs network_file" in sentence


# -- the lists that choose what runs ------------------------------------------------------------------------------


def test_a_cell_needs_its_translator(params):
    params["cells"]["source_only"].append("spigann")
    assert (
        only(params) == "params.yaml: 'cells.source_only.spigann' is unknown; did you mean 'cells.source_only.spigan'?"
    )


def test_a_cell_needs_its_translator_with_its_seeds(params):
    params["seeds"] = [0, 1]
    params["translators"] = {name: [0, 1] for name in params["translators"]} | {"spigan": [0]}
    params["exactness"] = []
    assert only(params) == (
        "params.yaml: cells.source_only uses spigan with seeds [0, 1], but translators.spigan is [0]; "
        "give it the same seeds, or take it out of cells"
    )


def test_a_segmenter_is_no_translator_and_the_other_way_round(params):
    params["translators"]["oracle"] = [0]
    params["cells"]["spigan"] = ["none"]
    told = check(params)
    assert len(told) == 2 and "translators.oracle" in told[0] and "cells.spigan" in told[1]


@pytest.mark.parametrize("place", ["translators.cogan", "cells.oracle", "paired.pix2pix_pairs"])
def test_a_line_that_the_graph_asks_for_by_name_is_needed(params, place):
    name, line = place.split(".")
    del params[name][line]
    assert only(params) == f"params.yaml: {name} lacks {line}; an empty list, [], switches a method off"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("simulate", ["sorce"], "'simulate.sorce' is unknown; did you mean 'simulate.source'?"),
        (
            "target_sets",
            ["target_vall"],
            "'target_sets.target_vall' is unknown; did you mean 'target_sets.target_val'?",
        ),
    ],
)
def test_a_part_that_does_not_exist_names_the_nearest_one(params, name, value, words):
    params[name] = params[name] + value
    assert only(params) == f"params.yaml: {words}"


@pytest.mark.parametrize("seeds", [[], [0.5], ["a"], 0, [-1], [True], [[0]], [0, 0], [2**64]])
def test_seeds_are_whole_numbers(params, seeds):
    params["seeds"] = seeds
    assert only(params) == "params.yaml: seeds is a list of one or more whole numbers below 2^63, like [0, 1]"


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("train.lr", float("inf"), ".lr is inf; it should be a finite number"),
        ("train.lr", 1e300, ".lr is 1e+300; it should be less than or equal to 1000000"),
        ("train.crop", [64, 10**9], ".crop.1 is 1000000000; it should be less than or equal to 65536"),
        ("train.tick", 7, ": tick (7) should divide steps (500), so that every row is a full tick"),
        ("target.name", "", ".name is ''; it names a folder of data/raw by letters, digits, _ and -"),
        ("target.name", "../x", ".name is '../x'; it names a folder of data/raw by letters, digits, _ and -"),
    ],
)
def test_values_that_no_run_could_use(params, place, value, words):
    name, key = place.split(".")
    params[name][key] = value
    assert only(params) == f"params.yaml: {name}{words}"


@pytest.mark.parametrize("name", ["translators", "paired", "cells"])
@pytest.mark.parametrize("value", [["spigan"], {"spigan": 0}, {"spigan": [0.5]}, None])
def test_a_list_where_a_mapping_belongs_is_a_sentence(params, name, value):
    params[name] = value
    assert only(params).startswith(f"params.yaml: {name} is a mapping of names to lists of ")


@pytest.mark.parametrize("name", ["simulate", "sequences", "exactness"])
@pytest.mark.parametrize("value", ["spigan", [0], None, ["spigan", "spigan"]])
def test_a_name_where_a_list_belongs_is_a_sentence(params, name, value):
    params[name] = value
    assert only(params) == f"params.yaml: {name} is a list of names; see presets/default.yaml"


def test_pairs_need_both_of_their_sets_and_a_crop_that_the_net_can_halve(params):
    params["paired"] = {"pix2pix_pairs": [0]}
    assert only(params).startswith(
        "params.yaml: paired.pix2pix_pairs has seeds, so shard_pairs should be [pairs_train,"
    )
    params["shard_pairs"] = ["pairs_val", "pairs_train"]
    assert check(params) == []
    params["pix2pix_pairs"]["train"] = {"crop": [96, 256]}
    assert "sides of the crop of pix2pix_pairs should be multiples of 128, not [96, 256]" in only(params)
    params["pix2pix_pairs"]["train"] = {"stepz": 10}
    assert only(params) == (
        "params.yaml: 'pix2pix_pairs.train.stepz' is unknown; did you mean 'pix2pix_pairs.train.steps'?"
    )
    params["paired"], params["pix2pix_pairs"]["train"] = {"pix2pix_pairs": []}, {}
    params["translators"]["pix2pix_pairs"] = [0]
    assert "'translators.pix2pix_pairs' is unknown" in only(params)


def test_a_folder_of_pairs_that_is_not_there_is_told_before_anything_runs(params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params["shard_pairs"] = ["pairs_train", "pairs_val"]
    assert check_files(params) == [
        "params.yaml: pairs.name is world_night, but there is no data/raw/world_night; list night in simulate"
    ]
    assert check_files(params | {"simulate": [*params["simulate"], "night"]}) == []
    params["pairs"]["name"] = "alderley"
    assert "no data/raw/alderley; make data NAME=alderley FROM=path brings it" in check_files(params)[0]
    (tmp_path / "data/raw/alderley").mkdir(parents=True)
    assert check_files(params) == []


def test_every_data_set_that_is_not_there_is_told_before_anything_runs(params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params["source"]["name"], params["flow_pairs"], params["simulate"] = "synthia", ["middlebury"], ["source"]
    assert [sentence.removeprefix("params.yaml: ") for sentence in check_files(params)] == [
        "source.name is synthia, but there is no data/raw/synthia; make data NAME=synthia FROM=path brings it",
        "target.name is world_target, but there is no data/raw/world_target; list target in simulate",
        "what perfect_translation reads is world_perfect, but there is no data/raw/world_perfect; list perfect in simulate",
        "one of sequences is world_sequences, but there is no data/raw/world_sequences; list sequences in simulate",
        "one of flow_pairs is middlebury, but there is no data/raw/middlebury; make data NAME=middlebury FROM=path brings it",
    ]
    params |= {"sequences": [], "flow_pairs": [], "target_sets": []}
    params["translators"]["perfect_translation"] = []
    (tmp_path / "data/raw/synthia").mkdir(parents=True)
    assert check_files(params) == []


@pytest.mark.parametrize(
    ("name", "own", "words"),
    [
        ("simgan", {"train": {"batch": 1}}, "needs a batch of 2 or more and a history of half of it, not 1 and 200"),
        ("simgan", {"history": 1, "train": {"batch": 8}}, "not 8 and 1; set simgan.train.batch and simgan.history"),
        ("simgan", {"refiner_warmup": 750}, "simgan warms up for 800 steps"),
        (
            "cyclegan",
            dict.fromkeys(("adversarial", "cycle_forward", "cycle_backward", "identity"), 0.0),
            "no loss left",
        ),
        ("cyclegan", {"identity": 0.5, "cycle_forward": 0.0}, "set identity to 0 too"),
    ],
)
def test_what_cannot_train_is_told_where_it_is_switched_on(params, name, own, words):
    switch_off(params, name)
    params[name] |= own
    assert check(params) == []
    params["translators"][name] = [0]
    assert words in only(params)


@pytest.mark.parametrize(
    ("name", "crop", "words"),
    [
        *((name, [130, 128], "multiples of 4 of at least 8 pixels") for name in (
            "spigan", "cyclegan", "pixel_gan", "feature_gan", "bigan", "cut", "concat", "pix2pixhd",
        )),
        ("cogan", [128, 16], "multiples of 16 of at least 32 pixels"),
        ("spade", [128, 120], "multiples of 16, not [128, 120]"),
        ("pix2pix", [96, 128], "multiples of 64, not [96, 128]"),
    ],
)  # fmt: skip
def test_a_crop_that_the_nets_cannot_halve_is_told(params, name, crop, words):
    params["translators"] |= {"spigan": [], "spigan_no_pi": [], "none": [0], name: [0]}
    params["cells"] |= {"source_only": ["none"], "oracle": ["none"]}
    params["exactness"] = []
    params[name]["train"] = {"crop": crop}
    assert only(params).startswith(f"params.yaml: both sides of the crop of {name} should be ") and words in only(
        params
    )
    params[name]["train"] = {"crop": [128, 192]}
    assert check(params) == []


def test_what_a_segmenter_cannot_do_is_told_where_it_is_switched_on(params):
    params["segment"] |= {"net": "fcn8s_same", "crop": [24, 48]}
    assert check(params) == []
    params["cells"]["adaptsegnet"] = ["none"]
    told = check(params)
    assert len(told) == 2 and "set adaptsegnet.level to single" in told[0] and "crop 32 pixels or more" in told[1]


def test_a_net_that_cannot_be_made_is_told_before_hours_of_translators(params):
    params["segment"] |= {"width": 20, "resnet101": "backbone.pth"}
    told = check(params)
    assert "params.yaml: segment: The small segmenter's width must be a multiple of 8, not 20." in told
    assert "params.yaml: segment.resnet101 names weights that fit deeplab_v2 alone, not small; set it to null" in told


def test_a_file_of_weights_of_one_method_alone_is_looked_for(params):
    params["adaptsegnet"]["train"] = {"net": "deeplab_v2", "resnet101": "nowhere.pth"}
    assert any(
        "adaptsegnet.train.resnet101 names nowhere.pth, which is not there" in said for said in check_files(params)
    )


def test_what_differs_for_a_segmenter_is_laid_over_the_block_segment(params):
    params["cells"]["adaptsegnet"] = ["none"]
    params["adaptsegnet"]["train"] = {"steps": 160}
    assert check(params) == []
    changed, shared = (resolve(params, method_module(name))["segment"] for name in ("adaptsegnet", "source_only"))
    assert changed == shared | {"steps": 160}
    params["adaptsegnet"]["train"] = {"stepz": 160}
    assert "did you mean 'adaptsegnet.train.steps'" in only(params)
    params["adaptsegnet"]["train"], params["cyclegan"]["train"] = {"batch": 5}, {"batch": 2}
    params["device"]["devices"] = 2
    assert "adaptsegnet.train.batch is 5" in only(params)


@pytest.mark.parametrize("name", LISTS)
def test_every_list_is_needed(params, name):
    del params[name]
    assert only(params) == f"params.yaml has no '{name}'; take it from presets/default.yaml"


def test_a_translator_that_is_to_be_compared_must_be_there(params):
    params["exactness"].append("fourrier")
    assert only(params) == "params.yaml: 'exactness.fourrier' is unknown; did you mean 'exactness.fourier'?"


def test_the_exact_pictures_are_not_compared_with_themselves(params):
    params["exactness"].append("perfect_translation")
    assert "exactness lists perfect_translation" in only(params)


def test_the_judge_and_the_exact_pictures_must_be_there(params):
    params["cells"]["source_only"] = ["spigan"]
    told = check(params)
    assert len(told) == 2 and "perfect_translation" in told[0] and "lacks 'none'" in told[1]


def test_the_target_has_the_parts_that_are_needed(params):
    params["target_sets"] = ["target_train"]
    problems = check(params)
    assert [p.partition(", ")[0].rpartition(" ")[2] for p in problems] == ["target_train_labels", "target_val"]
    assert problems[0].endswith("which oracle needs")
    params["cells"] |= {"source_only": [], "oracle": []}
    params["exactness"] = []
    assert check(params) == []


def test_kitti_has_no_val(params):
    params["target"]["layout"] = "kitti"
    assert "target.layout kitti has no val; set evaluate.split to dev" in only(params)
    params["evaluate"]["split"] = "dev"
    params["target_sets"].remove("target_val")
    assert check(params) == []


def test_a_source_without_depth_trains_no_spigan(params):
    params["source"]["depth"] = "none"
    assert only(params) == (
        "params.yaml: spigan learns from depth, and source.depth is none; set translators.spigan to []"
    )


def test_devices_share_every_batch(params):
    params["device"]["devices"] = 4
    params["spigan"]["train"] = {"batch": 4}
    assert only(params) == (
        "params.yaml: cyclegan.train.batch is 1, which device.devices, 4, cannot share; choose a multiple"
    )
    switch_off(params, "cyclegan")
    params["segment"]["batch"] = 6
    assert "segment.batch is 6" in only(params)


@pytest.mark.parametrize("own", [{"lr": "fast"}, {"stepz": 1}])
def test_a_mistake_in_what_differs_for_a_method_is_told_of_that_method_once(params, own):
    params["spigan"]["train"] = own
    assert "spigan.train." in only(params) and "'train." not in only(params)
