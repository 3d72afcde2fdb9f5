"""Samplers, as results/codes holds them: their codes as classifiers beside the published figure, the bound, what codes do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.files import UserError, read_image, read_json
from pipeline.report import plots
from pipeline.report.gallery import Picture, Shelf
from pipeline.report.generation import SHEET, Line, line

Row = dict[str, Any]
SHARES = {
    "error": "error, one class a code",
    "error_many": "error, codes may share a class",
    "error_named": "error, by name",
}
NATS = {"information": "categorical code, nats", "information_continuous": "continuous codes, nats"}
BOUNDS = {"loss/information": "categorical code", "loss/information_continuous": "continuous codes"}
# Chen et al. 2016, section 7.2: of MNIST's 60,000 training digits; fewer are another task.
PUBLISHED = {"mnist": {"infogan": {"error": 0.05}}}


@dataclass
class Codes:
    """What the page shows; empty where params.yaml switches no method on under `samplers`."""

    lines: list[Line] = field(default_factory=list)
    shares: dict[str, str] = field(default_factory=lambda: SHARES)
    nats: dict[str, str] = field(default_factory=lambda: NATS)
    pictures: int = 0
    follow: list[str] = field(default_factory=list)  # sentences: which continuous code follows which factor
    charts: list[tuple[str, Markup]] = field(default_factory=list)
    sheets: list[Picture] = field(default_factory=list)


def rows(params: dict[str, Any], root: Path) -> list[Row]:
    """Rows of report/codes.json, one a method and seed: the scores as they are."""
    return [_scores(root, name, seed) for name, seeds in (params.get("samplers") or {}).items() for seed in seeds or []]


def _scores(root: Path, name: str, seed: int) -> Row:
    path = _folder(root, name, seed) / "scores.json"
    if not path.is_file():
        raise UserError(f"{path} is missing; run the stage codes_{name} (dvc repro)")
    found: Row = read_json(path)
    return found


def _folder(root: Path, name: str, seed: int) -> Path:
    return root / "results/codes" / name / str(seed)


def show(rows: list[Row], root: Path, page: Path) -> Codes:
    """A line a seed and their mean, the curves of the bound, and the pictures of each method's first seed, written below
    `page`."""
    made, keys = Codes(), [*SHARES, *NATS]
    for name in dict.fromkeys(row["sampler"] for row in rows):
        own = [row for row in rows if row["sampler"] == name]
        made.pictures = own[0]["pictures"]
        made.lines += [line(f"{name}, seed {row['seed']}", [row], keys) for row in own]
        if len(own) > 1:
            made.lines.append(line(f"{name}, mean", own, keys))
        if published := PUBLISHED.get(own[0]["dataset"], {}).get(name):
            made.lines.append(line(f"{name}, published", [dict.fromkeys(keys) | published], keys))
        made.follow += [sentence for row in own for sentence in _follow(row)]
        for path in sorted((_folder(root, name, own[0]["seed"]) / "pictures").iterdir()):
            text = f"{name}, seed {own[0]['seed']}: a row a category, {_swept(path.stem)} along the columns"
            made.sheets.append(Shelf(page).put(f"codes_{name}_{path.stem}", read_image(path), text, text, width=SHEET))
    made.charts = [(title, chart(column, title, rows, root)) for column, title in BOUNDS.items() if rows]
    return made


def _swept(kind: str) -> str:
    return "other noise" if kind == "noise" else f"continuous code {kind.rpartition('_')[2]} from -2 to 2"


def _follow(row: Row) -> list[str]:
    return [
        f"{row['sampler']}, seed {row['seed']}: continuous code {one['code']} follows {one['factor']}, |r| "
        f"{one['pearson']:.2f}, of ranks {one['spearman']:.2f}."
        for one in (row["factors"] or {}).get("best", [])
    ]


def chart(column: str, title: str, rows: list[Row], root: Path) -> Markup:
    """The bound in nats during training, a line a method and seed, in the method's colour."""
    names, lines = list(dict.fromkeys(row["sampler"] for row in rows)), []
    for row in rows:
        name, seed = row["sampler"], row["seed"]
        path = root / "results/train" / name / str(seed) / "curves.json"
        curves = read_json(path)["curves"] if path.is_file() else []
        xs, ys = [one["kimg"] for one in curves], [one.get(column) for one in curves]
        lines.append(plots.Line(f"{name}, seed {seed}", xs, ys, names.index(name)))
    return plots.line_chart(f"information of the {title}", lines, "thousand pictures")
