"""The page: everything that the template shows, as plain values, and its rendering."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from pipeline.report import charts, grid, origins, plots, published, sentences, sheets, words
from pipeline.report.anomaly import Anomaly
from pipeline.report.claims import FIGURES, by_pair, claims
from pipeline.report.codes import Codes
from pipeline.report.gallery import Gallery
from pipeline.report.generation import SCORES, Generation, Line
from pipeline.report.pairs import Pairs
from pipeline.report.results import NONE, ORACLE, PERFECT, SOURCE_ONLY, Results
from pipeline.report.tables import Gap, Summary, Table, distance_names, gap, mean, perfect_names, spread, summarise

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Column:
    """A column of numbers in the main table."""

    key: str
    label: str
    percent: bool


@dataclass(frozen=True)
class Besides:
    """What is judged otherwise than by segmenters."""

    generation: Generation
    pairs: Pairs
    anomaly: Anomaly
    codes: Codes


def render(
    params: dict[str, Any],
    results: Results,
    table: Table,
    gallery: Gallery,
    besides: Besides,
    root: Path,
    page: Path,
) -> str:
    """The HTML of the page. Pictures it shows besides the gallery's are written below `page`."""
    summaries, marks, found = summarise(table), gap(table), origins.collect(params, root)
    ours, claimed = _beside_published(summaries), by_pair(claims(table))
    context = {
        "first": table[0] if table else None,
        "protocol": sentences.protocol(params, results, table, found["sets"]) if table else [],
        "findings": sentences.findings(summaries, marks),
        "summaries": summaries,
        "columns": _columns(table),
        "rows": table,
        "grid": grid.show(table, results.translators, marks, gallery),
        "claims": claimed,
        "apart_names": {s.translator for s in summaries if s.apart and s.segmenter == SOURCE_ONLY},
        "claimed": {key: name for key, name in FIGURES.items() if any(key in figures for *_, figures in claimed)},
        "sets_named": {name: params[name]["name"] for name in ("source", "target")},
        "seeds": results.seeds,
        "gap": marks,
        "shares": _shares(summaries, marks),
        "classes": list(table[0]["iou"]) if table else [],
        "best": _best_per_class(summaries),
        "gallery": gallery,
        "generation": besides.generation,
        "pairs": besides.pairs,
        "anomaly": besides.anomaly,
        "codes": besides.codes,
        "topics": _topics(besides),
        "drawn_scores": SCORES,
        "training": charts.of_translators(results),
        "segmenting": charts.of_segmenters(results),
        "measured": _measured(summaries),
        "distances": distance_names(table),
        "perfects": perfect_names(table),
        "places": {
            name: words.common_places(s.mean[name] for s in summaries)
            for name in (*distance_names(table), *perfect_names(table))
        },
        "places_of": _places_of,
        "sheets": sheets.collect(params, root, page),
        "costs": _costs(results.costs),
        "all_seconds": sum(cost["seconds"] or 0 for cost in results.costs),
        "figures": published.beside(set(ours)),
        "ours": ours,
        "why_not": published.why_not_comparable(table[0]) if table else "",
        "origins": found,
        "colour": {name: i % 10 for i, name in enumerate(results.translators)},
        "words": words, "shape": plots.shape, "NONE": NONE, "PERFECT": PERFECT, "ORACLE": ORACLE, "SOURCE_ONLY": SOURCE_ONLY,
    }  # fmt: skip
    return environment().get_template("index.html").render(context)


def _topics(besides: Besides) -> list[str]:
    """What is judged otherwise than by segmenters and pairs, in words."""
    shown = {
        "anomalies in clips": besides.anomaly.lines,
        "anomalies in scans": besides.anomaly.scans.lines,
        "codes that mean something": besides.codes.lines,
    }
    return [name for name, lines in shown.items() if lines]


def environment() -> Environment:
    """Templates that escape what they show; a name that is not there is an error, not an empty place."""
    loader = FileSystemLoader(TEMPLATES)
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.globals["part"] = lambda name: Markup((TEMPLATES / name).read_text())
    made.filters |= {
        "percent": words.percent,
        "number": words.number,
        "duration": words.seconds,
        "breakable": breakable,
    }
    return made


def breakable(name: str) -> Markup:
    """A name that a narrow column may break after an underscore."""
    return escape(name).replace("_", Markup("_<wbr>"))


def _places_of(lines: list[Line], name: str) -> int:
    """Decimals for a column of lines."""
    return words.common_places(one.mean.get(name) for one in lines)


def _columns(table: Table) -> list[Column]:
    columns = [
        Column("miou", "mIoU", True),
        Column("miou16", "mIoU16", True),
        Column("pixel_accuracy", "Pixel accuracy", True),
    ]
    columns += [Column("gap_closed", "Gap closed", True), Column("label_preservation", "Labels kept", True)]
    columns += [Column(name, name, False) for name in distance_names(table)[:1]]
    filled = [c for c in columns if c.key == "gap_closed" or any(row[c.key] is not None for row in table)]
    return [*filled, Column("seconds", "Time", False)]


def _measured(summaries: list[Summary]) -> list[Summary]:
    """One summary a translator: distances do not depend on the segmenter."""
    return list({s.translator: s for s in reversed(summaries) if s.segmenter != ORACLE}.values())[::-1]


def _shares(summaries: list[Summary], marks: Gap) -> dict[str, Any] | None:
    """Bars of the gap: each cell's share, and where a share stands, in percent, on an axis that holds all of them."""
    start = (NONE, SOURCE_ONLY)
    bars = [s for s in summaries if s.segmenter != ORACLE and (s.translator, s.segmenter) != start]
    ends = [s.gap_closed + sign * (s.gap_spread or 0) for s in bars if s.gap_closed is not None for sign in (-1, 1)]
    if not ends:
        return None
    low, high = min(0.0, *ends), max(1.0, *ends)
    known = [s for s in bars if s.gap_closed is not None]
    return {"bars": known, "place": lambda share: round(100 * (share - low) / (high - low), 2)}


def _costs(costs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line for each stage of a cell: mean and spread over seeds, the highest peak, all restarts."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for cost in costs:
        groups.setdefault((cost["stage"], cost["translator"], cost["segmenter"]), []).append(cost)
    found = []
    for (stage, translator, segmenter), own in groups.items():
        known = {key: [cost[key] for cost in own if cost[key] is not None] for key in own[0]}
        line = {"stage": stage, "translator": translator, "segmenter": segmenter, "seeds": len(own)}
        line |= {key: mean(known[key]) for key in ("seconds", "images_per_second", "data_wait_share")}
        line |= {"spread": spread(known["seconds"]), "peak_mb": max(known["peak_mb"], default=None)}
        line |= {"restarts": sum(known["restarts"]), "device": ", ".join(dict.fromkeys(known["device"]))}
        found.append(line)
    return found


def _beside_published(summaries: list[Summary]) -> dict[str, Summary]:
    """method -> its row: a translator's with source_only, or a segmenter's on source pictures; only of the published
    averages."""
    averages = ("miou16", "miou13", "miou7")
    own = [s for s in summaries if any(s.mean[key] is not None for key in averages)]
    alone = {s.segmenter: s for s in own if s.translator == NONE}
    return alone | {s.translator: s for s in own if s.segmenter == SOURCE_ONLY and s.translator != NONE}


def _best_per_class(summaries: list[Summary]) -> dict[str, float]:
    """The highest IoU of each class among the rows that may be ranked; none where all are shown as 0.0."""
    ranked = [s for s in summaries if not s.apart]
    names = dict.fromkeys(name for s in summaries for name in s.iou)
    found = {name: [v for s in ranked if (v := s.iou.get(name)) is not None] for name in names}
    return {name: max(values) for name, values in found.items() if values and max(values) >= 0.0005}
