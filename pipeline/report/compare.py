"""Two experiments side by side: what changed in the parameters, what changed in the numbers, and whether it is more
than the spread over seeds."""

from pathlib import Path
from typing import Any

from pipeline.files import UserError, read_json
from pipeline.report import words
from pipeline.report.tables import Summary, summarise

NAMES = ("A", "B")


def compare(first: Path, second: Path) -> str:
    """Text that compares two report folders. Raises UserError for a folder that is not a report."""
    folders = [Path(first), Path(second)]
    for folder in folders:
        if not (folder / "table.json").is_file():
            raise UserError(f"{folder} is not a report: it has no table.json; name two folders like report/")
    params = [_flat(read_json(folder / "params.json")) for folder in folders]
    cells = [{(s.translator, s.segmenter): s for s in summarise(read_json(f / "table.json"))} for f in folders]
    head = [f"{name} = {folder}" for name, folder in zip(NAMES, folders, strict=True)]
    return "\n".join([*head, "", *_changes(*params), "", *_numbers(*cells)])


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in _flat(inner, f"{name}.{key}".lstrip(".")).items()}
    return {name: value}


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """A line for every parameter that differs."""
    names = [name for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name)]
    lines = [f"  {name}: {before.get(name, 'not there')} -> {after.get(name, 'not there')}" for name in names]
    return ["Parameters that differ:", *(lines or ["  none"])]


def _numbers(before: dict[Any, Summary], after: dict[Any, Summary]) -> list[str]:
    """A line for every cell: both mIoU, their difference, and what to think of it."""
    grid = [["translator", "segmenter", "mIoU A", "mIoU B", "B - A", ""]]
    for pair in dict.fromkeys([*before, *after]):
        a, b = before.get(pair), after.get(pair)
        shown = [words.percent(s.mean["miou"], s.spread["miou"]) if s else "not there" for s in (a, b)]
        grid.append([*pair, *shown, *_difference(a, b)])
    widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in grid]


def _difference(a: Summary | None, b: Summary | None) -> list[str]:
    """Difference in points, and whether it is more than the larger of the two standard deviations."""
    if a is None or b is None or a.mean["miou"] is None or b.mean["miou"] is None:
        return [words.MISSING, ""]
    points = 100 * (b.mean["miou"] - a.mean["miou"])
    spreads = [a.spread["miou"], b.spread["miou"]]
    if None in spreads:
        verdict = "one seed: spread unknown"
    else:
        more = abs(points) > 100 * max(s for s in spreads if s is not None)
        verdict = "more than the spread" if more else "within the spread"
    return [f"{points:+.1f}", "the same" if points == 0 else verdict]
