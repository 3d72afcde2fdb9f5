"""Calls that threads make ahead of whoever wants their results."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def ahead_of(
    steps: Iterator[Sequence[Callable[[], Result]]], threads: int, ahead: int
) -> Generator[list[Result], None, None]:
    """The results of each step's calls, in order; those of at most `ahead` further steps are held in memory."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
    waiting: deque[list[Future[Result]]] = deque()
    try:
        for calls in steps:
            waiting.append([pool.submit(call) for call in calls])
            if len(waiting) > ahead:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)
