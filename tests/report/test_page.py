"""The page: complete in itself, readable by machines, and shown by a real browser without complaint."""

import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline import report
from pipeline.report import gallery, plots, published, sheets, words
from pipeline.report.page import _beside_published, _best_per_class
from pipeline.report.tables import Summary

CHROMIUM = Path("/usr/bin/chromium")
VOID = {"meta", "link", "img", "input", "br", "wbr"}


class Page(HTMLParser):
    """Every tag with its attributes, and a check that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing at {self.getpos()}"


@pytest.fixture(scope="module")
def page(built: Path) -> Page:
    return Page((built / "index.html").read_text())


def test_tags_are_closed_and_ids_are_unique(page: Page) -> None:
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    pointed = [a["href"] for tag, a in page.tags if tag == "a" and str(a.get("href")).startswith("#")]
    assert {str(href)[1:] for href in pointed} <= set(ids)


def test_nothing_is_asked_of_the_network(built: Path, page: Page) -> None:
    text = (built / "index.html").read_text()
    assert not re.search(r"(https?:)?//[a-z]", text.replace("// ", ""))
    for tag, attributes in page.tags:
        for name in ("src", "href"):
            target = attributes.get(name)
            if target and not target.startswith(("#", "data:")):
                assert (built / target).is_file(), f"<{tag} {name}={target}>"


def test_every_picture_can_be_read_aloud_and_the_folder_is_small(built: Path, page: Page) -> None:
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) > 40 and all("alt" in attributes for attributes in pictures)
    assert sum(not attributes["alt"] for attributes in pictures) == 2  # the slider's, which its script names
    assert all("aria-label" in attributes for tag, attributes in page.tags if tag == "svg")
    assert sum(path.stat().st_size for path in built.rglob("*") if path.is_file()) < 20e6


def test_heads_of_tables_say_what_they_head(page: Page) -> None:
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))


def test_absent_classes_are_called_absent(built: Path) -> None:
    text = (built / "index.html").read_text()
    assert text.count('<td class="absent">absent</td>') == 2 * 5  # two classes, five cells


def test_the_page_says_protocol_gap_and_origins(built: Path, base_tree: Path) -> None:
    text = (built / "index.html").read_text().replace("<wbr>", "")
    assert "Judged on 3 pictures of world_target, split val" in text and "17 of them occur" in text
    assert "Best of the ranked cells: spigan + source_only with 42.0 ± 1.4 % mIoU, +11.0 points" in text
    assert "appearance explains 60 %" in text and "layout 40 %" in text
    assert "lr: 1e-06" in text and "gamma: 0.1" in text  # all parameters
    sets = list((base_tree / "data/shards").glob("*/set.json"))
    assert len(sets) == 3 and all(json.loads(path.read_text())["digest"] in text for path in sets)
    assert "frechet_lite0_8" in text and "loss/G.gan" in text and "end_point_error" in text


def test_a_sheet_of_a_data_stage_says_what_its_columns_and_colours_are(built: Path) -> None:
    text = (built / "index.html").read_text()
    assert f'<p class="note">{sheets.LABELS}</p>' in text and "red to the right, yellow down" in sheets.FLOW


def test_every_seed_is_in_the_curves_and_in_the_costs(built: Path) -> None:
    text = (built / "index.html").read_text()
    assert "spigan, loss/G.gan: seed 0 from" in text and "; seed 1 from" in text
    assert "none, seed 1 from" in text and '<li class="c1"><span class="swatch"></span>seed 1</li>' in text
    costs = text[text.index('id="costs"') : text.index('id="published"')]
    line = next(line for line in costs.splitlines() if ">train<" in line)
    assert "<td>2</td><td>5 min 00 s ± 0 s</td><td>400 MB</td>" in line


def test_published_figures_stand_beside_ours(built: Path, tree: Path, params: dict[str, Any], tmp_path: Path) -> None:
    text = (built / "index.html").read_text()
    line = next(line for line in text.splitlines() if ">SPIGAN<" in line)
    assert "<td>36.8</td><td>42.4</td><td>53.4</td><td>43.0 ± 1.4</td>" in line and "Not comparable in level" in text
    params["cells"]["source_only"] = ["none"]
    report.build(params | {"exactness": []}, tree, tmp_path / "report")
    assert (
        "None of the figures that we have read speaks of these methods" in (tmp_path / "report/index.html").read_text()
    )


def test_a_translator_s_published_figure_stands_beside_its_cell_with_source_only() -> None:
    """Whichever segmenter params.yaml lists first."""
    cells = [("none", "adaptsegnet"), ("spigan", "adaptsegnet"), ("none", "source_only"), ("spigan", "source_only")]
    empty = dict.fromkeys(("miou13", "miou7"))
    found = [Summary(x, y, False, 1, {"miou16": 0.3, **empty}, {}, {}, None, None) for x, y in cells]
    ours = {method: s.name for method, s in _beside_published(found).items()}
    assert ours["spigan"] == "spigan + source_only" and ours["adaptsegnet"] == "none + adaptsegnet"
    assert "spigan" not in _beside_published(found[:3])


def test_without_perfect_translation_the_gap_is_one_piece(tree: Path, params: dict[str, Any], tmp_path: Path) -> None:
    params["cells"]["source_only"].remove("perfect_translation")
    report.build(params, tree, tmp_path / "report")
    text = (tmp_path / "report/index.html").read_text()
    assert "The gap between source-only and the oracle is 30.0 points." in text and "appearance" not in text
    Page(text)


def test_without_an_oracle_the_page_says_that_the_gap_is_not_known(
    tree: Path, params: dict[str, Any], tmp_path: Path
) -> None:
    del params["cells"]["oracle"]
    report.build(params, tree, tmp_path / "report")
    assert "The gap is not known" in (tmp_path / "report/index.html").read_text()


def test_names_from_files_cannot_write_html(tree: Path, params: dict[str, Any], tmp_path: Path) -> None:
    evil = "</script><b>x"
    path = tree / "data/fixed/source/report.json"
    path.write_text(json.dumps({evil: evil}))
    report.build(params | {"note": evil}, tree, tmp_path / "report")
    assert evil not in (tmp_path / "report/index.html").read_text()


def test_published_figures_stand_only_beside_what_was_run() -> None:
    assert [figure.method for figure in published.beside({"spigan", "none"})] == ["spigan"]
    why = published.why_not_comparable({"dataset": "camvid", "split": "val", "pictures": 101})
    assert "500 pictures of Cityscapes val, ours on 101 pictures of camvid val" in why
    own = published.why_not_comparable({"dataset": "cityscapes", "split": "val", "pictures": 500})
    assert "500" not in own and "nets" in own


def test_ticks_are_round_and_inside() -> None:
    assert plots.ticks(0, 1.55) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4])
    assert plots.ticks(-3, 3, 3) == [-2, 0, 2]
    assert plots.ticks(5, 5) == [5]


def test_a_long_curve_is_averaged_and_a_gap_stays_a_gap() -> None:
    xs, ys = plots.thin(range(1000), [2.0] * 990 + [None] * 10, 100)
    assert len(xs) == 100 and ys[:99] == [2.0] * 99 and ys[99] is None
    assert xs[0] == pytest.approx(4.5)
    line = plots.Line("seed 0", [0, 1, 2, 3], [1.0, float("nan"), 2.0, 3.0])
    assert plots.line_chart("loss", [line], "kimg").count("M") >= 2
    assert plots.line_chart("loss", [plots.Line("x", [0, 1], [None, None])], "kimg") == ""


def test_depth_is_bright_when_near_and_the_sky_is_not_depth() -> None:
    painted = gallery.paint_depth(np.array([[3.0, 50.0, np.inf]], np.float32)).astype(int)
    assert painted[0, 0].sum() > painted[0, 1].sum()
    assert tuple(painted[0, 2]) == (176, 190, 205)


def test_scenes_are_spread_over_the_set() -> None:
    keys = [str(i) for i in range(100)]
    assert gallery.pick(keys, 4) == ["12", "37", "62", "87"]
    assert gallery.pick(keys[:2], 6) == ["0", "1"]


def test_numbers_as_words() -> None:
    assert words.percent(0.41234, 0.0071) == "41.2 ± 0.7" and words.percent(None) == "–"
    assert (
        words.number(0.012345) == "0.0123"
        and words.number(1234.5) == "1,234"
        and words.number(-0.001, None, 1) == "0.0"
    )
    assert words.seconds(59.6) == "60 s" and words.seconds(200) == "3 min 20 s" and words.seconds(7500) == "2 h 05 min"
    assert sheets.facts({"a": {"b": True, "c": [1, 2]}, "d": [{}], "e": None}) == [
        ("a.b", "yes"), ("a.c", "1, 2"), ("d", "1 item"), ("e", "–"),
    ]  # fmt: skip


# -- in a browser -------------------------------------------------------------------------------------------------

PROBE = """<script>
const errors = []; addEventListener("error", event => errors.push(String(event.message || event.target.src)), true);
</script>"""
REPORT = """<script>addEventListener("load", () => setTimeout(() => {
  const click = text => [...document.querySelectorAll("th button")].find(b => b.textContent === text).click();
  const name = row => row.cells[0].innerText + "+" + row.cells[1].innerText;
  const order = () => [...document.querySelectorAll("#table tr.row")].map(name);
  const seen = { width: innerWidth, scroll: document.documentElement.scrollWidth };
  seen.blank = [...document.images].filter(image => image.complete && !image.naturalWidth).map(image => image.src);
  click("mIoU"); seen.sorted = order();
  click("Translator"); seen.byName = order();
  const filter = document.getElementById("filter"); filter.value = "SPIGAN"; filter.dispatchEvent(new Event("input"));
  seen.filtered = [...document.querySelectorAll("#table tr.row:not([hidden])")].length;
  const cut = document.getElementById("slider-cut"); cut.value = 20; cut.dispatchEvent(new Event("input"));
  const translator = document.getElementById("slider-translator"); translator.value = "spigan";
  translator.dispatchEvent(new Event("change"));
  seen.slider = document.getElementById("slider-box").style.getPropertyValue("--cut") + " " +
    document.querySelector("#slider-box .over").getAttribute("src");
  seen.errors = errors;
  parent.postMessage(JSON.stringify(seen), "*");
}, 300));</script>"""
# A browser's own window has a least width; a frame has not.
FRAME = """<!doctype html><title>frame</title>
<iframe src="probe.html" width="{width}" height="900" style="border: 0"></iframe>
<script>addEventListener("message", event => {{ document.body.textContent = `SEEN${{event.data}}NEES`; }});</script>"""


@pytest.mark.skipif(not CHROMIUM.exists(), reason="/usr/bin/chromium is not installed")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it_without_complaint(built: Path, tmp_path: Path, width: int) -> None:
    site = Path(shutil.copytree(built, tmp_path / "site"))
    text = (site / "index.html").read_text()
    (site / "probe.html").write_text(text.replace("<head>", f"<head>{PROBE}").replace("</body>", f"{REPORT}</body>"))
    (site / "frame.html").write_text(FRAME.format(width=width))
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,1000", "--virtual-time-budget=3000",
        "--dump-dom", (site / "frame.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search("SEEN(.*)NEES", done.stdout)
    assert found, done.stderr
    seen = json.loads(unescape(found[1]))
    assert seen["errors"] == [] and seen["blank"] == []
    assert seen["width"] == width and seen["scroll"] <= width
    assert seen["sorted"] == [
        "spigan+source_only", "histogram_matching+source_only", "none+source_only",
        "none+oracle", "perfect_translation+source_only",
    ]  # fmt: skip
    assert seen["byName"][0] == "histogram_matching+source_only"
    assert seen["filtered"] == 1
    assert (
        seen["slider"]
        == "20% " + json.loads(re.search(r'slider-data">(.*?)</script>', text)[1])[0]["translated"]["spigan"]
    )  # type: ignore[index]


def test_without_cells_the_page_shows_pictures(tree: Path, params: dict[str, Any], tmp_path: Path) -> None:
    """Two folders of pictures: nothing is scored, and nothing that is missing is asked for."""
    import shutil

    shutil.rmtree(tree / "results/evaluate")
    shutil.rmtree(tree / "results/measure")
    asked = params | {"cells": {"source_only": []}, "exactness": [], "translators": {"none": [], "spigan": [0, 1]}}
    assert report.build(asked, tree, tmp_path / "report") == []
    text = (tmp_path / "report/index.html").read_text()
    Page(text)
    assert "nothing is scored" in text and "translated by spigan" in text and "loss/G.gan" in text
    assert 'id="gap"' not in text and 'href="#gap"' not in text
    assert json.loads((tmp_path / "report/table.json").read_text()) == []


def test_a_class_that_nobody_finds_has_no_best_row():
    rows = [
        SimpleNamespace(apart=False, iou={"road": 0.8, "fence": 0.0004, "bus": None}),
        SimpleNamespace(apart=True, iou={"road": 0.9, "fence": 0.2, "bus": 0.1}),
    ]
    assert _best_per_class(rows) == {"road": 0.8}
