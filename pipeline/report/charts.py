"""Which curves the page shows: every loss of a trained method, and the segmenters' losses beside one another."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from pipeline.report import plots
from pipeline.report.results import Results

Curves = dict[str, Any]  # {"curves": [{"step": ..., "kimg": ..., "loss/NAME": ...}, ...]}
Charts = list[tuple[str, Markup]]  # (loss, chart)


def of_translators(results: Results) -> dict[str, Charts]:
    """translator -> its charts, one a loss, one line a seed."""
    found = {}
    for translator, runs in results.training.items():
        lines = {f"seed {seed}": (curves, results.seeds.index(seed)) for seed, curves in runs.items()}
        found[translator] = _charts(translator, lines)
    return found


def of_segmenters(results: Results) -> dict[str, Charts]:
    """segmenter -> its charts, one a loss, one line a translator and seed, in the translator's colour."""
    found = {}
    for segmenter in dict.fromkeys(run.segmenter for run in results.runs):
        own = [run for run in results.runs if run.segmenter == segmenter]
        colours = {name: i for i, name in enumerate(results.translators)}
        lines = {f"{run.translator}, seed {run.seed}": (run.curves, colours[run.translator]) for run in own}
        found[segmenter] = _charts(segmenter, lines)
    return found


def _charts(title: str, curves: Mapping[str, tuple[Curves, int]]) -> Charts:
    """One chart a column; `curves` holds name -> (curves, colour)."""
    columns = dict.fromkeys(
        name for one, _ in curves.values() for row in one["curves"] for name in row if name not in ("step", "kimg")
    )
    charts = []
    for column in columns:
        lines = [_line(name, one, column, colour) for name, (one, colour) in curves.items()]
        charts.append((column, plots.line_chart(f"{title}, {column}", lines, "thousand pictures")))
    return [(column, chart) for column, chart in charts if chart]


def _line(name: str, curves: Curves, column: str, colour: int) -> plots.Line:
    rows = [row for row in curves["curves"] if column in row]
    return plots.Line(name, [row["kimg"] for row in rows], [row[column] for row in rows], colour)
