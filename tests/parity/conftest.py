"""Nets of one file have keys in common; the weights of all files together would fill the memory."""

from collections.abc import Iterator

import pytest

from tests.parity import fill


@pytest.fixture(scope="module", autouse=True)
def weights_are_forgotten() -> Iterator[None]:
    """What a file's fixtures have in common is kept for that file alone."""
    yield
    fill.forget()
