"""Scorers on the page: figures beside published ones, curves with the true interval shaded, a sheet a clip."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import report
from pipeline.files import UserError, encode_jpeg
from pipeline.report.anomaly import FIGURES, SCAN_FIGURES, spans


def test_spans_are_runs_of_abnormal_frames() -> None:
    assert spans([False, True, True, False, True]) == [(1.5, 3.5), (4.5, 5.5)]
    assert spans([True]) == [(0.5, 1.5)] and spans([False, False]) == []


def test_a_scorer_stands_beside_the_published_figure(tree: Path, params: dict[str, Any], tmp_path: Path) -> None:
    for seed in (0, 1):
        folder = tree / f"results/score/flow_anomaly/{seed}"
        (folder / "sheets").mkdir(parents=True)
        rows = [
            {"clip": clip, "frame": f"{t:03d}", "score": 1.0 + t, "label": int(clip == "Test002" and 3 < t < 8)}
            for clip in ("Test001", "Test002")
            for t in range(1, 11)
        ]
        row = {"scorer": "flow_anomaly", "seed": seed, "dataset": "ped2", "frames": 20, "clips": 2, "threshold": 6.5}
        figures = dict.fromkeys(FIGURES, 0.8 + seed / 10) | {"auc_pixel": None}
        (folder / "scores.json").write_text(json.dumps({**row, **figures, "scores": rows}))
        for clip in ("Test001", "Test002"):
            (folder / f"sheets/{clip}.jpg").write_bytes(encode_jpeg(np.zeros((96, 288, 3), np.uint8)))
    asked = params | {"scorers": {"flow_anomaly": [0, 1]}}
    report.build(asked, tree, tmp_path / "report")
    listed = json.loads((tmp_path / "report/anomaly.json").read_text())
    assert [(row["seed"], row["auc_frame"]) for row in listed] == [(0, 0.8), (1, 0.9)]
    assert all("scores" not in row for row in listed)
    text = (tmp_path / "report/index.html").read_text()
    section = text[text.index('id="anomaly"') : text.index('id="source"')]
    assert "85.0 ± 7.1" in section and "flow_<wbr>anomaly, published" in section and "93.5" in section
    assert section.count('class="span"') == 1 and section.count("<svg") == 2  # nothing is shaded in the first clip
    assert section.count("<img") == 2
    with pytest.raises(UserError, match="run the stage score_flow_anomaly"):
        report.build(params | {"scorers": {"flow_anomaly": [2]}}, tree, tmp_path / "no")


def test_without_scorers_the_page_is_silent(built: Path) -> None:
    assert json.loads((built / "anomaly.json").read_text()) == []
    assert 'id="anomaly"' not in (built / "index.html").read_text()


def test_scorers_of_scans_have_a_table_of_their_own(tree: Path, params: dict[str, Any], tmp_path: Path) -> None:
    for name in ("anogan", "egbad"):
        folder = tree / f"results/score/{name}/0"
        (folder / "sheets").mkdir(parents=True)
        row = {
            "scorer": name,
            "seed": 0,
            "dataset": "drawn",
            "split": "test",
            "scans": 30,
            **dict.fromkeys(SCAN_FIGURES, 0.75),
        }
        row |= {"auc_pixel": None, "scores": [{"key": "test_00000", "score": 1.0, "label": 0}]}
        (folder / "scores.json").write_text(json.dumps(row))
        (folder / "sheets/scans.jpg").write_bytes(encode_jpeg(np.zeros((96, 288, 3), np.uint8)))
    costs = tree / "results/costs/score/anogan"
    costs.mkdir(parents=True)
    (costs / "0.json").write_text(
        json.dumps({"seconds": 6.0, "images_per_second": 5.0, "device": "cpu", "restarts": 0})
    )
    report.build(params | {"scorers": {"anogan": [0], "egbad": [0]}}, tree, tmp_path / "report")
    listed = json.loads((tmp_path / "report/anomaly.json").read_text())
    assert [(row["scorer"], row["auc"]) for row in listed] == [("anogan", 0.75), ("egbad", 0.75)]
    assert all("milliseconds" not in row and "scores" not in row for row in listed)  # costs differ from run to run
    text = (tmp_path / "report/index.html").read_text()
    section = text[text.index('id="scans"') :].partition("</section>")[0]
    assert "30 scans of test" in section and "200.0" in section and section.count("75.0") == 16
    assert "anogan, published, other data" in section and "89.0" in section and "from memory" in section
    assert section.count("<img") == 2 and 'id="anomaly"' not in text
    assert "<td>score</td>" in text or "score" in text[text.index('id="costs"') :]
