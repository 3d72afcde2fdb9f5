"""Rivals that take turns in one run, so that a machine that slows down does so for all of them; and the table of it."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence


def take_turns(rivals: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each rival answers in every round, after one round that is not counted."""
    found: dict[str, list[float]] = {name: [] for name in rivals}
    for n in range(rounds + 1):
        for name, rival in rivals.items():
            answer = rival()
            if n:
                found[name].append(answer)
    return found


def seconds(function: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of a call: on the wall, or with time.process_time those of the processor, whatever runs beside it."""
    began = clock()
    function()
    return clock() - began


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def rows(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table as documents hold it."""
    parts = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in parts)
