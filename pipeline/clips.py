"""Clips with the optical flow of every frame: what a method that looks for anomalies is given.

The flow of a frame leads to the next frame of its clip. The last one has none: it takes the flow that leads to the frame
before, turned round, so that every frame is judged. It is Farneback's everywhere, also where it contradicts the flow back.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.assemble import Made, mark
from pipeline.classes import NORMAL_ABNORMAL
from pipeline.datasets import Dataset, Item, Reader, open_dataset
from pipeline.datasets.base import safe_key, take_end
from pipeline.datasets.settings import ClipSettings
from pipeline.farneback import FlowSettings, farneback
from pipeline.files import UserError, digest
from pipeline.sample import Sample, present

PARTS = ("image", "label?")


class Moment(NamedTuple):
    """A frame, and the neighbour that its flow is estimated with: the next one, or with sign -1 the one before."""

    item: Item
    neighbour: Item
    sign: int


def clip_samples(clips: ClipSettings, flow: FlowSettings, raw: Path, split: str) -> Made[Moment]:
    """Frames of one split with their flow, and with masks where every frame has one."""
    dataset = open_clips(clips, raw / clips.name)
    items = dataset.items(split)
    parts = masks(items)
    own = digest([mark(items), parts, flow.model_dump()])
    return Made(partial(moving, dataset.read, flow, parts), moments(items, dataset.where), dataset.classes, split, own)


def open_clips(clips: ClipSettings, root: Path) -> Dataset:
    """The data set with the splits train (normal), val (normal, held out) and test. Of sequences that have no such splits the
    end of each is the test, and what comes before it is held out: a whole one less would often be a place less."""
    dataset = open_dataset(clips.layout, root, **clips.options())
    if clips.layout != "sequences":
        return dataset
    dataset = as_clips(dataset)
    items, known = dataset.all_items, dataset.counts()
    for name in ("test", "val"):
        items = items if name in known else take_end(items, clips.held_out, name)
    return replace(dataset, all_items=items)


def as_clips(drives: Dataset) -> Dataset:
    """Sequences as clips of which nobody says what is abnormal; a name is one that a file can have."""
    items = [
        replace(item, sequence=safe_key(item.sequence), files={"image": item.files["image"]})
        for item in drives.all_items
    ]
    return replace(drives, all_items=items, classes=NORMAL_ABNORMAL.name)


def masks(items: Sequence[Item]) -> tuple[str, ...]:
    """The parts that all of the frames have: the image, and the label where none lacks its mask."""
    return tuple(present(PARTS, set.intersection(*(set(item.files) for item in items))))


def moments(items: Sequence[Item], where: str) -> list[Moment]:
    """Every frame with its neighbour, in order. Raises UserError for a clip of one frame."""
    clips: dict[str, list[Item]] = {}
    for item in items:
        clips.setdefault(item.sequence, []).append(item)
    if short := [name for name, frames in clips.items() if len(frames) < 2]:
        raise UserError(f"{where}: {', '.join(short)} has a single frame; optical flow needs two")
    found = []
    for frames in clips.values():
        found += [Moment(a, b, 1) for a, b in zip(frames, frames[1:], strict=False)]
        found.append(Moment(frames[-1], frames[-2], -1))
    return found


def moving(read: Reader, flow: FlowSettings, parts: tuple[str, ...], moment: Moment) -> Sample:
    """The sample of a moment: its parts, and its flow in pixels a frame, valid everywhere."""
    sample, other = read(moment.item, parts), read(moment.neighbour).image
    assert sample.image is not None and other is not None
    if sample.image.shape != other.shape:
        raise UserError(
            f"{moment.item.files['image']} and {moment.neighbour.files['image']} differ in size; a clip has one size"
        )
    vectors = moment.sign * farneback(sample.image, other, flow)
    sample.flow = vectors, np.ones(vectors.shape[:2], bool)
    return sample
