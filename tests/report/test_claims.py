"""Translators against the cheap ways: paired by seed, and nothing called more than it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import report
from pipeline.report.claims import by_pair, claims
from tests.commands import run_here

# mIoU of seeds 0, 1, 2: spigan is above none in each seed, fourier in one
MIOU = {
    "none": (0.30, 0.33, 0.31),
    "fourier": (0.29, 0.35, 0.29),
    "spigan": (0.35, 0.37, 0.37),
    "perfect_translation": (0.40, 0.44, 0.42),
}


def rows(**more: Any) -> report.Table:
    table = [
        {"translator": name, "segmenter": "source_only", "seed": seed, "miou": value, "miou16": value + 0.01}
        for name, values in MIOU.items()
        for seed, value in enumerate(values)
    ]
    oracle = {"translator": "none", "segmenter": "oracle", "seed": 0, "miou": 0.9, "miou16": 0.9}
    return [row | more for row in [*table, oracle]]


def test_differences_are_paired_by_seed() -> None:
    found = {(c["translator"], c["against"]): c for c in claims(rows()) if c["figure"] == "miou"}
    spigan = found["spigan", "none"]
    assert spigan["differences"] == pytest.approx({"0": 0.05, "1": 0.04, "2": 0.06})
    assert spigan["mean"] == pytest.approx(0.05) and spigan["spread"] == pytest.approx(0.01)
    assert (spigan["above"], spigan["seeds"], spigan["more_than_spread"]) == (3, 3, True)
    fourier = found["fourier", "none"]
    assert (fourier["above"], fourier["more_than_spread"]) == (1, False)


def test_each_pair_stands_once_and_the_oracle_nowhere() -> None:
    assert [pair[:2] for pair in by_pair(claims(rows()))] == [
        ("fourier", "none"),
        ("spigan", "none"), ("spigan", "fourier"),
        ("perfect_translation", "none"), ("perfect_translation", "fourier"),
    ]  # fmt: skip


def test_a_seed_that_one_side_lacks_is_left_out() -> None:
    table = [row for row in rows() if (row["translator"], row["seed"]) != ("none", 1)]
    spigan = next(c for c in claims(table) if (c["translator"], c["against"]) == ("spigan", "none"))
    assert list(spigan["differences"]) == ["0", "2"] and spigan["seeds"] == 2


def test_with_one_seed_nothing_is_more_than_the_spread() -> None:
    found = claims([row for row in rows() if row["seed"] == 0])
    assert {(c["spread"], c["more_than_spread"], c["seeds"]) for c in found} == {(None, None, 1)}


def test_a_figure_that_the_classes_do_not_allow_makes_no_claim() -> None:
    assert {c["figure"] for c in claims(rows(miou16=None))} == {"miou"}


def test_the_terminal_says_it_in_a_line_each() -> None:
    lines = report.format_claims(rows()).splitlines()
    assert "paired by seed; * more than its spread" in lines[0]
    line = next(line for line in lines if line.startswith("spigan") and "none" in line)
    assert line.count("+5.0 ± 1.0*, above in 3 of 3 seeds") == 2  # mIoU and mIoU16
    fourier = next(line for line in lines if line.startswith("fourier"))
    assert "-0.3 ± 2.1, above in 1 of 3 seeds" in fourier and "*" not in fourier
    one = report.format_claims([row for row in rows() if row["seed"] == 0])
    assert "one seed: no spread known" in one and "*" not in one and "+5.0, above in 1 of 1 seeds" in one
    assert report.format_claims([row for row in rows() if row["translator"] == "none"]) == ""


def test_the_page_the_file_and_the_terminal_agree(built: Path, tmp_path: Path) -> None:
    table = json.loads((built / "table.json").read_text())
    assert json.loads((built / "claims.json").read_text()) == claims(table)
    text = (built / "index.html").read_text().replace("<wbr>", "")
    section = text[text.index('id="claims"') : text.index('id="gap"')]
    assert '<td class="best">+11.0 ± 0.0</td><td>2 of 2</td>' in section  # spigan against none
    assert "Uses target labels or the exact translation" in section
    (tmp_path / "report").symlink_to(built)
    shown = run_here(tmp_path, "report", "--show")
    assert "+11.0 ± 0.0*, above in 2 of 2 seeds" in shown.out and "report/index.html" in shown.out
