"""fix_labels: somebody's SYNTHIA, or plain folders -> trainIds, instances and depth that no later step has to doubt.

    out/labels/KEY.png     8-bit trainIds of cityscapes19, 255 = void
    out/instances/KEY.png  16-bit, 0 = none (only from raw16: the other files do not hold them)
    out/depth/KEY.png      16-bit centimetres, 65535 = sky or beyond
    out/report.json        what was read, how, and how many pixels of each class came out
    out/sheet.jpg          a few pictures beside their labels, to look at

All or nothing: faults of all files are gathered, and one is enough for nothing to be written.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.classes import IGNORE, TABLES, ClassTable
from pipeline.cluster import ALONE, ClusterSettings, map_items
from pipeline.datasets import Item, open_dataset
from pipeline.datasets.base import Decoder
from pipeline.datasets.settings import SourceSettings
from pipeline.files import UserError, atomic_dir, encode_jpeg, encode_png, problems, write_json
from pipeline.planes import centimetres
from pipeline.sample import SKY_CENTIMETRES

FOLDERS = {"label": "labels", "instance": "instances", "depth": "depth"}
REPORT, PICTURES = "report.json", "sheet.jpg"  # in every folder that fix_labels wrote
SHEET = 4  # pictures on the sheet


@dataclass(frozen=True)
class Found:
    """What one picture held."""

    faults: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)
    classes: tuple[int, ...] = ()  # pixels of trainIds 0 .. 255
    sky: int = 0  # pixels without a depth
    instances: int = 0


def fix_labels(
    root: Path | str, out: Path | str, settings: SourceSettings, cluster: ClusterSettings = ALONE
) -> dict[str, Any]:
    """Map every label of the source at `root` and write the folder `out` (see above); returns the report.

    Raises one UserError that lists all missing, damaged, mismatched and contradicting files. Same input, same bytes.
    """
    _check_goal(Path(root), Path(out))
    dataset = open_dataset(settings.layout, root, **settings.options())
    items, decoders = dataset.items(), dict(dataset.read.decoders)
    parts = _parts(settings, decoders, items)
    with atomic_dir(out) as folder:
        for part in parts:
            (folder / FOLDERS[part]).mkdir()
        found = map_items(partial(_fix, decoders, parts, folder), items, cluster, "fix_labels")
        faults = [fault for one in found for fault in one.faults]
        if faults:
            raise _refusal(dataset.where, faults)
        table = TABLES[dataset.classes]
        report = _report(found, table, settings, parts, dataset.stray)
        if "label" in parts and not any(report["pixels"].values()):
            raise UserError(f"{dataset.where}: every pixel of every label is void; is 'labels' declared rightly?")
        write_json(folder / REPORT, report)
        chosen = [items[i] for i in np.unique(np.linspace(0, len(items) - 1, SHEET).astype(int))]
        (folder / PICTURES).write_bytes(encode_jpeg(_sheet(chosen, decoders, table), 90))
    return report


def _check_goal(root: Path, out: Path) -> None:
    """`out` will be replaced: only what fix_labels wrote, or an empty folder, may lie there, and nothing of the source."""
    source, goal = root.resolve(), out.resolve()
    if source.is_relative_to(goal) or goal.is_relative_to(source):
        raise UserError(
            f"{out} and the source {root} lie in each other, and {out} will be replaced; name another folder"
        )
    ours = all((out / name).is_file() for name in (REPORT, PICTURES))
    if out.exists() and not ours and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and was not written by fix_labels; remove it or name another folder with --out")


def _parts(settings: SourceSettings, decoders: Mapping[str, Decoder], items: Sequence[Item]) -> list[str]:
    """What is written: SYNTHIA must have labels and, where declared, depth; plain folders may have any or nothing."""
    there = {part for item in items for part in item.files} if settings.layout == "folder" else set(decoders)
    return [part for part in FOLDERS if part in there and not (part == "depth" and settings.depth == "none")]


def _refusal(where: str, faults: Sequence[str]) -> UserError:
    if len(faults) == 1:
        return UserError(f"{faults[0]}; nothing was written")
    return problems(f"{where} has {len(faults)} faults, so nothing was written; mend these files:", faults)


def _fix(decoders: Mapping[str, Decoder], parts: Sequence[str], folder: Path, item: Item) -> Found:
    """Read one picture with its parts, write the parts, and count; or say what is wrong with it."""
    read: dict[str, np.ndarray] = {}
    faults = []
    for part in ("image", *parts):
        file = item.files.get(part)
        if file is None:
            hint = " (declare depth: none if there is none)" if part == "depth" else ""
            faults += [f"{item.key} has no {part}{hint}"] if part != "instance" else []
            continue
        try:
            read[part] = (centimetres if part == "depth" else decoders[part])(file.read(), str(file))
        except UserError as error:
            faults += [str(error)] if str(error) not in faults else []
    sizes = {part: value.shape[:2] for part, value in read.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{part} {width} x {height}" for part, (height, width) in sizes.items())
        faults.append(f"{item.key}: sizes differ: {shown}")
    if faults:
        return Found(tuple(faults))
    for part in parts:
        (folder / FOLDERS[part] / f"{item.key}.png").write_bytes(encode_png(read[part]))
    classes = np.bincount(read["label"].ravel() if "label" in read else [], minlength=256)
    sky = int((read["depth"] == SKY_CENTIMETRES).sum()) if "depth" in read else 0
    moving = len(np.setdiff1d(read["instance"], [0])) if "instance" in read else 0
    return Found((), sizes["image"], tuple(map(int, classes)), sky, moving)


def _report(
    found: Sequence[Found], table: ClassTable, settings: SourceSettings, parts: Sequence[str], stray: Sequence[str]
) -> dict[str, Any]:
    total = np.sum([one.classes for one in found], axis=0)
    pixels = {name: int(total[i]) for i, name in enumerate(table.names)}
    sizes = Counter(f"{one.size[1]}x{one.size[0]}" for one in found)
    return {
        "classes": table.name,
        "options": settings.model_dump(exclude={"name"}),
        "pictures": len(found),
        "sizes": dict(sorted(sizes.items())),
        "pixels": pixels,
        "void_pixels": int(total[IGNORE]),
        "share": {name: round(count / max(1, int(total.sum())), 6) for name, count in pixels.items()},
        "absent": [name for name, count in pixels.items() if not count],
        "unknown_ids": [],  # with any of these three there is no report but an error
        "missing": [],
        "mismatched": [],
        "labels_without_picture": list(stray),
        "instances": sum(one.instances for one in found) if "instance" in parts else None,
        "depth": {"sky_or_beyond_pixels": sum(one.sky for one in found)} if "depth" in parts else None,
    }


# -- the sheet ----------------------------------------------------------------------------------------------------

CELL = 320  # pixels wide
LINE = 18


def _sheet(items: Sequence[Item], decoders: Mapping[str, Decoder], table: ClassTable) -> np.ndarray:
    """Picture, painted labels and both over each other, a row a picture, above a legend: RGB. A lone picture has no labels."""
    rows, seen = [], set()
    for item in items:
        image = decoders["image"](item.files["image"].read(), item.key)
        height = max(1, round(CELL * image.shape[0] / image.shape[1]))
        small = cv2.resize(image, (CELL, height), interpolation=cv2.INTER_AREA)
        painted = both = np.full_like(small, 255)
        if "label" in item.files:
            label = decoders["label"](item.files["label"].read(), item.key)
            seen |= set(np.unique(label).tolist())
            painted = table.paint(cv2.resize(label, (CELL, height), interpolation=cv2.INTER_NEAREST))
            both = cv2.addWeighted(small, 0.5, painted, 0.5, 0)
        rows.append(np.hstack([small, painted, both]))
    return np.vstack([*rows, _legend(table, seen)])


def _legend(table: ClassTable, seen: set[int]) -> np.ndarray:
    """Colours and names of the classes that occur (and of void), in four columns."""
    entries = [(table.names[i], table.colours[i]) for i in range(len(table)) if i in seen] + [("void", (0, 0, 0))]
    columns, width = 4, 3 * CELL // 4
    rows = -(-len(entries) // columns)
    canvas = np.full((rows * LINE + 6, 3 * CELL, 3), 255, np.uint8)
    for number, (name, colour) in enumerate(entries):
        x, y = number % columns * width + 6, number // columns * LINE + 4
        cv2.rectangle(canvas, (x, y), (x + 20, y + LINE - 6), colour, -1)
        cv2.putText(canvas, name, (x + 27, y + LINE - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas
