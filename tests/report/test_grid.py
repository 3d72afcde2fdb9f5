"""Translators x segmenters on the page: what is best, what combining brings, and what was not run."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline import report
from pipeline.files import encode_png
from pipeline.report import grid, plots
from pipeline.report.gallery import Gallery
from pipeline.report.tables import gap
from tests.report import conftest as small
from tests.report.test_page import Page

TRANSLATORS = {"none": 0.0, "histogram_matching": 0.02, "fourier": -0.03, "spigan": 0.06, "cyclegan": 0.04}
SEGMENTERS = {"source_only": 0.30, "adaptsegnet": 0.33, "selftrain": 0.38, "cbst": 0.35}
SECONDS = {"source_only": 80, "adaptsegnet": 190, "selftrain": 300, "cbst": 160}
NOT_RUN = ("cyclegan", "cbst")


def grid_params() -> dict[str, Any]:
    cells = {y: [x for x in TRANSLATORS if (x, y) != NOT_RUN] for y in SEGMENTERS} | {"oracle": ["none"]}
    cells["source_only"].insert(2, "perfect_translation")
    return small.parameters() | {"cells": cells, "cbst": {"train": {"steps": 200}}}


def miou_of(translator: str, segmenter: str) -> float:
    """What helps alone helps half as much together."""
    alone, own = TRANSLATORS[translator], SEGMENTERS[segmenter]
    return own + (alone if segmenter == "source_only" else alone / 2)


def write_cells(root: Path) -> None:
    """The cells of the grid, beside those of the small tree."""
    for seed in (0, 1):
        for translator in ("fourier", "cyclegan"):
            shutil.copytree(root / f"data/translated/spigan/{seed}", root / f"data/translated/{translator}/{seed}")
            small._put(root / f"results/measure/{translator}/{seed}.json", small._measure(translator, seed))
        small._put(root / f"results/costs/train/cyclegan/{seed}.json", small._cost("train", "cyclegan", seed, 1500))
        for translator in TRANSLATORS:
            for segmenter, seconds in SECONDS.items():
                write_cell(root, translator, segmenter, seed, seconds)


def write_cell(root: Path, translator: str, segmenter: str, seed: int, seconds: float) -> None:
    wobble = 0.03 * seed if segmenter == "selftrain" else 0.01 * seed
    figures = {"translator": translator, "segmenter": segmenter, "miou": miou_of(translator, segmenter) + wobble}
    folder, cell = root / f"results/evaluate/{segmenter}/{translator}/{seed}", f"{segmenter}/{translator}/{seed}"
    small._put(folder / "scores.json", small._scores("source_only", "none", seed) | figures)
    for number in (0, 1):
        small._put(folder / f"predictions/{100 + number:07d}.png", encode_png(small._target(number + 1).label))
    curves = small._curves(segmenter, seed, ["loss/ce"], 30 if segmenter == "cbst" else 50)
    small._put(root / f"results/segment/{cell}/curves.json", curves)
    small._put(root / f"results/costs/segment/{cell}.json", small._cost("segment", segmenter, seed, seconds))


@pytest.fixture(scope="module")
def many(base_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of four segmenters on five translators, and the oracle."""
    root = Path(shutil.copytree(base_tree, tmp_path_factory.mktemp("grid") / "run"))
    write_cells(root)
    report.build(grid_params(), root, root / "report")
    return root / "report"


@pytest.fixture(scope="module")
def section(many: Path) -> str:
    text = (many / "index.html").read_text().replace("<wbr>", "")
    return text[text.index('<h2 id="grid"') : text.index('<h2 id="claims"')]


# -- values -------------------------------------------------------------------------------------------------------


def rows(cells: dict[tuple[str, str], tuple[float, ...]], labels: tuple[str, ...] = ("oracle",)) -> report.Table:
    """(translator, segmenter) -> mIoU of seeds 0, 1, ...; `labels` names what uses target labels."""
    return [
        {
            "translator": x, "segmenter": y, "seed": seed, "miou": value, "iou": {},
            "uses_target_labels": x in labels or y in labels, "seconds": 100.0,
        }
        for (x, y), values in cells.items() for seed, value in enumerate(values)
    ]  # fmt: skip


def shown(table: report.Table) -> grid.Grid | None:
    return grid.show(table, list(dict.fromkeys(row["translator"] for row in table)), gap(table), Gallery())


BASE = {
    ("none", "source_only"): (0.30, 0.31, 0.32),
    ("spigan", "source_only"): (0.36, 0.40, 0.38),
    ("none", "cbst"): (0.37, 0.37, 0.37),
}


def test_a_combination_is_held_against_the_better_single_in_the_same_seed() -> None:
    [one] = grid.combinations(rows(BASE | {("spigan", "cbst"): (0.39, 0.39, 0.42)}))
    assert (one["translator"], one["segmenter"], one["single"]) == ("spigan", "cbst", "translator")  # 0.38 against 0.37
    assert one["differences"] == pytest.approx([0.03, -0.01, 0.04]) and one["above"] == 2
    assert one["mean"] == pytest.approx(0.02) and one["spread"] == pytest.approx(0.0264575)
    worse = BASE | {("none", "cbst"): (0.50, 0.50, 0.50), ("spigan", "cbst"): (0.39, 0.39, 0.42)}
    [one] = grid.combinations(rows(worse))
    assert one["single"] == "segmenter" and one["differences"] == pytest.approx([-0.11, -0.11, -0.08])


def test_a_seed_that_one_of_the_three_lacks_decides_nothing() -> None:
    lucky = {("spigan", "source_only"): (0.36, 0.50, 0.37), ("spigan", "cbst"): (0.39, 0.39, 0.42)}
    table = rows(BASE | lucky)  # over all seeds the translator alone is better, over the common ones it is not
    [one] = grid.combinations([row for row in table if (row["segmenter"], row["seed"]) != ("cbst", 1)])
    assert (one["seeds"], one["single"]) == ([0, 2], "segmenter")
    assert one["differences"] == pytest.approx([0.02, 0.05])


@pytest.mark.parametrize("missing", list(BASE)[1:])
def test_without_a_single_there_is_no_combination(missing: tuple[str, str]) -> None:
    cells = {cell: values for cell, values in BASE.items() if cell != missing} | {("spigan", "cbst"): (0.4, 0.4, 0.4)}
    assert grid.combinations(rows(cells)) == []


def test_what_uses_target_labels_is_neither_best_nor_combined() -> None:
    apart = {(x, y): (0.9, 0.9, 0.9) for x in ("peeker", "perfect_translation") for y in ("source_only", "cbst")}
    found = shown(rows(apart | BASE | {("none", "oracle"): (0.95, 0.95, 0.95)}, ("oracle", "peeker")))
    assert found and found.best and (found.best.translator, found.best.segmenter) == ("spigan", "source_only")
    assert found.columns == ["none", "spigan", "peeker", "perfect_translation"] and found.apart == 2
    assert [row.segmenter for row in found.rows] == ["source_only", "cbst", "oracle"] and found.rows[-1].apart
    assert found.combinations == [] and "Not known" in found.verdict
    shades = {cell.summary.name: cell.shade for row in found.rows for cell in row.cells if cell.summary}
    assert shades["spigan + source_only"] == 100 and shades["none + source_only"] == 0
    assert shades["none + oracle"] is None and shades["peeker + cbst"] is None
    assert all(s.translator in ("none", "spigan") for s in found.frontier)


@pytest.mark.parametrize("lacking", ["segmenter", "translator"])
def test_no_grid_without_two_segmenters_and_a_translator(lacking: str) -> None:
    oracle = {("none", "oracle"): (0.9, 0.9, 0.9)}
    kept = {cell: v for cell, v in BASE.items() if cell[0 if lacking == "translator" else 1] in ("none", "source_only")}
    assert shown(rows(BASE | oracle)) and shown(rows(kept | oracle)) is None


def test_the_verdict_counts_pairs_that_are_above_in_every_seed() -> None:
    two = {("spigan", "cbst"): (0.41, 0.41, 0.42), ("none", "cda"): (0.2, 0.2, 0.2), ("spigan", "cda"): (0.5, 0.3, 0.5)}
    found = shown(rows(BASE | two))
    assert found and found.verdict == "In 1 of 2 pairs the combination is above the better single in every seed."
    one = shown([row for row in rows(BASE | two) if row["seed"] == 0])
    assert one and one.verdict.startswith("In 2 of 2 pairs") and "one seed: no spread known" in one.verdict


def test_a_lead_that_a_seed_contradicts_is_told() -> None:
    found = shown(rows(BASE))
    assert found and found.lead == (
        "spigan + source_only is above the next, none + cbst, by +1.0 ± 2.0 points, paired by seed: in 2 of 3 seeds."
    )
    clear = shown(rows(BASE | {("spigan", "source_only"): (0.38, 0.40, 0.38)}))
    assert clear and clear.lead.endswith("in every seed.")
    one = shown([row for row in rows(BASE) if row["seed"] == 0])
    assert one and one.lead == ""


def test_the_frontier_holds_what_no_cheaper_cell_equals() -> None:
    seconds = {"none": 10.0, "fourier": 12.0, "spigan": 100.0, "cyclegan": 900.0}
    cells = {(x, "source_only"): (v,) for x, v in zip(seconds, (0.30, 0.28, 0.40, 0.38), strict=True)}
    table = [
        row | {"seconds": seconds[row["translator"]]} for row in rows(cells | {("none", "cbst"): (0.30,)})
    ]  # cbst costs as much as the start, and is as good
    found = shown(table)
    assert found and [s.name for s in found.frontier] == ["none + source_only", "spigan + source_only"]
    assert "fourier + source_only: 12 s, -2.0" in found.chart and found.chart.count('class="point') == 5
    free = shown([row | {"seconds": None} for row in table])
    assert free and free.chart == "" and free.frontier == []


# -- the page -----------------------------------------------------------------------------------------------------


def test_the_grid_says_what_is_best_what_was_not_run_and_what_is_not_ranked(section: str) -> None:
    table = section[: section.index("</table>")]
    heads = re.findall(r"<th scope=\"col\"[^>]*>([^<]*)", table)
    assert heads == ["Segmenter", *TRANSLATORS, "perfect_translation"]
    lines = {
        found[1]: found[0] for found in re.finditer(r'<tr><th scope="row" class="text">(\w+)</th>.*?</tr>', table, re.S)
    }
    assert list(lines) == [*SEGMENTERS, "oracle"]
    assert table.count(">best<") == 1 and '42.5 <span>± 2.1</span> <span class="tag">best<' in lines["selftrain"]
    assert lines["cbst"].count(">not run<") == 2 and lines["source_only"].count(">not run<") == 0
    assert lines["source_only"].count("not ranked") == 1 and lines["oracle"].count("not ranked") == 1


def test_the_page_the_file_and_the_sentence_agree(many: Path, section: str) -> None:
    table = json.loads((many / "table.json").read_text())
    found = json.loads((many / "grid.json").read_text())["combinations"]
    assert found == grid.combinations(table) and len(found) == 3 * 4 - 1
    spigan = next(one for one in found if (one["translator"], one["segmenter"]) == ("spigan", "selftrain"))
    assert spigan["single"] == "segmenter" and spigan["differences"] == pytest.approx([0.03, 0.03])
    assert "+3.0, +3.0" in section and '<td class="best">+3.0 ± 0.0</td><td>2 of 2</td>' in section
    above = sum(one["above"] == 2 for one in found)
    assert f"In {above} of 11 pairs the combination is above the better single in every seed." in section


def test_the_best_prediction_stands_beside_the_truth_and_is_written_once(many: Path, section: str) -> None:
    captions = re.findall("<figcaption>(.*?)</figcaption>", section)
    assert captions == 2 * ["target picture", "truth", "none + source_only", "best: spigan + selftrain"]
    assert len(list((many / "pictures").glob("predicted_selftrain_spigan_*"))) == 2
    assert (many / "index.html").read_text().count('src="pictures/predicted_selftrain_spigan_0000100.png"') == 2


def test_every_ranked_cell_is_a_mark_that_says_its_name(section: str) -> None:
    chart = section[section.index('id="cost-gain"') :]
    names = re.findall(r"<title>(.*?): ", chart)
    assert len(names) == 19 and len(set(names)) == 19 and not [n for n in names if "oracle" in n or "perfect" in n]
    assert chart.count('class="shape"') == 4 and 'class="zero"' in chart


def test_the_page_is_whole(many: Path) -> None:
    page = Page((many / "index.html").read_text())
    assert page.open == []
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids)) and {"grid", "cost-gain"} <= set(ids)
    assert {str(a["href"])[1:] for tag, a in page.tags if tag == "a" and str(a["href"]).startswith("#")} <= set(ids)
    assert all("aria-label" in a for tag, a in page.tags if tag == "svg")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))


def test_the_protocol_names_segmenters_of_another_budget(many: Path, built: Path) -> None:
    said = "with the same crops, mirrors and budget"
    assert f"{said}, but for cbst (steps 200)." in (many / "index.html").read_text()
    assert f"{said}." in (built / "index.html").read_text()


def test_one_seed_and_no_start_are_said_plainly(many: Path, tmp_path: Path) -> None:
    asked = grid_params() | {"seeds": [0]}
    asked["cells"]["source_only"].remove("none")
    report.build(asked, many.parent, tmp_path / "report")
    text = (tmp_path / "report/index.html").read_text()
    section = text[text.index('<h2 id="grid"') : text.index('<h2 id="claims"')]
    assert "±" not in section and "Each seed" not in section and "one seed: no spread known" in section
    assert "none + source_only</figcaption>" not in section and "best: spigan + selftrain</figcaption>" in section
    assert "Not known: it takes the cell source_only of translator none" in section and "<svg" not in section
    assert Page(text).open == []


def test_a_translator_that_source_only_does_without_is_not_measured(many: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(many.parent, tmp_path / "run", ignore=shutil.ignore_patterns("report")))
    shutil.rmtree(root / "results/measure/fourier")
    params = grid_params()
    params["cells"]["source_only"].remove("fourier")
    report.build(params, root, tmp_path / "report")
    table = json.loads((tmp_path / "report/table.json").read_text())
    assert {row["label_preservation"] for row in table if row["translator"] == "fourier"} == {None}


def test_one_segmenter_makes_no_grid(built: Path) -> None:
    text = (built / "index.html").read_text()
    assert 'id="grid"' not in text and "#grid" not in text and "cost-gain" not in text
    assert json.loads((built / "grid.json").read_text()) == {"combinations": []}


# -- colours and marks --------------------------------------------------------------------------------------------


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_numbers_can_be_read_on_every_shade(mode: int) -> None:
    style = (Path(grid.__file__).parent / "templates/style.css").read_text()
    ink, card, heat = (re.findall(rf"--{name}: (#\w+)", style)[mode] for name in ("ink", "card", "heat"))
    for end in (card, heat):  # the shades lie between
        low, high = sorted((_luminance(ink), _luminance(end)))
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_a_wide_span_of_costs_is_logarithmic_and_a_narrow_one_begins_at_zero() -> None:
    def across(xs: list[float]) -> list[str]:
        chart = plots.scatter("t", [plots.Point(str(x), x, -1.0) for x in xs], "minutes", "gain")
        return re.findall(r'text-anchor="middle">([\d.,]+)<', chart)

    assert across([1, 5]) == ["0", "1", "2", "3", "4", "5"]
    assert across([2, 15, 90]) == ["2", "5", "10", "20", "50", "100"]
    assert across([1, 3000]) == ["1", "10", "100", "1,000"]
    assert plots.scatter("t", [], "minutes", "gain") == ""
    assert "<title>&lt;b&gt;</title>" in plots.scatter("t", [plots.Point("<b>", 0, 0)], "minutes", "gain")


def test_labels_of_neighbours_stand_apart() -> None:
    points = [plots.Point(name, x, y, label=name) for name, x, y in (("7", 5.0, 5.0), ("8", 5.05, 5.1), ("9", 9, 9))]
    chart = plots.scatter("t", points, "minutes", "gain")
    places = {name: float(x) for x, name in re.findall(r'class="tag" x="([\d.]+)"[^>]*>(\d)<', chart)}
    assert places["7"] <= places["8"] - plots.TAG_WIDTH < places["8"] < places["9"]
