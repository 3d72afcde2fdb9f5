"""The table: its rows, what is made of them over seeds, and what happens when results are missing."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline import report
from pipeline.files import UserError
from pipeline.report import results, tables

KEYS = [
    "translator", "segmenter", "seed", "dataset", "split", "pictures", "protocol", "miou", "miou19", "miou16", "miou13",
    "miou7", "pixel_accuracy", "snapshots_mean", "snapshots_spread", "iou", "frechet_lite0_8", "kid_lite0_8", "label_preservation", "psnr_perfect",
    "ssim_perfect", "uses_target_labels", "seconds", "peak_mb",
]  # fmt: skip


def test_table_has_a_row_for_each_cell_and_seed_with_all_keys(built: Path) -> None:
    table = json.loads((built / "table.json").read_text())
    assert [list(row) for row in table] == [KEYS] * 10
    assert [(row["translator"], row["segmenter"], row["seed"]) for row in table[:3]] == [
        ("none", "source_only", 0),
        ("none", "source_only", 1),
        ("histogram_matching", "source_only", 0),
    ]
    spigan = next(row for row in table if (row["translator"], row["seed"]) == ("spigan", 1))
    assert spigan["miou"] == pytest.approx(0.43) and spigan["frechet_lite0_8"] == 11.5
    assert spigan["psnr_perfect"] == 18.25 and spigan["label_preservation"] == 0.7
    assert spigan["seconds"] == 400 and spigan["peak_mb"] == 400  # 300 training, 20 translation, 80 segmentation
    assert spigan["iou"]["train"] is None and spigan["miou7"] is None


def test_oracle_has_no_distance_and_stands_apart(built: Path) -> None:
    oracle = [row for row in json.loads((built / "table.json").read_text()) if row["segmenter"] == "oracle"]
    assert all(row["frechet_lite0_8"] is None and row["uses_target_labels"] for row in oracle)
    assert [row["seconds"] for row in oracle] == [80, 80]


def test_scores_are_the_table_without_costs(built: Path) -> None:
    table, scores = (json.loads((built / name).read_text()) for name in ("table.json", "scores.json"))
    assert scores == [{k: v for k, v in row.items() if k not in ("seconds", "peak_mb")} for row in table]
    assert json.loads((built / "generation.json").read_text()) == []


def test_csv_says_the_same_with_a_column_for_each_class(built: Path) -> None:
    table = json.loads((built / "table.json").read_text())
    lines = list(csv.DictReader((built / "table.csv").read_text().splitlines()))
    assert len(lines) == len(table)
    assert lines[0]["miou7"] == "" and lines[0]["iou.train"] == ""
    assert float(lines[4]["iou.road"]) == table[4]["iou"]["road"]


def test_mean_spread_and_share_of_the_gap(built: Path) -> None:
    found = {s.name: s for s in tables.summarise(json.loads((built / "table.json").read_text()))}
    spigan = found["spigan + source_only"]
    assert spigan.mean["miou"] == pytest.approx(0.42)
    assert spigan.spread["miou"] == pytest.approx(0.02 / 2**0.5)
    assert spigan.gap_closed == pytest.approx(0.11 / 0.30)
    assert spigan.gap_spread == pytest.approx(0.02 / 2**0.5 / 0.30)
    assert found["none + source_only"].gap_closed == 0 and found["none + oracle"].gap_closed == pytest.approx(1)
    assert [s.apart for s in found.values()] == [False, False, False, True, True]


@pytest.mark.parametrize("oracle", [None, 0.2])
def test_no_share_without_an_oracle_above_source_only(built: Path, oracle: float | None) -> None:
    table = json.loads((built / "table.json").read_text())
    for row in table:
        row["miou"] = oracle if row["segmenter"] == "oracle" else row["miou"]
    assert tables.gap(table).width() is None
    assert all(s.gap_closed is None for s in tables.summarise(table))
    assert "spigan" in report.format_table(table)


def test_terminal_table_ranks_only_what_may_be_ranked(built: Path) -> None:
    lines = report.format_table(json.loads((built / "table.json").read_text())).splitlines()
    rule = next(i for i, line in enumerate(lines) if line.startswith("┄"))
    above, below = "\n".join(lines[:rule]), "\n".join(lines[rule:])
    assert "42.0 ± 1.4" in above and "37" in above and "frechet_lite0_8" in above
    assert "perfect_translation" in below and "oracle" in below and "oracle" not in above
    assert "world_target val, 3 pictures, protocol cityscapes19, 2 seeds" in lines[0]


def test_terminal_table_leaves_out_what_the_classes_do_not_allow(built: Path) -> None:
    table = json.loads((built / "table.json").read_text())
    text = report.format_table([row | {"miou16": None} for row in table])
    assert "mIoU16" not in text and "mIoU" in text


def test_one_seed_shows_no_spread(tree: Path, params: dict[str, Any], tmp_path: Path) -> None:
    table = report.build(params | {"seeds": [0]}, tree, tmp_path / "report")
    assert "±" not in report.format_table(table)
    assert "so no spread is known" in (tmp_path / "report/index.html").read_text()


def test_a_dropped_cell_does_not_come_back(tree: Path, params: dict[str, Any], tmp_path: Path) -> None:
    """Its results still lie there."""
    report.build(params, tree, tmp_path / "report")
    params["cells"]["source_only"].remove("spigan")
    table = report.build(params, tree, tmp_path / "report")
    assert {row["translator"] for row in table} == {"none", "histogram_matching", "perfect_translation"}
    assert not [p.name for p in (tmp_path / "report/pictures").iterdir() if "spigan" in p.name]
    assert ">spigan<" not in (tmp_path / "report/index.html").read_text()


def test_measures_come_from_the_cells_that_the_graph_measures(tree: Path, params: dict[str, Any]) -> None:
    """What another list of cells left in results/measure does not come back either."""
    cells = {"adaptsegnet": ["none", "spigan"], "source_only": ["none"]}
    for translator in cells["adaptsegnet"]:
        for stage in ("evaluate", "segment"):
            shutil.copytree(
                tree / f"results/{stage}/source_only/{translator}", tree / f"results/{stage}/adaptsegnet/{translator}"
            )
    table = tables.rows(results.load(params | {"cells": cells, "exactness": []}, tree))
    kept = {(row["translator"], row["segmenter"]): row["label_preservation"] for row in table}
    assert (tree / "results/measure/spigan/0.json").is_file()
    assert kept["spigan", "adaptsegnet"] is None
    assert kept["none", "adaptsegnet"] == kept["none", "source_only"] is not None


def test_a_missing_result_names_its_stage(tree: Path, params: dict[str, Any], tmp_path: Path) -> None:
    (tree / "results/evaluate/source_only/spigan/1/scores.json").unlink()
    with pytest.raises(
        UserError, match=r"^results/evaluate/source_only/spigan/1/scores.json is missing; run .*evaluate_"
    ):
        report.build(params, tree, tmp_path / "report")
    assert not (tmp_path / "report").exists() and not list(tmp_path.glob(".report*"))


def test_missing_results_are_listed_together(tree: Path, params: dict[str, Any]) -> None:
    (tree / "results/exactness/spigan/0.json").unlink()
    (tree / "results/measure/spigan/0.json").unlink()
    with pytest.raises(UserError) as caught:
        results.load(params, tree)
    assert "run the stage exactness" in str(caught.value) and "run the stage measure" in str(caught.value)


def test_scores_without_a_figure_are_an_error(tree: Path, params: dict[str, Any]) -> None:
    (tree / "results/evaluate/oracle/none/0/scores.json").write_text('{"dataset": "x"}')
    with pytest.raises(UserError, match="lacks split, pictures.*run the stage evaluate_oracle again"):
        results.load(params, tree)


def test_missing_translated_pictures_name_their_stage(tree: Path, params: dict[str, Any], tmp_path: Path) -> None:
    (tree / "data/translated/spigan/0/set.json").unlink()
    with pytest.raises(UserError, match="data/translated/spigan/0 is missing.*translate_spigan"):
        report.build(params, tree, tmp_path / "report")


def test_no_cells_is_a_sentence(params: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cells names no cell"):
        report.build(params | {"cells": {"source_only": []}}, tmp_path, tmp_path / "report")
