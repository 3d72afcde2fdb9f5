"""Samplers on the page: a line a seed beside the published figure, the bound with the control, pictures of the codes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import report
from pipeline.files import UserError, encode_png, write_atomic


def write(tree: Path, name: str, seed: int, error: float) -> None:
    factors = {"best": [{"code": 1, "factor": "slant", "pearson": 0.8, "spearman": 0.75}]}
    row = {"sampler": name, "seed": seed, "dataset": "mnist", "split": "test", "pictures": 10000, "error": error}
    row |= {"error_many": error / 2, "error_named": None, "information": 2.25, "information_continuous": -0.004}
    folder = tree / f"results/codes/{name}/{seed}"
    write_atomic(folder / "scores.json", json.dumps(row | {"factors": factors if name == "infogan" else None}))
    write_atomic(folder / "pictures/noise.png", encode_png(np.zeros((280, 280, 3), np.uint8)))
    curves = [
        {"step": n, "kimg": n / 10, "loss/information": n / 10, "loss/information_continuous": 0.0} for n in (1, 2)
    ]
    write_atomic(tree / f"results/train/{name}/{seed}/curves.json", json.dumps({"curves": curves}))


def test_a_sampler_stands_beside_the_published_figure_and_its_control(
    tree: Path, params: dict[str, Any], tmp_path: Path
) -> None:
    for name, seed, error in (("infogan", 0, 0.10), ("infogan", 1, 0.20), ("plain_gan", 0, 0.85)):
        write(tree, name, seed, error)
    report.build(params | {"samplers": {"infogan": [0, 1], "plain_gan": [0]}}, tree, tmp_path / "report")
    listed = json.loads((tmp_path / "report/codes.json").read_text())
    assert [(row["sampler"], row["seed"], row["error"]) for row in listed] == [
        ("infogan", 0, 0.1), ("infogan", 1, 0.2), ("plain_gan", 0, 0.85)
    ]  # fmt: skip
    text = (tmp_path / "report/index.html").read_text()
    section = text[text.index('id="codes"') : text.index('id="source"')]
    for words in ("infogan, seed 1", "15.0 ± 7.1", "infogan, published", "5.0", "plain_<wbr>gan, seed 0", "2.25"):
        assert words in section, words
    assert "continuous code 1 follows slant, |r| 0.80, of ranks 0.75" in section
    assert section.count("<svg") == 2 and section.count("<title>plain_gan, seed 0</title>") == 2
    assert section.count("<img") == 2
    with pytest.raises(UserError, match="run the stage codes_infogan"):
        report.build(params | {"samplers": {"infogan": [2]}}, tree, tmp_path / "no")


def test_without_samplers_the_page_is_silent(built: Path) -> None:
    assert json.loads((built / "codes.json").read_text()) == []
    assert 'id="codes"' not in (built / "index.html").read_text()
