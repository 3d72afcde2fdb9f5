"""Methods that draw from label maps: their rows, their ceiling, and their part of the page."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import report
from pipeline.files import UserError, encode_png


def _add(tree: Path, name: str, seed: int, miou: float) -> None:
    folder = tree / f"results/generation/{name}/{seed}"
    (folder / "pictures").mkdir(parents=True)
    (folder / "styles").mkdir()
    scores = {
        "translator": name, "seed": seed, "split": "val", "pictures": 8,
        "fcn": {"miou": miou, "pixel_accuracy": 0.7, "class_accuracy": None},
        "fcn_real": {"miou": 0.6 + 0.1 * seed, "pixel_accuracy": 0.9, "class_accuracy": 0.8},
        "distances": {"frechet_lite0_8": 4.5}, "pairs": {"l1": 0.2, "psnr": 14.0, "ssim": 0.4},
    }  # fmt: skip
    (folder / "scores.json").write_text(json.dumps(scores))
    for number in (100, 101):
        (folder / "pictures" / f"{number:07d}.png").write_bytes(encode_png(np.full((48, 96, 3), 90, np.uint8)))
    (folder / "styles/codes.png").write_bytes(encode_png(np.zeros((96, 288, 3), np.uint8)))


def test_rows_scores_beside_the_real_pictures_and_the_page(tree: Path, params: dict[str, Any], tmp_path: Path) -> None:
    for seed, miou in ((0, 0.4), (1, 0.5)):
        _add(tree, "spade", seed, miou)
        _add(tree, "concat", seed, miou - 0.1)
    report.build(params | {"generation": ["spade", "concat"]}, tree, tmp_path / "report")
    rows = json.loads((tmp_path / "report/generation.json").read_text())
    assert [(row["translator"], row["seed"], row["miou"], row["real_miou"]) for row in rows] == [
        ("spade", 0, 0.4, 0.6), ("spade", 1, 0.5, 0.7), ("concat", 0, 0.4 - 0.1, 0.6), ("concat", 1, 0.4, 0.7),
    ]  # fmt: skip
    assert rows[0]["frechet_lite0_8"] == 4.5 and rows[0]["psnr"] == 14.0
    text = (tmp_path / "report/index.html").read_text()
    drawn = text[text.index('id="generation"') : text.index('id="worst"')]
    assert "45.0 ± 7.1" in drawn and "65.0 ± 7.1" in drawn  # spade, and the ceiling over both seeds
    assert drawn.count("as spade draws it") == 2 and "codes_spade" in drawn


def test_without_such_methods_the_page_is_silent(built: Path) -> None:
    assert json.loads((built / "generation.json").read_text()) == []
    assert 'id="generation"' not in (built / "index.html").read_text()


def test_a_missing_result_names_its_stage(tree: Path, params: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"results/generation/spade/0/scores.json is missing; run the stage generation"):
        report.build(params | {"generation": ["spade"]}, tree, tmp_path / "report")


def test_pairs_stand_beside_the_untouched_input(tree: Path, params: dict[str, Any], tmp_path: Path) -> None:
    figures = {"pairs": {"l1": 0.2, "psnr": 15.0}, "distances": {"frechet_lite0_8": 9.0}}
    for seed in (0, 1):
        floor = {"pairs": {"l1": 0.5 + seed / 10, "psnr": 9.0}, "distances": {"frechet_lite0_8": 7.0}}
        folder = tree / f"results/pairs/pix2pix_pairs/{seed}"
        (folder / "pictures").mkdir(parents=True)
        scores = {"translator": "pix2pix_pairs", "seed": seed, "pictures": 8, **figures, "untouched": floor}
        (folder / "scores.json").write_text(json.dumps(scores))
        (folder / "pictures/worst.png").write_bytes(encode_png(np.zeros((96, 288, 3), np.uint8)))
    asked = params | {"paired": {"pix2pix_pairs": [0, 1]}, "cells": {"oracle": []}, "translators": {"none": [0]}}
    report.build(asked | {"exactness": []}, tree, tmp_path / "report")
    rows = json.loads((tmp_path / "report/pairs.json").read_text())
    assert [(row["translator"], row["seed"], row["l1"]) for row in rows] == [
        ("pix2pix_pairs", 0, 0.2), ("none", 0, 0.5), ("pix2pix_pairs", 1, 0.2), ("none", 1, 0.6),
    ]  # fmt: skip
    text = (tmp_path / "report/index.html").read_text()
    assert "0.550 ± 0.071" in text and "worst_pairs_pix2pix_pairs" in text and "9.00" in text
    with pytest.raises(UserError, match="run the stage evaluate_pairs_pix2pix_pairs"):
        report.build(asked | {"exactness": [], "seeds": [0], "paired": {"pix2pix_pairs": [4]}}, tree, tmp_path / "no")
