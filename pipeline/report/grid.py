"""Translators x segmenters: every cell in its place, whether combining helps, and what a gain costs."""

from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from pipeline.report import plots, words
from pipeline.report.compare import ONE_SEED
from pipeline.report.gallery import TARGET, TRUTH, Gallery, Scene, caption_of
from pipeline.report.results import NONE, ORACLE, SOURCE_ONLY
from pipeline.report.tables import Gap, Summary, Table, mean, spread, summarise

SCENES = 2  # with the best cell's prediction beside the truth
UNITS = {"hours": 3600, "minutes": 60, "seconds": 1}

Combination = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """A place of the grid; `shade` runs from 0, the lowest of the ranked cells, to 100."""

    summary: Summary | None  # None: this cell was not run
    shade: float | None = None
    best: bool = False


@dataclass(frozen=True)
class Row:
    segmenter: str
    apart: bool
    cells: list[Cell]


@dataclass(frozen=True)
class Grid:
    """What the page shows of the grid; columns and rows that are never ranked stand last."""

    columns: list[str]
    apart: int  # so many of the last columns
    rows: list[Row]
    best: Summary | None
    lowest: Summary | None
    lead: str  # of the best cell
    combinations: list[Combination]
    verdict: str
    scenes: list[Scene]
    chart: Markup
    frontier: list[Summary]


def show(table: Table, translators: list[str], marks: Gap, gallery: Gallery) -> Grid | None:
    """The grid of a table; None where there are not two segmenters besides the oracle, and a translator, to compare."""
    cells = {(s.translator, s.segmenter): s for s in summarise(table)}
    segmenters = list(dict.fromkeys(row["segmenter"] for row in table))
    if len({*segmenters} - {ORACLE}) < 2 or not {*translators} - {NONE}:
        return None
    columns = _apart_last({x: [s for s in cells.values() if s.translator == x] for x in translators})
    lines = _apart_last({y: [s for s in cells.values() if s.segmenter == y] for y in segmenters})
    ranked = _ranked(list(cells.values()))
    best, lowest = ranked[0] if ranked else None, ranked[-1] if ranked else None
    found = combinations(table)
    frontier = _frontier(ranked) if marks.none is not None else []
    return Grid(
        columns=list(columns),
        apart=sum(columns.values()),
        rows=[Row(y, apart, [_cell(cells.get((x, y)), best, lowest) for x in columns]) for y, apart in lines.items()],
        best=best,
        lowest=lowest,
        lead=_lead(table, ranked),
        combinations=found,
        verdict=_verdict(found),
        scenes=_beside_truth(gallery, best),
        chart=_chart(ranked, frontier, translators, list(lines), marks),
        frontier=frontier,
    )


def combinations(table: Table) -> list[Combination]:
    """`combinations` of report/grid.json: ranked cells of another segmenter than source_only on a translator, each held
    against the better of its two halves, the translator with source_only and the segmenter on untranslated pictures.

    `single` says which half that is, by the mean mIoU over the seeds that all three have (`seeds`); `differences` are
    combination minus that half (1 = 100 points), one a seed; `above` counts those above 0.
    """
    ranked = {(s.translator, s.segmenter) for s in summarise(table) if not s.apart}
    cells: dict[tuple[str, str], dict[int, float]] = {cell: {} for cell in ranked}
    for row in table:
        if (cell := (row["translator"], row["segmenter"])) in ranked and row["miou"] is not None:
            cells[cell][row["seed"]] = row["miou"]
    pairs = dict.fromkeys((row["translator"], row["segmenter"]) for row in table)
    found = [
        _combination(x, y, cells[x, y], {"translator": cells.get((x, SOURCE_ONLY)), "segmenter": cells.get((NONE, y))})
        for x, y in pairs
        if (x, y) in ranked and x != NONE and y != SOURCE_ONLY
    ]
    return [one for one in found if one]


def _combination(
    translator: str, segmenter: str, both: dict[int, float], singles: dict[str, dict[int, float] | None]
) -> Combination | None:
    """None where a half is missing, or where no seed is common to all three."""
    halves = {name: half for name, half in singles.items() if half is not None}
    seeds = [seed for seed in both if all(seed in half for half in halves.values())]
    if len(halves) < len(singles) or not seeds:
        return None
    single = max(halves, key=lambda name: sum(halves[name][seed] for seed in seeds))
    differences = [both[seed] - halves[single][seed] for seed in seeds]
    return {
        "translator": translator, "segmenter": segmenter, "single": single, "seeds": seeds, "differences": differences,
        "mean": mean([*differences]), "spread": spread([*differences]), "above": sum(d > 0 for d in differences),
    }  # fmt: skip


def _verdict(found: list[Combination]) -> str:
    """Does combining help? One sentence."""
    if not found:
        return "Not known: no combination was run together with both of its halves."
    above = sum(one["above"] == len(one["seeds"]) for one in found)
    several = any(len(one["seeds"]) > 1 for one in found)
    said = f"In {above} of {words.count(len(found), 'pair')} the combination is above the better single"
    return f"{said} in every seed." if several else f"{said} ({ONE_SEED})."


# -- places -------------------------------------------------------------------------------------------------------


def _apart_last(groups: dict[str, list[Summary]]) -> dict[str, bool]:
    """name -> whether none of its cells may be ranked, those last."""
    apart = {name: all(s.apart for s in own) for name, own in groups.items()}
    return dict(sorted(apart.items(), key=lambda item: item[1]))


def _ranked(summaries: list[Summary]) -> list[Summary]:
    """Cells that may be ranked, the best first."""
    known = [s for s in summaries if not s.apart and s.mean["miou"] is not None]
    return sorted(known, key=_miou, reverse=True)


def _miou(summary: Summary) -> float:
    return summary.mean["miou"] or 0.0


def _lead(table: Table, ranked: list[Summary]) -> str:
    """Is the best cell told apart from the next? One sentence; empty where several seeds of both do not answer it."""
    if len(ranked) < 2:
        return ""
    best, second = (
        {
            row["seed"]: row["miou"]
            for row in table
            if (row["translator"], row["segmenter"]) == (s.translator, s.segmenter)
        }
        for s in ranked[:2]
    )
    lead = [best[seed] - second[seed] for seed in best if seed in second]
    if len(lead) < 2:
        return ""
    above = sum(d > 0 for d in lead)
    return (
        f"{ranked[0].name} is above the next, {ranked[1].name}, by {words.points(mean([*lead]) or 0.0, spread([*lead]))} points, "
        f"paired by seed: in {f'{above} of {len(lead)} seeds' if above < len(lead) else 'every seed'}."
    )


def _cell(summary: Summary | None, best: Summary | None, lowest: Summary | None) -> Cell:
    if summary is None or summary.apart or summary.mean["miou"] is None or best is None or lowest is None:
        return Cell(summary)
    width = _miou(best) - _miou(lowest)
    shade = 100 * (_miou(summary) - _miou(lowest)) / width if width else 100.0
    return Cell(summary, round(shade, 1), summary is best)


def _beside_truth(gallery: Gallery, best: Summary | None) -> list[Scene]:
    """The gallery's pictures again: target, truth, what the start predicts, and what the best cell does."""
    shown = {TARGET: TARGET, TRUTH: TRUTH, caption_of(NONE, SOURCE_ONLY): f"{NONE} + {SOURCE_ONLY}"}
    if best is None:
        return []
    shown[caption_of(best.translator, best.segmenter)] = f"best: {best.name}"
    found = []
    for scene in gallery.target[:SCENES]:
        pictures = {picture.caption: picture for picture in scene.pictures}
        own = [replace(pictures[old], caption=new) for old, new in shown.items() if old in pictures]
        found.append(Scene(scene.key, own))
    return found


# -- cost against gain --------------------------------------------------------------------------------------------


def _timed(ranked: list[Summary]) -> list[Summary]:
    """Those whose cost is known, the cheapest first and of equal ones the better."""
    known = [s for s in ranked if s.mean["seconds"] is not None]
    return sorted(known, key=lambda s: (s.mean["seconds"] or 0.0, -_miou(s)))


def _frontier(ranked: list[Summary]) -> list[Summary]:
    """Cells that no cheaper one equals."""
    found: list[Summary] = []
    for summary in _timed(ranked):
        if not found or _miou(summary) > _miou(found[-1]):
            found.append(summary)
    return found


def _chart(
    ranked: list[Summary], frontier: list[Summary], translators: list[str], segmenters: list[str], marks: Gap
) -> Markup:
    timed, start = _timed(ranked), marks.none
    if not timed or start is None:
        return Markup("")
    longest = timed[-1].mean["seconds"] or 0.0
    unit = next((name for name, size in UNITS.items() if longest >= 3 * size), "seconds")
    points = [
        plots.Point(
            name=f"{s.name}: {words.seconds(s.mean['seconds'])}, {words.points(_miou(s) - start)}",
            x=(s.mean["seconds"] or 0.0) / UNITS[unit],
            y=100 * (_miou(s) - start),
            colour=translators.index(s.translator),
            shape=segmenters.index(s.segmenter),
            label=str(frontier.index(s) + 1) if s in frontier else "",
        )
        for s in timed
    ]
    return plots.scatter("Gain in points of mIoU against time", points, unit, "gain, points of mIoU")
