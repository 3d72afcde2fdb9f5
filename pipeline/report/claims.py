"""Is a translator above the cheap ways? Differences of mIoU in the cells of source_only, paired by seed."""

from typing import Any

from pipeline.report.results import NONE, SOURCE_ONLY
from pipeline.report.tables import Table, mean, spread

RIVALS = (NONE, "histogram_matching", "fourier")  # no training; each is held against those before it
FIGURES = {"miou": "mIoU", "miou16": "mIoU16"}

Claim = dict[str, Any]


def claims(table: Table) -> list[Claim]:
    """Rows of report/claims.json: one for each translator, rival and figure that both have.

    `differences` maps seed -> translator minus rival (1 = 100 points), for the seeds of both; `spread` is their sample
    standard deviation, null for one seed, and so is then `more_than_spread`; `above` counts the seeds above 0.
    """
    cells = {(row["translator"], row["seed"]): row for row in table if row["segmenter"] == SOURCE_ONLY}
    found = []
    for translator in dict.fromkeys(name for name, _ in cells):
        rivals = RIVALS[: RIVALS.index(translator)] if translator in RIVALS else RIVALS
        for rival in rivals:
            pairs = {
                seed: (row, cells[rival, seed])
                for (name, seed), row in cells.items()
                if name == translator and (rival, seed) in cells
            }
            found += [_claim(translator, rival, figure, pairs) for figure in FIGURES]
    return [claim for claim in found if claim["seeds"]]


def by_pair(found: list[Claim]) -> list[tuple[str, str, dict[str, Claim]]]:
    """(translator, rival, figure -> claim), in the order of the claims."""
    pairs = dict.fromkeys((claim["translator"], claim["against"]) for claim in found)
    own = {pair: {c["figure"]: c for c in found if (c["translator"], c["against"]) == pair} for pair in pairs}
    return [(*pair, figures) for pair, figures in own.items()]


def _claim(translator: str, rival: str, figure: str, pairs: dict[int, Any]) -> Claim:
    known = {seed: (a[figure], b[figure]) for seed, (a, b) in pairs.items() if None not in (a[figure], b[figure])}
    differences = {str(seed): a - b for seed, (a, b) in known.items()}
    values: list[float | None] = list(differences.values())
    middle, width = mean(values), spread(values)
    return {
        "translator": translator, "against": rival, "figure": figure, "differences": differences,
        "seeds": len(differences), "above": sum(value > 0 for value in differences.values()),
        "mean": middle, "spread": width,
        "more_than_spread": None if middle is None or width is None else abs(middle) > width,
    }  # fmt: skip
