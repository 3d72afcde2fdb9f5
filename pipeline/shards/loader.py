"""Batches in an order that is pure: the global batch at step k is a function of (seed, k) alone.

Samples are decoded ahead in threads (OpenCV and hashlib let go of Python's lock), a fixed number of steps and no more.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import count, islice

import numpy as np
import torch

from pipeline.files import UserError
from pipeline.sample import Sample, present
from pipeline.shards.ahead import ahead_of
from pipeline.shards.batch import Batch, collate
from pipeline.shards.index import FETCH, ShardSet
from pipeline.shards.joined import ShardSource
from pipeline.shards.order import Order, locate
from pipeline.shards.stream import ShardStream

Request = Callable[[], Sample]


class GlobalBatches:
    """The endless sequence of steps; each holds a Batch a domain, this rank's slice of the global batch.

    Of each set, step k takes positions kB .. kB + B - 1 of its epochs laid end to end, so every epoch is exact even
    when B does not divide it. Started again, at any step, it gives the same batches.

    Args:
        sets: domain name -> opened set.
        batch_size: B, samples of each domain in the global batch, over all ranks.
        parts: domain -> what is decoded; a domain that is not named gets all that each of its samples has.
        orders: domain -> what stands at its positions instead of its epochs.
        threads, ahead: decoding threads, and steps that are decoded in advance.
    """

    def __init__(
        self,
        sets: Mapping[str, ShardSource],
        batch_size: int,
        seed: int,
        *,
        rank: int = 0,
        world: int = 1,
        parts: Mapping[str, Sequence[str]] | None = None,
        device: torch.device | str = "cpu",
        orders: Mapping[str, Order] | None = None,
        threads: int = 2,
        ahead: int = 2,
    ):
        if batch_size % world:
            raise UserError(f"a batch of {batch_size} cannot be split evenly over {world} ranks; choose a multiple")
        self.sets = dict(sets)
        self.batch_size, self.seed, self.rank, self.world = batch_size, seed, rank, world
        self.parts = {domain: _parts(opened, (parts or {}).get(domain)) for domain, opened in self.sets.items()}
        self.orders = dict(orders or {})
        self.device, self.threads, self.ahead = device, threads, ahead
        self.waited = 0.0  # seconds in which training stood still for want of data
        self.streams = {
            domain: ShardStream(opened, domain, batch_size, seed, rank, world)
            for domain, opened in self.sets.items()
            if isinstance(opened, ShardSet) and opened.url
        }
        for domain, opened in self.sets.items():
            _check_one_size(opened)
            if domain in self.streams and domain in self.orders:
                raise UserError(f"{opened.path} is streamed from a URL and so is read in its own order alone; {FETCH}")

    def positions(self, step: int) -> np.ndarray:
        """This rank's positions in the endless order at a step: int64 (B / world,)."""
        share = self.batch_size // self.world
        return step * self.batch_size + self.rank * share + np.arange(share, dtype=np.int64)

    def indices(self, domain: str, step: int) -> np.ndarray:
        """Which samples of a domain's set stand at this rank's positions."""
        positions = self.positions(step)
        if domain in self.orders:
            return self.orders[domain](positions)
        if domain in self.streams:
            return self.streams[domain].indices(positions)
        return locate(self.seed, len(self.sets[domain]), positions, domain)

    def batches(self, start: int = 0) -> Iterator[dict[str, Batch]]:
        """The steps from `start` on."""
        share = self.batch_size // self.world
        with ExitStack() as stack:
            streams = {
                domain: stack.enter_context(closing(stream.samples(start, self.parts[domain], self.threads)))
                for domain, stream in self.streams.items()
            }
            requests = (self._requests(step, streams) for step in count(start))
            decoded = stack.enter_context(closing(ahead_of(requests, self.threads, self.ahead)))
            for step in count(start):
                begin = time.perf_counter()
                samples = next(decoded)
                self.waited += time.perf_counter() - begin
                slices = {domain: samples[n * share : (n + 1) * share] for n, domain in enumerate(self.sets)}
                positions = self.positions(step)
                yield {domain: collate(part, domain, positions, self.device) for domain, part in slices.items()}

    def _requests(self, step: int, streams: Mapping[str, Iterator[Request]]) -> list[Request]:
        requests: list[Request] = []
        for domain, opened in self.sets.items():
            if domain in streams:
                requests += islice(streams[domain], self.batch_size // self.world)
            else:
                requests += (partial(_read, opened, int(i), self.parts[domain]) for i in self.indices(domain, step))
        return requests


def in_order(
    opened: ShardSource,
    batch_size: int,
    *,
    parts: Sequence[str] | None = None,
    domain: str = "",
    device: torch.device | str = "cpu",
    threads: int = 2,
    ahead: int = 2,
) -> Iterator[Batch]:
    """Every sample of a set once, as it is stored: for translating and evaluating. The last batch may be smaller.

    Pictures of different sizes are allowed with batch_size 1.
    """
    if batch_size > 1:
        _check_one_size(opened)
    chosen = _parts(opened, parts)
    starts = range(0, len(opened), batch_size)
    groups = [range(start, min(start + batch_size, len(opened))) for start in starts]
    requests: Iterator[Sequence[Request]] = ([partial(_read, opened, i, chosen) for i in group] for group in groups)
    for group, samples in zip(groups, ahead_of(requests, threads, ahead), strict=True):
        yield collate(samples, domain, np.array(group, np.int64), device)


def _read(opened: ShardSource, i: int, parts: Sequence[str]) -> Sample:
    """A sample, decoded in a thread; what nobody foresaw is told with its place."""
    try:
        return opened.read(i, parts)
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:
        raise UserError(
            f"{opened.keys[i]} of {opened.path} cannot be decoded ({type(error).__name__}: {error}); delete the set and run its "
            "stage again (dvc repro), or see where it comes from with --debug"
        ) from error


def _parts(opened: ShardSource, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The parts to decode, all of which every sample must have; one that is named "instance?" is left out if it is not there."""
    if wanted is None:
        return opened.parts
    wanted = present(wanted, opened.parts)
    if missing := [part for part in wanted if part not in opened.parts]:
        raise UserError(f"{opened.path} has no {' and no '.join(missing)} for every sample; shard the set with it")
    return tuple(wanted)


def _check_one_size(opened: ShardSource) -> None:
    if opened.size is None:
        raise UserError(f"the pictures of {opened.path} differ in size; set its shard height and width in params.yaml")
