"""Scorers of clips and of single scans, as results/score holds them: figures beside published ones, curves of every clip, and
sheets."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.files import UserError, read_image, read_json
from pipeline.report import plots
from pipeline.report.gallery import Picture, Shelf
from pipeline.report.generation import SHEET, Line, line

Row = dict[str, Any]
FIGURES = {
    "auc_frame": "AUC of frames", "eer_frame": "EER of frames", "auc_frame_semantic": "by the frame alone",
    "auc_frame_flow": "by the flow alone", "auc_frame_per_video": "AUC by each video's maxima", "auc_frame_clip_minmax": "stretched in each video",
    "auc_frame_clip_mean": "mean AUC of clips",
    "auc_pixel": "AUC of pixels, 40 %", "auc_pixel_dual": "of pixels, dual",
}  # fmt: skip
# Ravanbakhsh et al. 2017, table 1: normalised per video. Twelve test clips of Ped2, and another share of them is another figure.
PUBLISHED = {"ped2": {"flow_anomaly": {"auc_frame_per_video": 0.935}}}
SCAN_FIGURES = {
    "auc": "AUC of scans", "eer": "EER of scans", "auc_residual": "by the residual alone", "auc_features": "by the features alone",
    "found": "found at the threshold", "false_alarms": "false alarms", "auc_pixel": "AUC of pixels", "iou": "IoU", "dice": "Dice",
}  # fmt: skip
# From memory, of optical coherence tomography of the retina: Schlegl et al. 2017, Schlegl et al. 2019 (izi_f).
PUBLISHED_SCANS = {"anogan": {"auc": 0.89}, "f_anogan": {"auc": 0.93}}


@dataclass
class Scans:
    """What the page shows of scorers of single scans."""

    lines: list[Line] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=lambda: SCAN_FIGURES)
    scans: int = 0
    split: str = ""
    published: bool = False
    sheets: list[Picture] = field(default_factory=list)


@dataclass
class Anomaly:
    """What the page shows; empty where params.yaml switches no method on under `scorers`."""

    lines: list[Line] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=lambda: FIGURES)
    frames: int = 0
    clips: int = 0
    charts: list[tuple[str, Markup]] = field(default_factory=list)
    sheets: list[Picture] = field(default_factory=list)
    scans: Scans = field(default_factory=Scans)


def rows(params: dict[str, Any], root: Path) -> list[Row]:
    """Rows of report/anomaly.json, one a method and seed: everything but the frames' own scores."""
    found = []
    for name, seeds in (params.get("scorers") or {}).items():
        for seed in seeds or []:
            scores = _scores(root, name, seed)
            found.append({key: value for key, value in scores.items() if key != "scores"})
    return found


def _scores(root: Path, name: str, seed: int) -> dict[str, Any]:
    path = _folder(root, name, seed) / "scores.json"
    if not path.is_file():
        raise UserError(f"{path} is missing; run the stage score_{name} (dvc repro)")
    found: dict[str, Any] = read_json(path)
    return found


def _folder(root: Path, name: str, seed: int) -> Path:
    return root / "results/score" / name / str(seed)


def show(rows: list[Row], root: Path, page: Path) -> Anomaly:
    """Means over seeds, and of each method's first seed the curve and the sheet of every clip, written below `page`."""
    made = Anomaly(scans=_scans([row for row in rows if "scans" in row], root, page))
    rows = [row for row in rows if "clips" in row]
    for name in dict.fromkeys(row["scorer"] for row in rows):
        own = [row for row in rows if row["scorer"] == name]
        made.frames, made.clips = own[0]["frames"], own[0]["clips"]
        made.lines.append(line(name, own, list(FIGURES)))
        published = PUBLISHED.get(own[0]["dataset"], {}).get(name)
        if published:
            made.lines.append(line(f"{name}, published", [dict.fromkeys(FIGURES) | published], list(FIGURES)))
        scores = _scores(root, name, own[0]["seed"])
        for clip in dict.fromkeys(row["clip"] for row in scores["scores"]):
            made.charts.append((f"{name}, {clip}", chart(clip, scores)))
            text = f"{name}, {clip}: frame and what is abnormal | flow | drawn flow | drawn frame | anomaly"
            sheet = read_image(_folder(root, name, own[0]["seed"]) / "sheets" / f"{clip}.jpg")
            made.sheets.append(Shelf(page).put(f"anomaly_{name}_{clip}", sheet, text, text, width=SHEET))
    return made


def _scans(rows: list[Row], root: Path, page: Path) -> Scans:
    """Means over seeds, and the sheet of each method's first seed, written below `page`."""
    made = Scans()
    for name in dict.fromkeys(row["scorer"] for row in rows):
        own = [row | _milliseconds(root, name, row["seed"]) for row in rows if row["scorer"] == name]
        made.scans, made.split = own[0]["scans"], own[0]["split"]
        keys = [*SCAN_FIGURES, "milliseconds"]
        made.lines.append(line(name, own, keys))
        if name in PUBLISHED_SCANS:
            theirs = dict.fromkeys(keys) | PUBLISHED_SCANS[name]
            made.lines.append(line(f"{name}, published, other data", [theirs], keys))
            made.published = True
        sheet = read_image(_folder(root, name, own[0]["seed"]) / "sheets/scans.jpg")
        text = f"{name}: scan and what is abnormal | the normal one drawn for it | where they differ"
        made.sheets.append(Shelf(page).put(f"scans_{name}", sheet, text, text, width=SHEET))
    return made


def _milliseconds(root: Path, name: str, seed: int) -> Row:
    """What a scan took; it stands with the costs, as it differs from run to run."""
    path = root / f"results/costs/score/{name}/{seed}.json"
    rate = read_json(path)["images_per_second"] if path.is_file() else None
    return {"milliseconds": 1000 / rate if rate else None}


def chart(clip: str, scores: dict[str, Any]) -> Markup:
    """Scores of the frames of a clip, the threshold, and shaded where the truth is abnormal."""
    own = [row for row in scores["scores"] if row["clip"] == clip]
    at = list(range(1, len(own) + 1))
    lines = [
        plots.Line("score", at, [row["score"] for row in own], 0),
        plots.Line("threshold", [at[0], at[-1]], [scores["threshold"]] * 2, 1),
    ]
    return plots.line_chart(f"{clip}: score of every frame", lines, "frame", spans([row["label"] == 1 for row in own]))


def spans(flags: list[bool]) -> list[tuple[float, float]]:
    """Runs of True as (first, last), counted from 1, half a step wider at both ends."""
    edges = [False, *flags, False]
    starts = [i + 1 for i in range(len(flags)) if edges[i + 1] and not edges[i]]
    ends = [i + 1 for i in range(len(flags)) if edges[i + 1] and not edges[i + 2]]
    return [(start - 0.5, end + 0.5) for start, end in zip(starts, ends, strict=True)]
