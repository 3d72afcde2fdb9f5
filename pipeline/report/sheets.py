"""What the data stages left to look at: their reports and sheets of pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.files import read_image, read_json
from pipeline.report import words
from pipeline.report.gallery import Picture, Shelf

WIDTH = 1400  # widest sheet, in pixels
FACTS = 60  # of a stage's report; the file itself holds the rest
LABELS = "A picture a row: as it is, its labels, and both over each other."
FLOW = (
    "A pair of frames a row: the first frame, Farneback's flow (black: there and back again do not agree), and the true flow "
    "(black: hidden in the second frame or unknown; a grey field: there is none). The hue is the direction, red to the right, "
    "yellow down, cyan to the left, violet up; white stands still, and each row has its own full colour."
)
LONGEST = 12  # a list that is written out; a longer one is counted


@dataclass(frozen=True)
class Sheet:
    title: str
    picture: Picture | None
    facts: list[tuple[str, str]]


def collect(params: dict[str, Any], root: Path, page: Path) -> list[Sheet]:
    """Sheets of the label fix and of every sequence's optical flow; what is not part of this run is left out."""
    places = {"Label fix": (root / "data/fixed/source", LABELS)}
    places |= {f"Optical flow of {name}": (root / "results/flow" / name, FLOW) for name in _flows(params)}
    found = [_sheet(title, folder, caption, Shelf(page)) for title, (folder, caption) in places.items()]
    return [sheet for sheet in found if sheet.picture or sheet.facts]


def _flows(params: dict[str, Any]) -> list[str]:
    return [*(params.get("sequences") or []), *(params.get("flow_pairs") or [])]


def _sheet(title: str, folder: Path, caption: str, shelf: Shelf) -> Sheet:
    report, sheet, picture = folder / "report.json", folder / "sheet.jpg", None
    if sheet.is_file():
        name = f"sheet_{title.lower().replace(' ', '_')}"
        picture = shelf.put(name, read_image(sheet), caption, f"Sample pictures of the stage: {title}", width=WIDTH)
    return Sheet(title, picture, facts(read_json(report))[:FACTS] if report.is_file() else [])


def facts(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested JSON as (dotted name, text); a short list of plain values becomes one text, any other is counted."""
    if isinstance(value, dict):
        return [fact for key, inner in value.items() for fact in facts(inner, f"{name}.{key}" if name else str(key))]
    return [(name, _text(value))]


def _text(value: Any) -> str:
    match value:
        case None:
            return words.MISSING
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return words.number(value)
        case list() if len(value) > LONGEST or any(isinstance(item, dict | list) for item in value):
            return words.count(len(value), "item")
        case list():
            return ", ".join(map(_text, value)) or "none"
        case _:
            return str(value)
