"""Translators that learned from aligned pairs, as results/pairs holds them: scores beside the untouched input's, and sheets."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.files import UserError, read_image, read_json
from pipeline.report.gallery import Picture, Shelf
from pipeline.report.generation import SHEET, Line, line

UNTOUCHED = "the input as it is"
SHEETS = {"some": "some pairs, evenly over the set", "worst": "the worst by L1"}


@dataclass
class Pairs:
    """What the page shows; empty where params.yaml switches no method on under `paired`."""

    lines: list[Line] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    pictures: int = 0
    sheets: list[Picture] = field(default_factory=list)


def rows(params: dict[str, Any], root: Path) -> list[dict[str, Any]]:
    """Rows of report/pairs.json: two a method and seed, of its pictures and of the untouched input (`translator` none)."""
    found = []
    for name, seeds in (params.get("paired") or {}).items():
        for seed in seeds or []:
            scores = _scores(root, name, seed)
            for who, own in ((name, scores), ("none", scores["untouched"])):
                start = {"translator": who, "of": name, "seed": seed, "pictures": scores["pictures"]}
                found.append(start | own["pairs"] | own["distances"])
    return found


def _scores(root: Path, name: str, seed: int) -> dict[str, Any]:
    path = root / f"results/pairs/{name}/{seed}/scores.json"
    if not path.is_file():
        raise UserError(f"{path} is missing; run the stage evaluate_pairs_{name} (dvc repro)")
    found: dict[str, Any] = read_json(path)
    return found


def show(params: dict[str, Any], rows: list[dict[str, Any]], root: Path, page: Path) -> Pairs:
    """Means over seeds, and the sheets of each method's first seed, written below `page`."""
    if not rows:
        return Pairs()
    figures = [key for key in rows[0] if key not in ("translator", "of", "seed", "pictures")]
    made, shelf = Pairs(figures=figures, pictures=rows[0]["pictures"]), Shelf(page)
    for name in dict.fromkeys(row["of"] for row in rows):
        own = [row for row in rows if row["of"] == name]
        made.lines.append(line(name, [row for row in own if row["translator"] == name], figures))
        made.lines.append(line(UNTOUCHED, [row for row in own if row["translator"] == "none"], figures))
        folder = root / f"results/pairs/{name}/{own[0]['seed']}/pictures"
        for kind, said in SHEETS.items():
            path = folder / f"{kind}.png"
            if path.is_file():
                text = f"{name}: input, output and truth of {said}"
                made.sheets.append(shelf.put(f"{kind}_pairs_{name}", read_image(path), text, text, width=SHEET))
    return made
