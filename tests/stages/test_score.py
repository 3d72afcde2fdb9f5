"""Scoring clips by the command line: as a stage, and a model on any folder of clips."""

import json
import shutil
from pathlib import Path

import pytest

from tests.commands import run_apart, run_here


@pytest.fixture(scope="module")
def scored(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small world's clips, a trained flow_anomaly and its scores."""
    folder = tmp_path_factory.mktemp("scored")
    for part in ("data/shards", "data/raw/world_anomaly"):
        shutil.copytree(world / part, folder / part)
    text = (world / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text)
    for command in (("train", "flow_anomaly", "0"), ("score", "flow_anomaly", "0")):
        ended = run_apart(folder, "-m", f"stages.{command[0]}", *command[1:])
        assert ended.code == 0, f"{command}\n{ended.err}"
    return folder


def scores(folder: Path) -> dict:
    return json.loads((folder / "results/score/flow_anomaly/0/scores.json").read_text())


def test_the_stage_scores_every_frame_of_every_clip(scored: Path) -> None:
    found = scores(scored)
    assert [(row["clip"], row["frame"]) for row in found["scores"]] == [
        (f"Test00{clip}", f"{frame:03d}") for clip in (1, 2) for frame in range(1, 5)
    ]
    assert (found["dataset"], found["features"], found["size"]) == ("world_anomaly", "lite0[3]", [32, 64])
    assert found["threshold"] > 0 and all(row["score"] > 0 for row in found["scores"])
    assert {path.name for path in (scored / "results/score/flow_anomaly/0/sheets").iterdir()} == {"Test001.jpg", "Test002.jpg"}  # fmt: skip


def test_a_model_scores_any_clips_as_the_stage_did(scored: Path) -> None:
    model = str(scored / "models/scorers/flow_anomaly/0")
    asked = ("--model", model, "--dataset", "ucsd_ped", "--root", "data/raw/world_anomaly")
    ended = run_here(scored, "score", *asked, "--clips", "2", "--out", "one.json")
    assert ended.code == 0, ended.err
    one, both = json.loads((scored / "one.json").read_text()), scores(scored)
    theirs = [row for row in both["scores"] if row["clip"] == "Test002"]
    assert [{**row, "score": 0} for row in one["scores"]] == [{**row, "score": 0} for row in theirs]
    for ours, stored in zip(one["scores"], theirs, strict=True):  # shards hold JPEG and flow in steps of 1/64 pixel
        assert ours["score"] == pytest.approx(stored["score"], rel=0.1)
    assert one["clips"] == 1 and {"auc_frame", "eer_frame", "auc_pixel", "auc_frame_per_video"} <= set(one)
    ended = run_here(
        scored,
        "score",
        *asked[:2],
        "--dataset",
        "sequences",
        "--root",
        "data/raw/world_anomaly",
        "--clips",
        "2",
        "--out",
        "drives.json",
    )
    drives = json.loads((scored / "drives.json").read_text())
    assert drives["auc_frame"] is None and {row["clip"] for row in drives["scores"]} == {"Test_Test002", "Test_Test002_gt", "Train_Train002"}  # fmt: skip
    assert "clips come as ucsd_ped or sequences" in run_here(scored, "score", *asked[:2], "--dataset", "idx", "--root", ".", "--out", "no.json").sentence  # fmt: skip
    for clips, words in (("2-9", "has no clip 3, 4, 5, 6, 7, 8, 9"), ("two", "write it as 7-12"), ("3-1", "7-12")):
        ended = run_here(scored, "score", *asked, "--clips", clips, "--out", "no.json")
        assert words in ended.sentence
    assert "--root, --out" in run_here(scored, "score", "--model", model, "--dataset", "ucsd_ped").sentence


def test_a_scorer_is_not_taken_for_another_kind(scored: Path) -> None:
    assert "is a scorer, not a segmenter" in run_here(scored, "segment", "flow_anomaly", "none", "0").sentence
    assert "not a translator" in run_here(scored, "translate", "flow_anomaly", "0").sentence
