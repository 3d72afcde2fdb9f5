"""The table as text, as `make run` prints it."""

from pipeline.report import words
from pipeline.report.claims import FIGURES, Claim, by_pair, claims
from pipeline.report.tables import Summary, Table, distance_names, summarise

SHARES = {"miou": "mIoU", "miou16": "mIoU16", "pixel_accuracy": "pixel acc.", "label_preservation": "labels kept"}


def format_table(table: Table) -> str:
    """One line a cell, mean and spread over seeds; what uses target labels or the exact translation below a rule."""
    if not table:
        return "No segmenter is switched on (params.yaml, cells): nothing is scored, the report shows pictures."
    summaries = summarise(table)
    columns = _columns(table, summaries)
    grid = [list(columns), *([column[i] for column in columns.values()] for i in range(len(summaries)))]
    widths = [max(len(line[i]) for line in grid) for i in range(len(columns))]
    text = [_line(line, widths) for line in grid]
    rule = "─" * max(map(len, text))
    ranked = 1 + sum(not summary.apart for summary in summaries)
    apart = ["┄" * len(rule), *text[ranked:]] if ranked < len(text) else []
    return "\n".join(
        [_caption(table, summaries), rule, text[0], rule, *text[1:ranked], *apart, rule, *_notes(summaries)]
    )


def format_claims(table: Table) -> str:
    """Every translator of source_only against the cheap ways: a line each; empty where there is nothing to compare."""
    pairs = by_pair(claims(table))
    if not pairs:
        return ""
    shown = [name for key, name in FIGURES.items() if any(key in figures for *_, figures in pairs)]
    grid = [["translator", "against", *shown]]
    grid += [[translator, rival, *map(_claim, figures.values())] for translator, rival, figures in pairs]
    widths = [max(len(line[i]) for line in grid if i < len(line)) for i in range(len(grid[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=False)).rstrip() for line in grid]
    several = any(claim["seeds"] > 1 for *_, figures in pairs for claim in figures.values())
    note = "* more than its spread" if several else "one seed: no spread known"
    return "\n".join([f"Against the cheap ways: difference in points, paired by seed; {note}", *lines])


def _claim(claim: Claim) -> str:
    star = "*" if claim["more_than_spread"] else ""
    return f"{words.points(claim['mean'], claim['spread'])}{star}, above in {claim['above']} of {claim['seeds']} seeds"


def _columns(table: Table, summaries: list[Summary]) -> dict[str, list[str]]:
    """Head -> text of every line; figures that no row has are left out."""
    columns = {"translator": [s.translator for s in summaries], "segmenter": [s.segmenter for s in summaries]}
    for key, head in SHARES.items():
        if any(row[key] is not None for row in table):
            columns[head] = [words.percent(s.mean[key], s.spread[key]) for s in summaries]
    shares = [None if s.gap_closed is None else 100 * s.gap_closed for s in summaries]
    columns["gap closed"] = [words.number(share, None, 0) for share in shares]
    for name in distance_names(table)[:1]:
        places = words.common_places(s.mean[name] for s in summaries)
        columns[name] = [words.number(s.mean[name], s.spread[name], places) for s in summaries]
    return columns | {"time": [words.seconds(s.mean["seconds"]) for s in summaries]}


def _caption(table: Table, summaries: list[Summary]) -> str:
    first, seeds = table[0], max(summary.seeds for summary in summaries)
    spread = ", mean ± standard deviation over seeds" if seeds > 1 else ""
    return (
        f"{first['dataset']} {first['split']}, {words.count(first['pictures'], 'picture')}, "
        f"protocol {first['protocol']}, {words.count(seeds, 'seed')}; in percent{spread}"
    )


def _line(line: list[str], widths: list[int]) -> str:
    names = [text.ljust(width) for text, width in zip(line[:2], widths[:2], strict=True)]
    return "  ".join(names + [text.rjust(width) for text, width in zip(line[2:], widths[2:], strict=True)]).rstrip()


def _notes(summaries: list[Summary]) -> list[str]:
    notes = ["gap closed: 0 = source_only on untranslated pictures, 100 = the oracle."]
    if any(summary.apart for summary in summaries):
        notes.append("Below the dotted rule: uses target labels or the exact translation, not ranked with the others.")
    return notes
