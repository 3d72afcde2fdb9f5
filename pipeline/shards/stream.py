"""Streaming a set from a URL with webdataset, in an order as pure as that of the shards on disk.

An epoch is the set's shards, permuted by (seed, epoch), laid end to end and cut into one stretch of consecutive samples a
rank, as long as there are positions of that rank in the epoch: so each sample is seen once an epoch, whatever the batch and
the number of ranks. (webdataset's own splitters deal out whole shards, and ranks come to uneven ends.) A rank goes through
its stretch by blocks of a few shards, whose samples are permuted too. So the index tells without reading anything which
sample stands at a position, and a restart fetches no shard that is passed over.
"""

import hashlib
import tarfile
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import count, tee
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.files import UserError
from pipeline.sample import Sample, decode
from pipeline.shards.ahead import ahead_of
from pipeline.shards.download import Download
from pipeline.shards.index import ShardSet, part_of
from pipeline.shards.order import order

BLOCK = 8  # shards whose samples are permuted together; those of two blocks are held in memory, encoded
AGAIN = "put the whole set there again"

Members = dict[str, bytes]  # extension -> encoded bytes


class ShardStream:
    """The samples of one rank's places in the endless order of a domain.

    Args:
        opened: a set whose shards lie at a URL; batch_size: samples of the domain in the global batch.
    """

    def __init__(self, opened: ShardSet, domain: str, batch_size: int, seed: int, rank: int = 0, world: int = 1):
        self.opened, self.domain, self.seed = opened, domain, seed
        self.batch_size, self.rank, self.share = batch_size, rank, batch_size // world
        names = pa.array([shard["name"] for shard in opened.shards])
        self.shard_of = pc.index_in(opened.index["shard"], names).to_numpy()
        if (np.diff(self.shard_of) < 0).any():
            raise UserError(f"{opened.path}: its index is not in the order of its shards; write the set again")
        self.sizes = np.bincount(self.shard_of, minlength=len(names))  # samples of each shard
        self.firsts = np.cumsum(self.sizes) - self.sizes

    def indices(self, positions: np.ndarray) -> np.ndarray:
        """Which samples stand at positions of this rank, each after the one before: int64."""
        rows = self._rows(int(positions[0]) // self.batch_size)
        block = next(rows)
        while len(block) < len(positions):
            block = np.concatenate([block, next(rows)])
        return block[: len(positions)]

    def samples(self, step: int, parts: Collection[str], threads: int) -> Generator[Callable[[], Sample], None, None]:
        """What decodes each sample of this rank from a step on, without an end; as many shards as threads come at once."""
        (blocks, again), ended = tee(self._rows(step)), Event()
        calls = ([partial(self._fetch, some, parts, ended) for some in self._shares(rows, threads)] for rows in blocks)
        with closing(ahead_of(calls, threads, ahead=1)) as fetched:
            try:
                for rows, found in zip(again, fetched, strict=True):
                    members = {row: one for share in found for row, one in share.items()}
                    for row in rows.tolist():
                        yield partial(decode, self.opened.keys[row], members.pop(row), f"{self._url(row)}: ")
            finally:
                ended.set()

    # -- which samples ---------------------------------------------------------------------------------------------

    def _rows(self, step: int) -> Iterator[np.ndarray]:
        """Samples from a step on, block by block, in the order in which they are given out."""
        first = (step * self.batch_size + self.rank * self.share) // len(self.opened)
        passed = step * self.share - self._before(first * len(self.opened), self.rank)
        for epoch in count(first):
            for rows in self._blocks(epoch):
                if passed < len(rows):
                    yield rows[passed:]
                passed = max(passed - len(rows), 0)

    def _blocks(self, epoch: int) -> Iterator[np.ndarray]:
        """This rank's samples of an epoch, block by block."""
        shards = order(self.seed, epoch, len(self.sizes), f"shards/{self.domain}")
        ends = np.cumsum(self.sizes[shards])
        starts = ends - self.sizes[shards]
        lengths = [
            self._before((epoch + 1) * len(self.opened), rank) - self._before(epoch * len(self.opened), rank)
            for rank in range(self.rank + 1)
        ]
        begin, end = sum(lengths[:-1]), sum(lengths)
        mine = np.flatnonzero((starts < end) & (ends > begin))
        for number, at in enumerate(range(0, len(mine), BLOCK)):
            stretches = [
                self.firsts[shards[n]] + np.arange(max(begin, starts[n]), min(end, ends[n])) - starts[n]
                for n in mine[at : at + BLOCK]
            ]
            rows = np.concatenate(stretches)
            yield rows[order(self.seed, epoch, len(rows), f"block/{self.domain}/{self.rank}/{number}")]

    def _before(self, position: int, rank: int) -> int:
        """How many positions below `position` are those of a rank."""
        batches, rest = divmod(position, self.batch_size)
        return batches * self.share + min(max(rest - rank * self.share, 0), self.share)

    # -- and their bytes -------------------------------------------------------------------------------------------

    def _shares(self, rows: np.ndarray, threads: int) -> list[np.ndarray]:
        """The samples of a block, for each thread those of every threads-th of its shards."""
        shards, which = np.unique(self.shard_of[rows], return_inverse=True)
        return [np.sort(rows[which % threads == worker]) for worker in range(min(threads, len(shards)))]

    def _url(self, row: int) -> str:
        return f"{self.opened.url}/{self.opened.shards[self.shard_of[row]]['name']}"

    def _fetch(self, rows: np.ndarray, parts: Collection[str], ended: Event) -> dict[int, Members]:
        """The encoded parts of samples, streamed from the shards in which they lie, each checked against its SHA-256."""
        # loads torch's data loading, so not where nothing is streamed
        from webdataset import DataPipeline, SimpleShardList
        from webdataset.tariterators import group_by_keys, tar_file_expander

        wanted = {row: self._wanted(row, parts) for row in rows.tolist()}
        names = {f"{self.opened.keys[row]}.{extension}" for row, sums in wanted.items() for extension in sums}
        numbers = {self.opened.keys[row]: row for row in wanted}
        sizes = {self._url(row): self.opened.shards[self.shard_of[row]]["bytes"] for row in wanted}
        streams: list[Download] = []

        def connect(shards: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
            for shard in shards:
                streams.append(Download(shard["url"], sizes[shard["url"]]))
                with closing(streams[-1]) as stream:
                    yield {"url": shard["url"], "stream": stream}

        expand = partial(tar_file_expander, select_files=names.__contains__)
        found: dict[int, Members] = {}
        try:
            for sample in DataPipeline(SimpleShardList(list(sizes)), connect, expand, group_by_keys):
                if ended.is_set():  # nobody waits for the rest
                    return {}
                row = numbers[sample["__key__"]]
                found[row] = {name: data for name, data in sample.items() if not name.startswith("__")}
        except (UserError, tarfile.TarError, ValueError, EOFError) as error:
            broken = f"{streams[-1].url} is not what was written ({error.args[0]}); {AGAIN}"
            raise UserError(streams[-1].trouble or broken) from None
        for row, sums in wanted.items():
            self._check(row, sums, found.get(row, {}))
        return found

    def _wanted(self, row: int, parts: Collection[str]) -> dict[str, str]:
        """Extension -> SHA-256 of the members of a sample's parts."""
        members: Sequence[dict[str, Any]] = self.opened.row(row)["members"]
        return {one["extension"]: one["sha256"] for one in members if part_of(one["extension"]) in parts}

    def _check(self, row: int, sums: dict[str, str], members: Members) -> None:
        for extension, expected in sums.items():
            if hashlib.sha256(members.get(extension, b"")).hexdigest() != expected:
                name = f"{self.opened.keys[row]}.{extension}"
                raise UserError(f"{self._url(row)}: {name} is not what was written (its digest differs); {AGAIN}")
