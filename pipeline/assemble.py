"""Which samples make up a set of shards: pictures from a published layout, labels as `fix_labels` mended them."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipeline.datasets import open_dataset
from pipeline.datasets.base import Item, Reader
from pipeline.datasets.settings import PairSettings, SourceSettings, TargetSettings
from pipeline.files import UserError, digest, read_image, sha256_file
from pipeline.sample import Sample, decode_depth, decode_flow, present

Task = TypeVar("Task")


@dataclass(frozen=True)
class Made(Generic[Task]):
    """A set before it is written: how to make a sample of an item, and a digest of all that decides the result."""

    make: Callable[[Task], Sample]
    items: Sequence[Task]
    classes: str
    split: str
    digest: str


def source_samples(source: SourceSettings, raw: Path, fixed: Path) -> Made[Item]:
    """Pictures of the synthetic set with its mended labels, instances and depth, as far as it has them."""
    dataset = open_dataset(source.layout, raw / source.name, **source.options())
    items = dataset.items()
    folders = {"label": "labels", "instance": "instances", "depth": "depth"}
    have = {part: fixed / folder for part, folder in folders.items() if (fixed / folder).is_dir()}
    if not (fixed / "report.json").is_file():
        raise UserError(f"{fixed}/report.json is missing; run fix_labels first (dvc repro fix_labels)")
    marks = digest({str(p.relative_to(fixed)): sha256_file(p) for d in have.values() for p in sorted(d.iterdir())})
    return Made(partial(_with_fixed, dataset.read, have), items, dataset.classes, "train", digest([mark(items), marks]))


def _with_fixed(read: Reader, have: dict[str, Path], item: Item) -> Sample:
    sample = read(item, ("image",))
    planes: dict[str, Any] = {
        part: read_image(folder / f"{item.key}.png", "unchanged") for part, folder in have.items()
    }
    if "depth" in planes:
        planes["depth"] = decode_depth(planes["depth"])
    return replace(sample, **planes)


def target_samples(target: TargetSettings, raw: Path, split: str, parts: tuple[str, ...]) -> Made[Item]:
    """Parts of one split of the real set; one that is named "instance?" where every picture has it."""
    dataset = open_dataset(target.layout, raw / target.name, **target.options())
    items = dataset.items(split)
    parts = tuple(present(parts, set.intersection(*(set(item.files) for item in items)) if items else ()))
    dataset.check(parts, split)
    return Made(partial(dataset.read, parts=parts), items, dataset.classes, split, digest([mark(items), parts]))


def pair_samples(pairs: PairSettings, raw: Path, split: str) -> Made[Item]:
    """Both pictures of every aligned pair of one split."""
    dataset, parts = open_dataset("pairs", raw / pairs.name, **pairs.options()), ("image", "paired")
    items = dataset.items(split)
    own = digest([mark(items), pairs.options()])
    return Made(partial(dataset.read, parts=parts), items, dataset.classes, split, own)


def sequence_samples(raw: Path, flow: Path) -> Made[Item]:
    """Pictures of the sequences with the flow that `optical_flow` estimated, forward and backward."""
    dataset = open_dataset("sequences", raw, dev_share=0.0)
    items = dataset.items()
    marks = digest({str(p.relative_to(flow)): sha256_file(p) for p in sorted(flow.rglob("*.png"))})
    return Made(partial(_with_flow, dataset.read, flow), items, dataset.classes, "train", digest([mark(items), marks]))


def _with_flow(read: Reader, flow: Path, item: Item) -> Sample:
    sample = read(item, ("image",))
    for part in ("flow", "flow_back"):
        path = flow / part / f"{item.key}.png"
        if path.is_file():  # a sequence's last frame has no flow forward, its first none backward
            setattr(sample, part, decode_flow(read_image(path, "unchanged")))
    return sample


def mark(items: Sequence[Item]) -> str:
    """What decides the items' content, without reading it: names, places, lengths and times of their files, and what is known of them besides."""
    files = {file for item in items for file in item.files.values()}
    times = {path: os.stat(path).st_mtime_ns for path in {file.path for file in files}}
    return digest(
        [
            (item.key, dict(item.meta), sorted((str(f), f.size, times[f.path]) for f in item.files.values()))
            for item in items
        ]
    )
