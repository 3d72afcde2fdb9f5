"""One thread, and signals as they were: trainings run inside the test process."""

import signal
from collections.abc import Iterator
from unittest import mock

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


@pytest.fixture(scope="session", autouse=True)
def lite0_is_read_once() -> Iterator[None]:
    """Its file takes a tenth of a second to read and digest, and every spigan that is built asks for it."""
    from pipeline.nets import perceptual

    (build, fetch), digest = perceptual._NETWORKS["lite0"], perceptual.weights_digest
    state, where = fetch(None)
    known = digest(state)
    with (
        mock.patch.dict(
            perceptual._NETWORKS, lite0=(build, lambda file: fetch(file) if file is not None else (state, where))
        ),
        mock.patch.object(perceptual, "weights_digest", lambda given: known if given is state else digest(given)),
    ):
        yield
