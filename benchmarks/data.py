"""What the data stages add to the calls that they cannot do without: python -m benchmarks.data [--sizes 128x256 512x1024]

Flow: Farneback forward and backward between neighbouring frames of the embedded world. "bare" are OpenCV's calls alone, on
grey pictures that lie in memory; "ours" is pipeline.flow's estimate, with grey pictures made and consistency checked. The two
take turns. Then whole stages on the same world in this process, flow, fix_labels and shard: how long one takes a picture, and
what share of that is Farneback, coding (OpenCV's decoding and encoding of PNG and JPEG) and the rest. All times are of
the processor, so that they are per core.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from benchmarks.turns import ratio, rows, seconds, take_turns
from pipeline.assemble import source_samples
from pipeline.cluster import ClusterSettings
from pipeline.datasets import open_dataset
from pipeline.datasets.settings import SourceSettings
from pipeline.farneback import FlowSettings
from pipeline.flow import _both, flow_of_sequences
from pipeline.labels import fix_labels
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards
from pipeline.world.settings import Sequences, WorldSettings
from pipeline.world.writers import write_part

SETTINGS = FlowSettings()
SOURCE = {"layout": "synthia", "name": "world_source", "table": "rand_cityscapes", "labels": "raw16"}
CALLS = {"Farneback": ("calcOpticalFlowFarneback",), "coding": ("imdecode", "imencode")}


def bare(greys: list[np.ndarray]) -> None:
    s = SETTINGS
    chosen = (s.pyr_scale, s.levels, s.winsize, s.iterations, s.poly_n, s.poly_sigma, 0)
    for a, b in zip(greys, greys[1:], strict=False):
        for pair in ((a, b), (b, a)):
            cv2.calcOpticalFlowFarneback(*pair, None, *chosen)


def ours(pictures: list[np.ndarray]) -> None:
    for a, b in zip(pictures, pictures[1:], strict=False):
        _both(a, b, SETTINGS)


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Processor seconds spent in OpenCV's CALLS while the block runs."""
    spent, kept = dict.fromkeys(CALLS, 0.0), {}

    def watch(kind: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        began = time.process_time()
        try:
            return call(*arguments, **options)
        finally:
            spent[kind] += time.process_time() - began

    for kind, names in CALLS.items():
        for name in names:
            kept[name] = getattr(cv2, name)
            setattr(cv2, name, partial(watch, kind, kept[name]))
    try:
        yield spent
    finally:
        for name, call in kept.items():
            setattr(cv2, name, call)


def stages(raw: Path, out: Path) -> dict[str, Callable[[], object]]:
    """The three stages, as stages/ call them, in this process."""
    source = SourceSettings(**SOURCE)

    def shard() -> None:
        made, own = source_samples(source, raw, out / "fixed"), ShardSettings()
        write_shards(made.make, made.items, out / "shards", classes=made.classes, split=made.split, settings=own)

    return {
        "optical_flow": lambda: flow_of_sequences(raw / "world_sequences", out / "flow", SETTINGS),
        "fix_labels": lambda: fix_labels(raw / source.name, out / "fixed", source),
        "shard": shard,
    }


def main(given: argparse.Namespace) -> None:
    against, shares = [], []
    for size in given.sizes:
        height, width = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            raw, out = Path(folder) / "raw", Path(folder) / "out"
            drives = Sequences(count=1, length=given.frames)
            world = WorldSettings(size=(height, width), source=2 * given.frames, sequences=drives)
            for part in ("source", "sequences"):
                write_part(part, raw / f"world_{part}", world, ClusterSettings(workers=given.workers))
            dataset = open_dataset("sequences", raw / "world_sequences", dev_share=0.0)
            pictures = [dataset.read(item).image for item in dataset.items()[: given.frames]]
            greys = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
            rivals = {"bare": partial(bare, greys), "ours": partial(ours, pictures)}
            clocked = {name: partial(seconds, call, time.process_time) for name, call in rivals.items()}
            found = take_turns(clocked, given.rounds)
            cells = [f"{1000 * median(times) / (given.frames - 1):.1f}" for times in found.values()]
            against.append([size, *cells, f"{ratio(found['ours'], found['bare']):.3f}"])
            for name, stage in stages(raw, out).items():
                stage()  # imports, and what the file system has not seen yet
                with timed() as spent:
                    total = seconds(stage, time.process_time)
                parts = [f"{100 * part / total:.0f} %" for part in (*spent.values(), total - sum(spent.values()))]
                shares.append([size, name, f"{1000 * total / (2 * given.frames):.1f}", *parts])
    print(rows(["size", *(f"{name}, ms a pair of frames" for name in ("bare", "ours")), "ours : bare"], against))
    print()
    print(rows(["size", "stage", "ms a picture", *CALLS, "the rest"], shares))


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--sizes", nargs="+", default=["128x256", "512x1024"])
    made.add_argument("--frames", type=int, default=8, help="of a drive; twice as many labelled pictures")
    made.add_argument("--rounds", type=int, default=7)
    made.add_argument("--workers", type=int, default=2, help="processes that draw the world")
    main(made.parse_args())
