"""The table as text, as `make run` prints it."""

from pipeline.report import words
from pipeline.report.tables import Summary, Table, distance_names, summarise


def format_table(table: Table) -> str:
    """One line a cell, mean and spread over seeds; what uses target labels or the exact translation below a rule."""
    if not table:
        return "No cell is switched on: params.yaml, cells."
    summaries = summarise(table)
    distance = next(iter(distance_names(table)), None)
    header = ["translator", "segmenter", "mIoU", "mIoU16", "pixel acc.", "gap closed", "labels kept"]
    header += [distance] if distance else []
    places = words.common_places(summary.mean[distance] for summary in summaries) if distance else 0
    lines = [_cells(summary, distance, places) for summary in summaries]
    grid = [[*header, "time"], *lines]
    widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
    text = [_line(line, widths) for line in grid]
    rule = "─" * max(map(len, text))
    ranked = sum(not summary.apart for summary in summaries)
    apart = ["┄" * len(rule), *text[1 + ranked :]] if ranked < len(summaries) else []
    return "\n".join(
        [_caption(table, summaries), rule, text[0], rule, *text[1 : 1 + ranked], *apart, rule, *_notes(summaries)]
    )


def _caption(table: Table, summaries: list[Summary]) -> str:
    first, seeds = table[0], max(summary.seeds for summary in summaries)
    spread = ", mean ± standard deviation over seeds" if seeds > 1 else ""
    return (
        f"{first['dataset']} {first['split']}, {words.count(first['pictures'], 'picture')}, "
        f"protocol {first['protocol']}, {words.count(seeds, 'seed')}; in percent{spread}"
    )


def _cells(summary: Summary, distance: str | None, places: int) -> list[str]:
    shares = [words.percent(summary.mean[key], summary.spread[key]) for key in ("miou", "miou16", "pixel_accuracy")]
    kept = words.percent(summary.mean["label_preservation"], summary.spread["label_preservation"])
    gap = words.number(None if summary.gap_closed is None else 100 * summary.gap_closed, None, 0)
    line = [summary.translator, summary.segmenter, *shares, gap, kept]
    if distance:
        line.append(words.number(summary.mean[distance], summary.spread[distance], places))
    return [*line, words.seconds(summary.mean["seconds"])]


def _line(line: list[str], widths: list[int]) -> str:
    names = [text.ljust(width) for text, width in zip(line[:2], widths[:2], strict=True)]
    return "  ".join(names + [text.rjust(width) for text, width in zip(line[2:], widths[2:], strict=True)]).rstrip()


def _notes(summaries: list[Summary]) -> list[str]:
    notes = ["gap closed: 0 = source_only on untranslated pictures, 100 = the oracle."]
    if any(summary.apart for summary in summaries):
        notes.append("Below the dotted rule: uses target labels or the exact translation, not ranked with the others.")
    return notes
