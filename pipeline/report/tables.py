"""The table: one row a cell and seed, its means and spreads over seeds, and the share of the gap that is closed."""

import csv
import io
import statistics
from dataclasses import dataclass
from typing import Any

from pipeline.report.results import NONE, ORACLE, PERFECT, SOURCE_ONLY, Results, Run

Row = dict[str, Any]
Table = list[Row]

SCORES = ("miou", "miou19", "miou16", "miou13", "miou7", "pixel_accuracy")
COSTS = ("seconds", "peak_mb")
_NOT_FIGURES = ("translator", "seed", "pictures")  # of a file in results/exactness
_NOT_AVERAGED = ("seed", "pictures", "uses_target_labels")


@dataclass(frozen=True)
class Gap:
    """mIoU of the three marks of the scale; None where a cell is not there."""

    none: float | None
    perfect: float | None
    oracle: float | None

    def closed(self, miou: float | None) -> float | None:
        """Share of the way from source-only to the oracle; None where there is no way to go."""
        width = self.width()
        return None if miou is None or self.none is None or width is None else (miou - self.none) / width

    def width(self) -> float | None:
        """Oracle minus source-only, or None where either is missing or the oracle is not above."""
        if self.none is None or self.oracle is None or self.oracle <= self.none:
            return None
        return self.oracle - self.none

    def middle(self) -> float | None:
        """Where appearance ends and layout begins: the perfect translation, if it lies between source-only and oracle."""
        if self.width() is None or self.none is None or self.perfect is None or self.oracle is None:
            return None
        return self.perfect if self.none <= self.perfect <= self.oracle else None


@dataclass(frozen=True)
class Summary:
    """A cell over its seeds: `mean` and `spread` (sample standard deviation) have the keys of a row."""

    translator: str
    segmenter: str
    apart: bool  # uses target labels or the exact translation: never ranked against the others
    seeds: int
    mean: dict[str, float | None]
    spread: dict[str, float | None]
    iou: dict[str, float | None]
    gap_closed: float | None
    gap_spread: float | None

    @property
    def name(self) -> str:
        return f"{self.translator} + {self.segmenter}"


def rows(results: Results) -> Table:
    """Rows of report/table.json; all have the same keys, null where a value does not apply."""
    distances = _names(run.measure.get("distances") for run in results.runs)
    perfect = [name for name in _names(run.exactness for run in results.runs) if name not in _NOT_FIGURES]
    return [_row(run, distances, perfect, results.costs) for run in results.runs]


def without_costs(table: Table) -> Table:
    """Rows of report/scores.json: what was reached, without what it took."""
    return [{key: value for key, value in row.items() if key not in COSTS} for row in table]


def distance_names(table: Table) -> list[str]:
    """The columns between `iou` and `label_preservation`: distances under their full names."""
    keys = list(table[0]) if table else []
    return keys[keys.index("iou") + 1 : keys.index("label_preservation")] if keys else []


def perfect_names(table: Table) -> list[str]:
    """The columns that compare with the exact translation."""
    return [key for key in (table[0] if table else ()) if key.endswith("_perfect")]


def to_csv(table: Table) -> str:
    """report/table.csv: the rows with one column a class (`iou.road`); an empty field is null."""
    classes = list(dict.fromkeys(name for row in table for name in row["iou"]))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    plain = [key for key in (table[0] if table else ()) if key != "iou"]
    writer.writerow([*plain, *(f"iou.{name}" for name in classes)])
    for row in table:
        writer.writerow([*(row[key] for key in plain), *(row["iou"].get(name) for name in classes)])
    return out.getvalue()


def _names(groups: Any) -> list[str]:
    return list(dict.fromkeys(name for group in groups if group for name in group))


def _row(run: Run, distances: list[str], perfect: list[str], costs: list[dict[str, Any]]) -> Row:
    scores, measure = run.scores, run.measure
    row: Row = {"translator": run.translator, "segmenter": run.segmenter, "seed": run.seed}
    row |= {key: scores[key] for key in ("dataset", "split", "pictures", "protocol")}
    row |= {key: scores.get(key) for key in SCORES}
    late = (scores.get("snapshots") or {}).get("miou") or []
    row |= {"snapshots_mean": mean(late), "snapshots_spread": spread(late)}
    row["iou"] = scores["iou"]
    row |= {name: (measure.get("distances") or {}).get(name) for name in distances}
    row["label_preservation"] = (measure.get("label_preservation") or {}).get("miou")
    row |= {f"{name}_perfect": run.exactness.get(name) for name in perfect}
    row["uses_target_labels"] = bool(scores["uses_target_labels"])
    return row | _cell_costs(run, costs)


def _cell_costs(run: Run, costs: list[dict[str, Any]]) -> Row:
    """Seconds of the cell's training, translation and segmentation together; the highest peak memory of the three."""
    own = [
        c
        for c in costs
        if (c["translator"], c["seed"]) == (run.translator, run.seed) and c["segmenter"] in ("", run.segmenter)
    ]
    if run.segmenter == ORACLE:  # it does not see the translated pictures
        own = [c for c in own if c["stage"] == "segment"]
    values = {key: [c[key] for c in own if c[key] is not None] for key in COSTS}
    return {
        "seconds": sum(values["seconds"]) if values["seconds"] else None,
        "peak_mb": max(values["peak_mb"], default=None),
    }


# -- over seeds ---------------------------------------------------------------------------------------------------


def mean(values: list[float | None]) -> float | None:
    """Mean of the values that are there; None where there is none."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def spread(values: list[float | None]) -> float | None:
    """Sample standard deviation; None for fewer than two values."""
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def gap(table: Table) -> Gap:
    """The marks of the scale: source-only on untranslated pictures, on perfectly translated ones, and the oracle."""

    def mark(segmenter: str, translator: str) -> float | None:
        return mean([row["miou"] for row in table if (row["segmenter"], row["translator"]) == (segmenter, translator)])

    return Gap(mark(SOURCE_ONLY, NONE), mark(SOURCE_ONLY, PERFECT), mark(ORACLE, NONE))


def summarise(table: Table) -> list[Summary]:
    """One summary a cell, in the table's order: first those that may be ranked, then those that stand apart."""
    marks = gap(table)
    pairs = dict.fromkeys((row["translator"], row["segmenter"]) for row in table)
    found = [_summary(translator, segmenter, table, marks) for translator, segmenter in pairs]
    return sorted(found, key=lambda summary: summary.apart)


def _summary(translator: str, segmenter: str, table: Table, marks: Gap) -> Summary:
    own = [row for row in table if (row["translator"], row["segmenter"]) == (translator, segmenter)]
    numbers = [
        key
        for key in own[0]
        if key not in _NOT_AVERAGED and all(row[key] is None or isinstance(row[key], int | float) for row in own)
    ]
    means = {key: mean([row[key] for row in own]) for key in numbers}
    spreads = {key: spread([row[key] for row in own]) for key in numbers}
    width, miou_spread = marks.width(), spreads["miou"]
    return Summary(
        translator=translator,
        segmenter=segmenter,
        apart=translator == PERFECT or any(row["uses_target_labels"] for row in own),
        seeds=len(own),
        mean=means,
        spread=spreads,
        iou={name: mean([row["iou"].get(name) for row in own]) for name in own[0]["iou"]},
        gap_closed=marks.closed(means["miou"]),
        gap_spread=miou_spread / width if width and miou_spread is not None else None,
    )
