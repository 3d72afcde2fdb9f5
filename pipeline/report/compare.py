"""Two experiments side by side: what changed in the parameters, what changed in the numbers, and whether it is more
than the spread over seeds."""

from typing import Any

from pipeline.files import UserError
from pipeline.report import words
from pipeline.report.experiments import Experiment, find
from pipeline.report.tables import Summary, Table, distance_names, summarise

SHARES = {"miou16": "mIoU16", "pixel_accuracy": "pixel accuracy", "label_preservation": "labels kept"}
TEST = ("dataset", "split", "pictures", "protocol")  # what must be equal for numbers to be comparable
ONE_SEED = "one seed: no spread known"


def compare(first: str, second: str) -> str:
    """Text that compares two report folders, DVC experiments or git revisions; UserError for a wrong name."""
    a, b = find(first), find(second)
    for one in (a, b):
        if not one.table:
            raise UserError(
                f"{one.name} has no cells of a segmenter to compare; see its pairs.json and generation.json"
            )
    before, after = ({(s.translator, s.segmenter): s for s in summarise(one.table)} for one in (a, b))
    heads = [_head("A", a), _head("B", b), *_tests(a.table, b.table)]
    pairs = [(" + ".join(pair), before.get(pair), after.get(pair)) for pair in dict.fromkeys([*before, *after])]
    numbers = _grid("mIoU", [_line(name, x, y, "miou", 100) for name, x, y in pairs])
    return "\n".join([*heads, "", *_changes(a.params, b.params), "", *numbers, "", *_others(a.table, pairs)])


def _head(letter: str, one: Experiment) -> str:
    seeds = words.count(len({row["seed"] for row in one.table}), "seed")
    return f"{letter} = {one.name}, {seeds}" + (f"; {one.warning}" if one.warning else "")


def _tests(before: Table, after: Table) -> list[str]:
    tests = [", ".join(f"{key} {table[0][key]}" for key in TEST) for table in (before, after)]
    return [] if tests[0] == tests[1] else [f"Not the same test: A {tests[0]}; B {tests[1]}."]


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in _flat(inner, f"{name}.{key}".lstrip(".")).items()}
    return {name: value}


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """A line for every parameter that differs."""
    a, b = _flat(before), _flat(after)
    names = [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]
    lines = [f"  {name}: {a.get(name, 'not there')} -> {b.get(name, 'not there')}" for name in names]
    return ["Parameters that differ:", *(lines or ["  none"])]


def _others(before: Table, pairs: list[tuple[str, Summary | None, Summary | None]]) -> list[str]:
    """The other figures, those lines alone where both know it and it differs."""
    out = []
    for key in (*SHARES, *distance_names(before)):
        scale = 100 if key in SHARES else 1
        known = [(name, a, b) for name, a, b in pairs if a and b and None not in (a.mean.get(key), b.mean.get(key))]
        lines = [_line(*cell, key, scale) for cell in known if cell[1].mean[key] != cell[2].mean[key]]
        out += ["", *_grid(SHARES.get(key, key), lines)] if lines else []
    return out[1:] or ["No other figure differs."]


def _line(name: str, a: Summary | None, b: Summary | None, key: str, scale: int) -> list[str]:
    """A cell: both values, their difference, and what to think of it."""
    (old, old_spread), (new, new_spread) = _value(a, key, scale), _value(b, key, scale)
    places = 1 if scale == 100 else words.common_places([old, new])
    shown = [
        "not there" if value is None else words.number(value, width, places)
        for value, width in ((old, old_spread), (new, new_spread))
    ]
    if old is None or new is None:
        return [name, *shown, words.MISSING, ""]
    return [name, *shown, words.signed(new - old, None, places), verdict(new - old, old_spread, new_spread)]


def _value(cell: Summary | None, key: str, scale: int) -> tuple[float | None, float | None]:
    """Mean and spread of a cell, scaled; None where they are not known."""
    known = (cell.mean.get(key), cell.spread.get(key)) if cell else (None, None)
    return (None if known[0] is None else scale * known[0], None if known[1] is None else scale * known[1])


def verdict(difference: float, *spreads: float | None) -> str:
    """Whether a difference is more than the larger of the two standard deviations."""
    if difference == 0:
        return "the same"
    if None in spreads:
        return ONE_SEED
    return "more than the spread" if abs(difference) > max(s for s in spreads if s is not None) else "within the spread"


def _grid(figure: str, lines: list[list[str]]) -> list[str]:
    grid = [["cell", f"{figure} A", f"{figure} B", "B - A", ""], *lines]
    widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in grid]
