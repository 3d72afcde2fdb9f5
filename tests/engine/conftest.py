"""One thread, and signals as they were: trainings run inside the test process."""

import signal
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    threads, handler = torch.get_num_threads(), signal.getsignal(signal.SIGTERM)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def in_world(world, monkeypatch) -> None:
    """The small world as the current folder."""
    monkeypatch.chdir(world)
