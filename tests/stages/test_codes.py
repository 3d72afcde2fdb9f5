"""Reading codes by the command line: as a stage, and a model on any digits."""

import json
import math
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from pipeline.engine.model import load_model
from pipeline.files import read_image
from tests.commands import run_here

MODEL = "models/samplers/infogan/0"
SHARDS = [f"data/shards/{name}" for name in ("source", "digits_train", "digits_judged")]


@pytest.fixture(scope="module")
def read(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small world's digits, a trained infogan and what its codes are worth."""
    folder = tmp_path_factory.mktemp("codes")
    for part in (*SHARDS, "data/raw/world_digits"):
        shutil.copytree(world / part, folder / part)
    shutil.copy(world / "params.yaml", folder)
    for stage in ("train", "codes"):
        ended = run_here(folder, stage, "infogan", "0")
        assert ended.code == 0, ended.err
    return folder


def scores(file: Path) -> dict:
    return json.loads(file.read_text())


def test_the_stage_matches_codes_to_digits_and_draws_what_they_do(read: Path) -> None:
    found = scores(read / "results/codes/infogan/0/scores.json")
    assert (found["dataset"], found["split"], found["pictures"]) == ("world_digits", "test", 10)
    assert found["matching"] == load_model(read / MODEL).nets["matching"].single.tolist()
    assert sorted(found["matching"]) == list(range(10))
    confusion, codes = np.array(found["confusion"]), np.array(found["codes"])
    assert confusion.sum() == codes.sum() == 10 and found["error"] == 1 - np.trace(confusion) / 10
    assert found["error"] == pytest.approx(1 - codes[range(10), found["matching"]].sum() / 10)
    assert found["information"] <= math.log(10) and found["error_named"] is None
    pictures = {path.name: read_image(path) for path in (read / "results/codes/infogan/0/pictures").iterdir()}
    assert set(pictures) == {"noise.png", "continuous_0.png", "continuous_1.png"}
    assert all(picture.shape == (320, 320, 3) for picture in pictures.values())
    assert set(scores(read / "results/metrics/infogan/0.json")) < set(found)
    columns = scores(read / "results/train/infogan/0/curves.json")["curves"][0]
    assert {"loss/information", "loss/information_continuous"} < set(columns)


def test_a_model_reads_any_digits_as_the_stage_did(read: Path) -> None:
    asked = ("--model", MODEL, "--dataset", "npz", "--root", "data/raw/world_digits", "--out", "one.json")
    ended = run_here(read, "codes", *asked)
    assert ended.code == 0, ended.err
    stage = scores(read / "results/codes/infogan/0/scores.json")
    assert scores(read / "one.json") == {k: v for k, v in stage.items() if k != "seed"} | {"dataset": "npz"}
    assert "has no split 'val'; it has train (20)" in run_here(read, "codes", *asked, "--split", "val").sentence
    assert "--root, --out" in run_here(read, "codes", *asked[:4]).sentence


def test_idx_files_are_read_and_need_their_labels(read: Path, tmp_path: Path) -> None:
    def write(name: str, magic: int, array: np.ndarray) -> None:
        (tmp_path / name).write_bytes(struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes())

    write("t10k-images-idx3-ubyte", 0x803, np.random.RandomState(1).randint(0, 256, (6, 28, 28)).astype(np.uint8))
    asked = ("--model", MODEL, "--dataset", "idx", "--root", str(tmp_path), "--out", "idx.json")
    assert "has no category, so nothing can be scored; bring its labels" in run_here(read, "codes", *asked).sentence
    write("t10k-labels-idx1-ubyte", 0x801, np.arange(6, dtype=np.uint8))
    ended = run_here(read, "codes", *asked)
    assert ended.code == 0 and "idx: 6 pictures: error " in ended.out, ended.err
    assert scores(read / "idx.json")["factors"] is None


def test_a_sampler_is_not_taken_for_another_kind(read: Path) -> None:
    assert "is a sampler (infogan); it scores no" in run_here(read, "score", "--model", MODEL, "--dataset", "ucsd_ped", "--root", ".", "--out", "no.json").sentence  # fmt: skip
    assert "not a translator" in run_here(read, "translate", "infogan", "0").sentence
