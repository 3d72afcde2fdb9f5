"""The loader against bare decoding, torchvision over files, and webdataset: python -m benchmarks.loader [--sizes 128x256 512x1024]

Samples of a picture (JPEG) and a label (PNG) that the embedded world draws once into a temporary folder; nothing is kept
decoded. All take turns in one process, in which glibc keeps freed memory as it does in every stage (it makes all of
them faster), `--steps` batches a round, each once the others have made what they make ahead; samples/s are medians of the
rounds, and "ours : it" the median of the rounds' ratios. Workers are decoding threads of bare decoding and of ours, processes
of the other two.

bare      cv2.imdecode of the same bytes, which lie in memory; uint8, not checked, not put together
files     torchvision's usual way: PIL, to_tensor, normalize, torch's DataLoader over files
webdataset  its own pipeline over our shards: PIL, the same tensors, batched, WebLoader
samples   ours: ShardSet.read, members found by offset and checked by SHA-256; RGB uint8
batches   ours: GlobalBatches, float pictures in [-1, 1] and int64 labels; with 0 workers read and collated without a
          thread, which no training does
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import psutil
import torch

from benchmarks.turns import ratio, rows, seconds, take_turns
from pipeline.cluster import ClusterSettings
from pipeline.sample import Sample
from pipeline.shards.batch import collate
from pipeline.shards.index import ShardSet
from pipeline.shards.loader import GlobalBatches
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards
from stages.common import keep_memory

PARTS, MEMBERS = ("image", "label"), ("image.jpg", "label.png")
Maker = Callable[[Path, ShardSet, int, int, ExitStack], Iterator[Any]]


def draw(folder: Path, size: tuple[int, int], pictures: int) -> ShardSet:
    """A set of four shards in `folder/shards`, and its members as files in `folder/files`."""
    own = ShardSettings(samples_per_shard=-(-pictures // 4))
    cluster = ClusterSettings(workers=os.cpu_count() or 1)
    done = {"classes": "cityscapes19", "split": "train", "settings": own, "cluster": cluster}
    write_shards(partial(street, size), range(pictures), folder / "shards", **done)
    opened = ShardSet.open(folder / "shards")
    (folder / "files").mkdir()
    for key, members in stored(opened):
        for name, data in zip(MEMBERS, members, strict=True):
            (folder / "files" / f"{key}.{name}").write_bytes(data)
    return opened


def street(size: tuple[int, int], n: int) -> Sample:
    from pipeline.world.frame import render

    frame = render(0, "source", n, size)
    return Sample(f"street{n:04d}", image=frame.image, label=frame.label)


def stored(opened: ShardSet) -> Iterator[tuple[str, list[bytes]]]:
    """Every sample's key and the bytes of its picture and label."""
    for row in map(opened.row, range(len(opened))):
        shard, held = (opened.path / row["shard"]).read_bytes(), {m["extension"]: m for m in row["members"]}
        yield (
            row["key"],
            [shard[m["offset"] : m["offset"] + m["size"]] for m in (held[extension] for extension in MEMBERS)],
        )


# -- the rivals: endless batches ----------------------------------------------------------------------------------


def bare(folder: Path, opened: ShardSet, batch: int, workers: int, closed: ExitStack) -> Iterator[Any]:
    held = cycle([[np.frombuffer(data, np.uint8) for data in members] for _, members in stored(opened)])

    def decode(members: list[np.ndarray]) -> list[np.ndarray]:
        return [cv2.imdecode(data, cv2.IMREAD_UNCHANGED) for data in members]

    over = mapping(workers, closed)
    return (list(over(decode, islice(held, batch))) for _ in count())


def samples(folder: Path, opened: ShardSet, batch: int, workers: int, closed: ExitStack) -> Iterator[Any]:
    order, over = cycle(range(len(opened))), mapping(workers, closed)
    return (list(over(lambda i: opened.read(i, PARTS), islice(order, batch))) for _ in count())


def mapping(workers: int, closed: ExitStack) -> Callable[..., Any]:
    return closed.enter_context(ThreadPoolExecutor(workers)).map if workers else map


def batches(folder: Path, opened: ShardSet, batch: int, workers: int, closed: ExitStack) -> Iterator[Any]:
    if not workers:
        return (collate(read, "source", np.arange(batch)) for read in samples(folder, opened, batch, 0, closed))
    return GlobalBatches({"source": opened}, batch, 0, parts={"source": PARTS}, threads=workers).batches()


class Files(torch.utils.data.Dataset):
    """What a project that begins with torchvision writes."""

    def __init__(self, folder: Path):
        self.pictures = sorted(folder.glob(f"*.{MEMBERS[0]}"))

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        from PIL import Image

        path = self.pictures[n]
        with Image.open(path) as picture, Image.open(str(path).replace(*MEMBERS)) as label:
            return floats(picture.convert("RGB")), ids(label)


def floats(picture: Any) -> torch.Tensor:
    from torchvision.transforms import functional

    return functional.normalize(functional.to_tensor(picture), [0.5] * 3, [0.5] * 3)


def ids(label: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(label)).long()


def files(folder: Path, opened: ShardSet, batch: int, workers: int, closed: ExitStack) -> Iterator[Any]:
    data = Files(folder / "files")
    order = torch.utils.data.RandomSampler(data, num_samples=10**9)
    return iter(torch.utils.data.DataLoader(data, batch, sampler=order, num_workers=workers))


def web(folder: Path, opened: ShardSet, batch: int, workers: int, closed: ExitStack) -> Iterator[Any]:
    import webdataset

    urls = [str(opened.path / shard["name"]) for shard in opened.shards]
    pipeline = webdataset.WebDataset(urls, shardshuffle=len(urls), empty_check=False).shuffle(100)
    pipeline = pipeline.decode(webdataset.handle_extension("label.png", grey), "pil").to_tuple(*MEMBERS)
    pipeline = pipeline.map_tuple(floats, ids).repeat().batched(batch)
    return iter(webdataset.WebLoader(pipeline, batch_size=None, num_workers=workers))


def grey(data: bytes) -> Any:
    import io

    from PIL import Image

    with Image.open(io.BytesIO(data)) as label:
        return np.array(label)


RIVALS: dict[str, Maker] = {"bare": bare, "files": files, "webdataset": web, "samples": samples, "batches": batches}


def settle() -> None:
    """Wait until no thread and no process makes batches ahead: those of the last one would slow the next one down."""
    here = psutil.Process()

    def busy() -> float:
        return sum(sum(one.cpu_times()[:2]) for one in (here, *here.children(recursive=True)))

    before = -1.0
    while (now := busy()) - before > 0.02:  # its clock ticks each 0.01 s
        before = now
        time.sleep(0.2)


def a_round(stream: Iterator[Any], batch: int, steps: int, waiting: int) -> float:
    """Samples/s, after the batches that were made while others had their turn."""
    settle()
    for _ in range(waiting):
        next(stream)
    return steps * batch / seconds(lambda: [next(stream) and None for _ in range(steps)])


def measure(folder: Path, opened: ShardSet, workers: int, given: argparse.Namespace) -> dict[str, list[float]]:
    with ExitStack() as closed:
        turns = {}
        for name, make in RIVALS.items():
            stream = make(folder, opened, given.batch, workers, closed)
            turns[name] = partial(a_round, stream, given.batch, given.steps, 2 * workers + 2)
        return take_turns(turns, given.rounds)


def main(given: argparse.Namespace) -> None:
    keep_memory()
    lines = []
    for size in given.sizes:
        height, width = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            opened = draw(Path(folder), (height, width), given.pictures)
            for workers in given.workers:
                found = measure(Path(folder), opened, workers, given)
                cells = [f"{median(rates):.0f}" for rates in found.values()]
                own = [f"{ratio(found['samples'], found['bare']):.2f}"]
                own += [f"{ratio(found['batches'], found[name]):.2f}" for name in ("bare", "files", "webdataset")]
                lines.append([size, str(workers), *cells, *own])
    head = ["size", "workers", *RIVALS, "samples : bare", *(f"batches : {n}" for n in ("bare", "files", "webdataset"))]
    print(
        f"{given.batch} samples a batch, {len(os.sched_getaffinity(0))} cores, {torch.get_num_threads()} threads of torch"
    )
    print(rows(head, lines))


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--sizes", nargs="+", default=["128x256", "512x1024"])
    made.add_argument("--workers", nargs="+", type=int, default=[0, 1, 2])
    made.add_argument("--batch", type=int, default=8)
    made.add_argument("--pictures", type=int, default=32)
    made.add_argument("--steps", type=int, default=10, help="batches of a round")
    made.add_argument("--rounds", type=int, default=7)
    main(made.parse_args())
