"""Pictures drawn from label maps, as results/generation holds them: rows, their means over seeds, and what to look at."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.classes import TABLES
from pipeline.files import UserError, read_image, read_json
from pipeline.report.gallery import SCENES, Picture, Scene, Shelf, legend, open_set, read
from pipeline.report.tables import mean, spread

Row = dict[str, Any]
REAL = "real pictures"  # the ceiling: what the judge finds in the pictures that the labels belong to
SCORES = {"miou": "mIoU", "pixel_accuracy": "pixel accuracy", "class_accuracy": "class accuracy"}
SHEET = 1400  # widest sheet of styles, in pixels


@dataclass(frozen=True)
class Line:
    """A translator over its seeds; `mean` and `spread` have the keys of a row."""

    name: str
    mean: dict[str, float | None]
    spread: dict[str, float | None]


@dataclass
class Generation:
    """What the page shows; empty where params.yaml lists no method under `generation`."""

    lines: list[Line] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)  # keys of a row besides the scores: distances and pairs
    pictures: int = 0
    split: str = ""
    scenes: list[Scene] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)
    sheets: list[Picture] = field(default_factory=list)


def rows(params: dict[str, Any], root: Path) -> list[Row]:
    """Rows of report/generation.json, one a method and seed: the judge's scores on drawn pictures and, as `real_...`, on
    the real ones, distances between both sets, and means over pairs."""
    return [_row(_folder(root, name, seed)) for name in params.get("generation") or [] for seed in params["seeds"]]


def _folder(root: Path, name: str, seed: int) -> Path:
    return root / "results/generation" / name / str(seed)


def _row(folder: Path) -> Row:
    path = folder / "scores.json"
    if not path.is_file():
        raise UserError(f"{path} is missing; run the stage generation (dvc repro)")
    found = read_json(path)
    row: Row = {key: found[key] for key in ("translator", "seed", "split", "pictures")}
    row |= {key: found["fcn"][key] for key in SCORES}
    row |= {f"real_{key}": found["fcn_real"][key] for key in SCORES}
    return row | found["distances"] | found["pairs"]


def show(params: dict[str, Any], rows: list[Row], root: Path, page: Path) -> Generation:
    """Means over seeds, and the pictures of the first seed, written below `page`."""
    if not rows:
        return Generation()
    scores = [*SCORES, *(f"real_{key}" for key in SCORES)]
    figures = [key for key in rows[0] if key not in ("translator", "seed", "split", "pictures", *scores)]
    names = list(dict.fromkeys(row["translator"] for row in rows))
    made = Generation([_ceiling(rows)], figures, rows[0]["pictures"], rows[0]["split"])
    made.lines += [
        line(name, [row for row in rows if row["translator"] == name], [*SCORES, *figures]) for name in names
    ]
    folders = {name: _folder(root, name, params["seeds"][0]) for name in names}
    _scenes(made, folders, root, Shelf(page))
    for name, folder in folders.items():
        made.sheets += _styles(name, folder, Shelf(page))
    return made


def line(name: str, own: list[Row], keys: list[str]) -> Line:
    """Mean and spread over the rows of one translator."""
    columns = {key: [row[key] for row in own] for key in keys}
    return Line(name, {k: mean(v) for k, v in columns.items()}, {k: spread(v) for k, v in columns.items()})


def _ceiling(rows: list[Row]) -> Line:
    """The same judges on the real pictures: one a seed, whichever method's row tells it."""
    by_seed = {row["seed"]: {key: row[f"real_{key}"] for key in SCORES} for row in rows}
    return line(REAL, list(by_seed.values()), list(SCORES))


def _scenes(made: Generation, folders: dict[str, Path], root: Path, shelf: Shelf) -> None:
    """Label map, drawn pictures and the real one, of keys that every method kept."""
    shards = open_set(root, f"data/shards/target_{made.split}")
    table = TABLES[shards.classes]
    made.legend = legend(table)
    kept = [key for key in shards.keys if all((f / "pictures" / f"{key}.png").is_file() for f in folders.values())]
    for key in kept[:SCENES]:
        sample = read(shards, key, ("image", "label"))
        assert sample.image is not None and sample.label is not None
        alt = f"Label map {key}"
        pictures = [shelf.put(f"truth_{key}", table.paint(sample.label), "label map", alt, kind="labels")]
        for name, folder in folders.items():
            drawn = read_image(folder / "pictures" / f"{key}.png")
            pictures.append(shelf.put(f"drawn_{name}_{key}", drawn, name, f"{alt} as {name} draws it"))
        pictures.append(shelf.put(f"target_{key}", sample.image, "real picture", f"Target picture {key}"))
        made.scenes.append(Scene(key, pictures))


def _styles(name: str, folder: Path, shelf: Shelf) -> list[Picture]:
    said = {
        "codes": "each label map drawn with codes from the prior, the same ones in each column",
        "styles": "each label map drawn in the style of the real pictures above",
    }
    found = {kind: folder / "styles" / f"{kind}.png" for kind in said}
    return [
        shelf.put(f"{kind}_{name}", read_image(path), f"{name}: {said[kind]}", f"{name}, {said[kind]}", width=SHEET)
        for kind, path in found.items()
        if path.is_file()
    ]
