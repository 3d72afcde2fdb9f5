"""Scoring clips and scans by the command line: as a stage, and a model on any folder of clips, any file of scans."""

import json
import shutil
from pathlib import Path

import pytest

from tests.commands import contents, run_here
from tests.conftest import SCANS, write_scans


@pytest.fixture(scope="module")
def scored(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small world's clips, a trained flow_anomaly and its scores."""
    folder = tmp_path_factory.mktemp("scored")
    for part in ("data/shards", "data/raw/world_anomaly"):
        shutil.copytree(world / part, folder / part)
    text = (world / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text)
    for command in (("train", "flow_anomaly", "0"), ("score", "flow_anomaly", "0")):
        ended = run_here(folder, *command)
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
    drives = ("--dataset", "sequences", "--root", "data/raw/world_anomaly", "--clips", "2", "--out", "drives.json")
    assert run_here(scored, "score", *asked[:2], *drives).code == 0
    found = json.loads((scored / "drives.json").read_text())
    assert found["auc_frame"] is None and {row["clip"] for row in found["scores"]} == {"Test_Test002", "Test_Test002_gt", "Train_Train002"}  # fmt: skip
    for clips, words in (
        ("2-9", "has no clip 3, 4, 5, 6, 7, 8, 9; --clips may name 1, 2"),
        ("two", "write it as 7-12"),
        ("3-1", "7-12"),
    ):
        ended = run_here(scored, "score", *asked, "--clips", clips, "--out", "no.json")
        assert words in ended.sentence
    assert "--root, --out" in run_here(scored, "score", "--model", model, "--dataset", "ucsd_ped").sentence


def test_a_scorer_is_not_taken_for_another_kind(scored: Path) -> None:
    assert "is a scorer, not a segmenter" in run_here(scored, "segment", "flow_anomaly", "none", "0").sentence
    assert "not a translator" in run_here(scored, "translate", "flow_anomaly", "0").sentence


# -- single scans -------------------------------------------------------------------------------------------------

JUDGED = sum(SCANS["test"])


@pytest.fixture(scope="module")
def scanned(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small world's scans, a trained anogan and its scores."""
    folder = tmp_path_factory.mktemp("scanned")
    for name in ("scans_train", "scans_dev", "scans_judged"):
        shutil.copytree(world / "data/shards" / name, folder / "data/shards" / name)
    shutil.copytree(world / "data/raw/drawn_scans", folder / "data/raw/drawn_scans")
    shutil.copy(world / "params.yaml", folder)
    for command in (("train", "anogan", "0"), ("score", "anogan", "0")):
        ended = run_here(folder, *command)
        assert ended.code == 0, f"{command}\n{ended.err}"
    return folder


def test_the_stage_scores_every_scan_and_says_where_it_looked(scanned: Path) -> None:
    found = json.loads((scanned / "results/score/anogan/0/scores.json").read_text())
    assert [(row["key"], row["label"]) for row in found["scores"]] == [
        (f"test_{i:05d}", int(i >= SCANS["test"][0])) for i in range(JUDGED)
    ]
    assert (found["dataset"], found["split"], found["size"], found["normal"]) == ("drawn_scans", "test", [32, 32], 0)
    assert found["threshold"] > 0 and found["residual_threshold"] > 0 and found["scans_with_mask"] == JUDGED
    assert all(
        0 <= found[key] <= 1 for key in ("auc", "eer", "auc_residual", "auc_features", "auc_pixel", "iou", "dice")
    )
    assert (scanned / "results/score/anogan/0/sheets/scans.jpg").is_file()
    cost = json.loads((scanned / "results/costs/score/anogan/0.json").read_text())
    assert cost["stage"] == "score_anogan@0" and cost["images_per_second"] > 0
    assert set(json.loads((scanned / "results/metrics/anogan/0.json").read_text())) >= {"auc", "auc_pixel", "dice"}


def test_scores_are_the_same_bytes_again(scanned: Path) -> None:
    before = contents(scanned / "results/score")
    assert run_here(scanned, "score", "anogan", "0").code == 0
    assert contents(scanned / "results/score") == before


def test_a_model_scores_any_scans_with_labels_or_without(scanned: Path) -> None:
    asked = ("--model", "models/scorers/anogan/0", "--dataset", "npz")
    ended = run_here(scanned, "score", *asked, "--root", "data/raw/drawn_scans", "--out", "told.json")
    assert ended.code == 0, ended.err
    told = json.loads((scanned / "told.json").read_text())
    stored = json.loads((scanned / "results/score/anogan/0/scores.json").read_text())
    assert told["scores"] == stored["scores"] and told["auc_pixel"] == stored["auc_pixel"]
    assert f"npz: {JUDGED} scans: auc " in ended.out

    turned = run_here(
        scanned, "score", *asked, "--root", "data/raw/drawn_scans", "--normal", "1", "--out", "turned.json"
    )
    assert turned.code == 0, turned.err
    other = json.loads((scanned / "turned.json").read_text())
    assert other["normal"] == 1 and other["auc"] == pytest.approx(1 - told["auc"])

    nobody = run_here(scanned, "score", *asked, "--root", "data/raw/drawn_scans", "--normal", "7", "--out", "x.json")
    assert "has no scan of category 7, which --normal names; it may be 0, 1" in nobody.sentence

    write_scans(scanned / "bare/scans.npz", labels=False)
    bare = run_here(scanned, "score", *asked, "--root", "bare/scans.npz", "--split", "test", "--out", "bare.json")
    assert bare.code == 0, bare.err
    found = json.loads((scanned / "bare.json").read_text())
    assert [row["score"] for row in found["scores"]] == [row["score"] for row in stored["scores"]]
    assert all(row["label"] is None for row in found["scores"]) and found["auc"] is None
    assert "no figures without labels of both kinds" in bare.out


def test_what_a_scorer_does_not_look_at_is_a_sentence(scanned: Path, scored: Path) -> None:
    def said(folder: Path, model: str, *options: str) -> str:
        given = (
            "--model",
            str(folder / f"models/scorers/{model}/0"),
            "--root",
            "data/raw/drawn_scans",
            "--out",
            "no.json",
        )
        return run_here(scanned, "score", *given, *options).sentence

    assert "scores scans, which --dataset ucsd_ped does not hold; name npz or idx" in said(
        scanned, "anogan", "--dataset", "ucsd_ped"
    )
    assert "scores scans, for which there is no --clips" in said(scanned, "anogan", "--dataset", "npz", "--clips", "1")
    assert "scores clips, which --dataset npz does not hold; name ucsd_ped" in said(
        scored, "flow_anomaly", "--dataset", "npz"
    )
    assert "has no split 'val'" in said(scanned, "anogan", "--dataset", "npz", "--split", "val")
