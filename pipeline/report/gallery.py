"""The pictures of the page: a few scenes of source and target in every form there is, and the worst translations."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.classes import TABLES, ClassTable
from pipeline.files import UserError, encode_jpeg, encode_png, read_image, write_atomic
from pipeline.report import words
from pipeline.report.results import NONE, SOURCE_ONLY, Results, Run
from pipeline.sample import Sample
from pipeline.shards.index import ShardSet

SCENES = 6  # of the source and of the target
WORST = 20  # a translator
ALL_WORST = 400  # pictures of worst translations on the page, all translators together: the page stays small
WIDE, NARROW = 448, 256  # widest picture in the galleries and among the worst, in pixels
TARGET, TRUTH = "target picture", "truth"  # captions
DEPTH_NEAR, DEPTH_FAR = 2.0, 200.0  # metres: both ends of the depth pictures' logarithmic scale


@dataclass(frozen=True)
class Picture:
    """A file beside the page. `caption` stands below it, `alt` is read aloud."""

    file: str
    width: int
    height: int
    caption: str
    alt: str
    kind: str = "photo"


@dataclass(frozen=True)
class Scene:
    key: str
    pictures: list[Picture]


@dataclass(frozen=True)
class Worst:
    """A picture whose labels the translator changed most."""

    key: str
    value: float
    original: Picture
    translated: Picture


@dataclass
class Gallery:
    source: list[Scene] = field(default_factory=list)
    source_legend: list[tuple[str, str]] = field(default_factory=list)  # class, colour
    sliders: list[dict[str, Any]] = field(default_factory=list)  # original and translated file of each scene
    target: list[Scene] = field(default_factory=list)
    target_legend: list[tuple[str, str]] = field(default_factory=list)
    worst: dict[str, list[Worst]] = field(default_factory=dict)


@dataclass(frozen=True)
class Shelf:
    """The folder of pictures beside the page; a picture that is asked for twice is written once."""

    page: Path
    written: dict[str, tuple[int, int]] = field(default_factory=dict)

    def put(
        self, name: str, array: np.ndarray, caption: str, alt: str, *, kind: str = "photo", width: int = WIDE
    ) -> Picture:
        """Write RGB uint8 (H, W, 3) as JPEG, or as PNG without blending where kind is "labels"."""
        ending = "png" if kind == "labels" else "jpg"
        file = f"pictures/{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}.{ending}"
        if file not in self.written:
            small = shrink(array, width, cv2.INTER_NEAREST if kind == "labels" else cv2.INTER_AREA)
            write_atomic(self.page / file, encode_png(small, 9) if kind == "labels" else encode_jpeg(small, 88))
            self.written[file] = small.shape[1], small.shape[0]
        return Picture(file, *self.written[file], caption, alt, kind)


def build(results: Results, root: Path, page: Path) -> Gallery:
    """Write the pictures below page/pictures and say what stands where."""
    shelf, out = Shelf(page), Gallery()
    source = open_set(root, "data/shards/source")
    table = TABLES[source.classes]
    seed = results.seeds[0]
    translated = {x: open_set(root, f"data/translated/{x}/{seed}") for x in results.translators if x != NONE}
    keys = pick(source.keys, SCENES)
    out.source = [_source_scene(shelf, key, source, translated, table) for key in keys]
    out.source_legend = legend(table) if "label" in source.parts else []
    out.sliders = [_slider(scene) for scene in out.source if translated]
    for translator, shards in translated.items():
        worst = (results.measures.get(translator, {}).get(seed, {}).get("label_preservation") or {}).get("worst") or []
        limit = min(WORST, ALL_WORST // (2 * len(translated)) or 1)
        out.worst[translator] = list(_worst(shelf, translator, worst[:limit], source, shards))
    if results.runs:
        _target(shelf, out, [run for run in results.runs if run.seed == seed], root)
    else:
        out.target = list(_plain(shelf, open_set(root, "data/shards/target_train")))
    return out


def open_set(root: Path, path: str) -> ShardSet:
    """The shard set at a path below root; one that is not there is named with its stage."""
    if not (root / path / "set.json").is_file():
        folder, name = path.split("/")[1:3]
        stage = f"translate_{name}" if folder == "translated" else f"shard_{name.partition('_')[0]}"
        raise UserError(f"{path} is missing or not complete; run the stage {stage} (dvc repro)")
    return ShardSet.open(root / path)


def legend(table: ClassTable) -> list[tuple[str, str]]:
    """(class, CSS colour) in trainId order, and what is not judged."""
    colours = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in table.colours]
    return [*zip(table.names, colours, strict=True), ("not judged", "#000000")]


def pick(keys: list[str], count: int) -> list[str]:
    """So many keys, evenly spaced: always the same for the same set."""
    step = max(1, len(keys) / count)
    return [keys[int((i + 0.5) * step)] for i in range(min(count, len(keys)))]


def shrink(array: np.ndarray, width: int, how: int) -> np.ndarray:
    """The picture no wider than `width`, in its own shape."""
    if array.shape[1] <= width:
        return array
    return cv2.resize(array, (width, max(1, round(array.shape[0] * width / array.shape[1]))), interpolation=how)


def caption_of(translator: str, segmenter: str) -> str:
    """What stands below a cell's prediction."""
    return translator if segmenter == SOURCE_ONLY else f"{translator} + {segmenter}"


def paint_depth(metres: np.ndarray) -> np.ndarray:
    """Depth (H, W) in metres -> RGB on a logarithmic scale, near = bright; the sky is a pale grey-blue."""
    sky = ~np.isfinite(metres)
    near = np.clip(np.where(sky, DEPTH_FAR, metres), DEPTH_NEAR, DEPTH_FAR)
    level = 1 - np.log(near / DEPTH_NEAR) / np.log(DEPTH_FAR / DEPTH_NEAR)
    rgb = cv2.applyColorMap((255 * level).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1].copy()
    rgb[sky] = (176, 190, 205)
    return rgb


# -- scenes -------------------------------------------------------------------------------------------------------


def read(shards: ShardSet, key: str, parts: tuple[str, ...] | None = None) -> Sample:
    """The sample of a key, with the parts that are asked for (None: all)."""
    if key not in shards.keys:
        raise UserError(f"{shards.path} does not hold the picture {key}; run the stage that wrote it again (dvc repro)")
    return shards.read(shards.keys.index(key), parts)


def _photo(shelf: Shelf, name: str, shards: ShardSet, key: str, caption: str, alt: str, width: int = WIDE) -> Picture:
    image = read(shards, key, ("image",)).image
    assert image is not None
    return shelf.put(name, image, caption, alt, width=width)


def _source_scene(
    shelf: Shelf, key: str, source: ShardSet, translated: dict[str, ShardSet], table: ClassTable
) -> Scene:
    sample = read(source, key)
    pictures = [_photo(shelf, f"source_{key}", source, key, "source", f"Source picture {key}")]
    for translator, shards in translated.items():
        alt = f"Source picture {key} translated by {translator}"
        pictures.append(_photo(shelf, f"{translator}_{key}", shards, key, translator, alt))
    if sample.depth is not None:
        alt = f"Depth of source picture {key}, bright is near"
        pictures.append(shelf.put(f"depth_{key}", paint_depth(sample.depth), "depth", alt))
    if sample.label is not None:
        alt = f"True classes of source picture {key}"
        pictures.append(shelf.put(f"labels_{key}", table.paint(sample.label), "labels", alt, kind="labels"))
    return Scene(key, pictures)


def _slider(scene: Scene) -> dict[str, Any]:
    """Original and translated files of a scene, as the page's script reads them."""
    original, *others = [
        picture for picture in scene.pictures if picture.kind == "photo" and picture.caption != "depth"
    ]
    return {
        "key": scene.key, "original": original.file, "width": original.width, "height": original.height,
        "translated": {picture.caption: picture.file for picture in others},
    }  # fmt: skip


def _worst(shelf: Shelf, translator: str, worst: list[Any], source: ShardSet, shards: ShardSet) -> Iterator[Worst]:
    for key, value in worst:
        said = f"{words.percent(value)} % of its pixels right"
        before = _photo(shelf, f"small_source_{key}", source, key, "source", f"Source picture {key}", NARROW)
        alt = f"The same picture translated by {translator}, {said}"
        after = _photo(shelf, f"small_{translator}_{key}", shards, key, translator, alt, NARROW)
        yield Worst(key, value, before, after)


def _plain(shelf: Shelf, target: ShardSet) -> Iterator[Scene]:
    for key in pick(target.keys, SCENES):
        yield Scene(key, [_photo(shelf, f"target_{key}", target, key, TARGET, f"Target picture {key}")])


def _target(shelf: Shelf, out: Gallery, runs: list[Run], root: Path) -> None:
    """Target pictures with the prediction of every cell: those that all cells kept predictions of."""
    path = f"data/shards/target_{runs[0].scores['split']}"
    target = open_set(root, path)
    table = TABLES[target.classes]
    keys = [key for key in target.keys if all((run.predictions / f"{key}.png").is_file() for run in runs)][:SCENES]
    by_names = {known.names: known for known in TABLES.values()}
    out.target_legend = legend(table)
    for key in keys:
        sample = read(target, key)
        pictures = [_photo(shelf, f"target_{key}", target, key, TARGET, f"Target picture {key}")]
        if sample.label is not None:
            alt = f"True classes of target picture {key}"
            pictures.append(shelf.put(f"truth_{key}", table.paint(sample.label), TRUTH, alt, kind="labels"))
        for run in runs:
            own = by_names.get(tuple(run.scores["classes"]), table)
            cell = f"{run.translator} + {run.segmenter}"
            painted = own.paint(read_image(run.predictions / f"{key}.png", "unchanged"))
            alt = f"Classes that {cell} predicts on target picture {key}"
            name = f"predicted_{run.segmenter}_{run.translator}_{key}"
            pictures.append(shelf.put(name, painted, caption_of(run.translator, run.segmenter), alt, kind="labels"))
        out.target.append(Scene(key, pictures))
