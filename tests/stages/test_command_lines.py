"""What a person does with a trained model and with data of their own, by the command lines that the README names."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pipeline.files import decode_image, encode_jpeg, encode_png, read_image, write_json
from pipeline.methods import spade
from pipeline.params import read_yaml
from pipeline.translation import to_picture, to_tensor
from stages.common import parser, run
from tests.commands import ROOT, Ended, contents, environment, run_apart, run_here, write_params
from tests.engine import toy

KEYS = {
    "dataset", "split", "pictures", "protocol", "miou", "miou19", "miou16", "miou13", "miou7", "pixel_accuracy", "iou",
    "protocols", "confusion",
}  # fmt: skip


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of pictures of odd sizes and kinds, one below another folder."""
    random = np.random.default_rng(0)
    folder = tmp_path / "my pictures"
    (folder / "more").mkdir(parents=True)
    for name, size in (("a.png", (37, 53)), ("b.png", (5, 300)), ("more/c.png", (64, 1))):
        (folder / name).write_bytes(encode_png(random.integers(0, 256, (*size, 3), dtype=np.uint8)))
    (folder / "photo.JPG").write_bytes(encode_jpeg(random.integers(0, 256, (33, 20, 3), dtype=np.uint8)))
    (folder / "grey.png").write_bytes(encode_png(random.integers(0, 256, (8, 8), dtype=np.uint8)))
    (folder / "notes.txt").write_text("no picture")
    return folder


def translate(trained: Path, images: Path, *more: str, model: str = "translators/spigan/0") -> Ended:
    directory = str(trained / "models" / model)
    return run_here(images.parent, "translate", "--model", directory, "--images", images.name, "--out", "out", *more)


def test_a_folder_of_pictures_of_any_size_is_translated(trained, images):
    ended = translate(trained, images)
    assert ended.code == 0 and ended.out == "5 pictures in out\n", ended.err
    sizes = {name: decode_image(data, name).shape for name, data in contents(images.parent / "out").items()}
    assert sizes == {
        "a.png": (37, 53, 3), "b.png": (5, 300, 3), "more/c.png": (64, 1, 3), "photo.png": (33, 20, 3), "grey.png": (8, 8, 3),
    }  # fmt: skip


def test_the_same_picture_becomes_the_same_bytes(trained, images):
    first = translate(trained, images), contents(images.parent / "out")
    assert (translate(trained, images), contents(images.parent / "out")) == first


def test_a_translation_is_that_of_the_stage(trained, tmp_path):
    """The pictures of the shards through the folder's command are those that translate_spigan wrote."""
    from pipeline.shards.index import ShardSet

    source, stage = (ShardSet.open(trained / f"data/{part}") for part in ("shards/source", "translated/spigan/0"))
    images = tmp_path / "images"
    images.mkdir()
    (images / "one.png").write_bytes(encode_png(source.read(3).image))
    assert translate(trained, images).code == 0
    here = decode_image((tmp_path / "out/one.png").read_bytes(), "one")
    assert np.array_equal(decode_image(encode_jpeg(here, 95), "one"), stage.read(3).image)  # stored as JPEG


def test_two_pictures_that_would_become_one_file_are_refused(trained, images):
    (images / "a.jpg").write_bytes(encode_jpeg(np.zeros((8, 8, 3), np.uint8)))
    sentence = translate(trained, images).sentence
    assert "a.jpg" in sentence and "a.png" in sentence and not (images.parent / "out").exists()


@pytest.mark.parametrize("out", ["my pictures", "my pictures/more", "./link/new"])
def test_originals_are_never_written_to(trained, images, out):
    (images.parent / "link").symlink_to(images)
    before = contents(images.parent)
    assert f"--out {out} lies in --images" in translate(trained, images, "--out", out).sentence
    assert contents(images.parent) == before


def test_what_cannot_be_entered_is_told_and_not_left_out(trained, images):
    (images / "more/back").symlink_to(images)
    assert "is a link back into a folder that holds it" in translate(trained, images).sentence
    assert not (images.parent / "out").exists()


@pytest.mark.parametrize("flag", ["--labels", "--instances", "--style"])
def test_what_a_model_does_not_use_is_refused(trained, images, flag):
    sentence = translate(trained, images, flag, "somewhere").sentence
    assert sentence == f"error: a spigan model does not use {flag}; leave it out"
    assert not (images.parent / "out").exists()


def test_a_reference_picture_gives_its_style(tmp_path, images):
    """Label maps drawn with a picture's code: other than with another picture's, the same again, and the code's own."""
    nets, maps = toy.write_model("spade", tmp_path / "spade"), tmp_path / "maps"
    maps.mkdir()
    label = np.random.default_rng(0).integers(0, 19, (33, 47), dtype=np.uint8)
    (maps / "one.png").write_bytes(encode_png(label))

    def drawn(*more: str) -> bytes:
        directory = ("--model", str(tmp_path / "spade"), "--labels", str(maps))
        ended = run_here(tmp_path, "translate", *directory, "--out", "out", *more)
        assert ended.code == 0, ended.err
        return (tmp_path / "out/one.png").read_bytes()

    a, b = (drawn("--style", str(images / name)) for name in ("a.png", "more/c.png"))
    assert len({a, b, drawn()}) == 3 and drawn("--style", str(images / "a.png")) == a
    with torch.inference_mode():
        z = spade.style_of(nets, to_tensor(read_image(images / "a.png")))
        own = spade.drawn_with(nets, torch.from_numpy(label.astype(int))[None], None, z)
    assert a == encode_png(to_picture(own[0]))
    gone = run_here(tmp_path, "translate", "--model", "spade", "--labels", "maps", "--out", "x", "--style", "gone.png")
    assert "gone.png" in gone.sentence and not (tmp_path / "x").exists()


def test_a_folder_without_pictures_and_one_that_is_not_there(trained, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty holds no PNG or JPEG pictures" in translate(trained, tmp_path / "empty").sentence
    assert "gone is not a folder of pictures" in translate(trained, tmp_path / "gone").sentence


def test_a_segmenter_cannot_translate(trained, images):
    sentence = translate(trained, images, model="segmenters/source_only/none/0").sentence
    assert "is a segmenter (source_only); it cannot translate pictures" in sentence


def test_a_command_without_its_halves_says_what_to_name(trained, tmp_path):
    assert "name a method and a seed" in run_here(tmp_path, "translate").sentence
    assert "--model needs --images" in run_here(tmp_path, "translate", "--model", "x").sentence
    assert "name a segmenter, a translator and a seed" in run_here(tmp_path, "evaluate").sentence
    assert (
        "--model needs also --root, --split, --out"
        in run_here(tmp_path, "evaluate", "--model", "x", "--dataset", "cityscapes").sentence
    )


# -- scoring ------------------------------------------------------------------------------------------------------


def evaluate(trained: Path, out: Path, *more: str, model: str = "segmenters/source_only/none/0") -> Ended:
    given = {"--dataset": "cityscapes", "--root": str(trained / "data/raw/world_target"), "--split": "val"}
    given |= {"--model": str(trained / "models" / model), "--out": str(out)} | dict(
        zip(more[::2], more[1::2], strict=True)
    )
    return run_here(out.parent, "evaluate", *(word for pair in given.items() for word in pair))


def test_a_segmenter_is_scored_on_a_data_set_of_its_own(trained, tmp_path):
    ended = evaluate(trained, tmp_path / "scores.json")
    assert ended.code == 0, ended.err
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores) == KEYS
    assert (scores["dataset"], scores["split"], scores["pictures"], scores["protocol"]) == (
        "cityscapes", "val", 3, "cityscapes19",
    )  # fmt: skip
    matrix = np.array(scores["confusion"])
    assert matrix.shape == (19, 19) and 0 < matrix.sum() <= 3 * 32 * 64
    assert scores["pixel_accuracy"] == pytest.approx(matrix.trace() / matrix.sum())
    known = [value for value in scores["iou"].values() if value is not None]
    assert len(scores["iou"]) == 19 and scores["miou"] == pytest.approx(np.mean(known))


def test_the_stage_and_the_command_agree(trained, copy, tmp_path):
    folder = copy(trained, "data/shards/target_val", "models/segmenters")
    ended = run_here(folder, "evaluate", "source_only", "none", "0")
    assert ended.code == 0, ended.err
    assert evaluate(trained, tmp_path / "scores.json").code == 0
    alone = json.loads((tmp_path / "scores.json").read_text())
    staged = json.loads((folder / "results/evaluate/source_only/none/0/scores.json").read_text())
    assert (staged["translator"], staged["segmenter"], staged["uses_target_labels"]) == ("none", "source_only", False)
    # the shards hold JPEG pictures, the folder the PNG that they were made of
    assert staged["pixel_accuracy"] == pytest.approx(alone["pixel_accuracy"], abs=0.02)
    assert np.array(staged["confusion"]).sum() == np.array(alone["confusion"]).sum()


def test_an_adversarial_segmenter_is_its_last_snapshot_and_tells_of_the_others(trained, copy):
    folder = copy(trained, "data/shards", "data/translated/none")
    params = read_yaml(folder / "params.yaml")
    params["segment"]["snapshots"] = 2
    write_params(folder, params)
    for stage in ("segment", "evaluate"):
        ended = run_here(folder, stage, "adaptsegnet", "none", "0")
        assert ended.code == 0, ended.err
    scores = json.loads((folder / "results/evaluate/adaptsegnet/none/0/scores.json").read_text())
    assert scores["snapshots"]["steps"] == [2, 4, 6] and scores["snapshots"]["miou"][-1] == scores["miou"]
    early = folder / "models/snapshots/adaptsegnet/none/0/000000002.safetensors"
    early.replace(folder / "models/segmenters/adaptsegnet/none/0/weights.safetensors")
    early.with_name("000000006.safetensors").unlink()
    assert run_here(folder, "evaluate", "adaptsegnet", "none", "0").code == 0
    told = json.loads((folder / "results/evaluate/adaptsegnet/none/0/scores.json").read_text())
    assert told["miou"] == scores["snapshots"]["miou"][0]  # so the snapshot was scored with its own weights


def test_scoring_what_cannot_be_scored(trained, tmp_path):
    out = tmp_path / "scores.json"
    told = {
        "is a translator (spigan); it cannot be scored as a segmenter": {"model": "translators/spigan/0"},
        "is not a model directory": {"model": "nowhere"},
        "data set 'cityscape' is unknown; known are": ("--dataset", "cityscape"),
        "has no split 'tests'": ("--split", "tests"),
        "nowhere": ("--root", "nowhere"),
        "write it as name=value": ("--option", "inside"),
        "option 'insid' is unknown": ("--option", "insid=a"),
    }
    for words, how in told.items():
        ended = evaluate(trained, out, **how) if isinstance(how, dict) else evaluate(trained, out, *how)
        assert words in ended.sentence, words
    assert not out.exists()


@pytest.mark.parametrize(
    ("stage", "given"),
    [
        ("evaluate", ("--dataset", "folder", "--root", "r", "--split", "val")),
        ("score", ("--dataset", "npz", "--root", "r")),
        ("codes", ("--dataset", "npz", "--root", "r")),
        ("translate", ("--images", "pictures")),
    ],
)
def test_a_result_that_cannot_be_written_is_told_before_the_work(tmp_path, stage, given):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    wrong = {"file": "is a file"} if stage == "translate" else {"folder": "is a folder"}
    for out, words in (wrong | {"file/x": "is no folder", "file/x/y.json": "is no folder"}).items():
        assert words in run_here(tmp_path, stage, "--model", "m", *given, "--out", out).sentence, out
    assert contents(tmp_path) == {"file": b""}


def test_a_path_that_leads_nowhere_is_a_sentence_wherever_it_is_met(tmp_path, capsys):
    """What no stage has looked at before: a name of 300 letters."""
    with pytest.raises(SystemExit) as stop:
        run(lambda given: write_json(tmp_path / ("x" * 300), 1), parser(None), [])
    assert stop.value.code == 2
    assert "xxx cannot be read or written: File name too long" in capsys.readouterr().err


# -- labels -------------------------------------------------------------------------------------------------------


def test_labels_are_mended_anywhere_without_this_projects_folders(world, tmp_path):
    """A real process in an empty folder: no params.yaml, no data/."""
    root = str(world / "data/raw/world_source")
    how = ("--table", "rand_cityscapes", "--labels", "raw16", "--workers", "1")
    ended = run_apart(tmp_path, "-m", "stages.fix_labels", "--root", root, "--out", "fixed", *how)
    assert ended.code == 0 and ended.out.startswith("8 label maps in fixed"), ended.err
    assert contents(tmp_path) == {f"fixed/{name}": data for name, data in contents(world / "data/fixed/source").items()}
    label = cv2.imread(str(tmp_path / "fixed/labels/0000000.png"), cv2.IMREAD_UNCHANGED)
    assert label.dtype == np.uint8 and label.shape == (32, 64) and set(np.unique(label)) <= {*range(19), 255}


def test_what_cannot_be_seen_in_a_file_must_be_said(world, tmp_path):
    ended = run_here(tmp_path, "fix_labels", "--root", str(world / "data/raw/world_source"))
    assert "--root needs --table and --labels" in ended.sentence and not contents(tmp_path)


def test_an_experiment_tells_mlflow_before_its_copy_is_gone(monkeypatch):
    """`make run` calls `sync` itself; nobody can in the temporary copy of `dvc exp run --queue`."""
    from argparse import Namespace

    import pipeline.report
    import pipeline.tracking
    from stages import report

    built, told = [], []
    monkeypatch.setattr(pipeline.report, "build", lambda *given: built.append(given))
    monkeypatch.setattr(pipeline.tracking, "sync", lambda: told.append(1) or 3)
    monkeypatch.chdir(ROOT)
    for name, times in ((None, 0), ("bold-name", 1)):
        monkeypatch.delenv("DVC_EXP_NAME", raising=False)
        if name:
            monkeypatch.setenv("DVC_EXP_NAME", name)
        report.main(Namespace(compare=None, show=False))
        assert len(told) == times
    assert len(built) == 2


ENDING = """
import atexit
from stages.common import parser, run
atexit.register(print, "later")
made = parser(None)
made.add_argument("how")
def main(given):
    print("done", end=" ")
    if given.how != "0":
        raise {"1": KeyError("unforeseen"), "2": SystemExit(2), "143": SystemExit(143)}[given.how]
if __name__ == "__main__":
    run(main, made)
"""


@pytest.mark.parametrize("code", [0, 1, 2, 143])
def test_a_process_of_a_stage_ends_with_its_code_and_nothing_unsaid(code, tmp_path):
    """It leaves without taking its libraries down."""
    (tmp_path / "stages").mkdir()
    shutil.copy(ROOT / "stages/common.py", tmp_path / "stages")
    (tmp_path / "stages/__init__.py").touch()
    (tmp_path / "stages/ending.py").write_text(ENDING)
    paths = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    command = [sys.executable, "-m", "stages.ending", str(code)]
    done = subprocess.run(command, env=environment() | paths, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (code, "done later\n")
    assert ("KeyError: 'unforeseen'" in done.stderr) == (code == 1)
