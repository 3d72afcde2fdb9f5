"""Convolutions in float64 unfold a picture into hundreds of megabytes at a time."""

import ctypes
from collections.abc import Iterator

import pytest

from tests.parity import fill

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


@pytest.fixture(scope="session", autouse=True)
def freed_memory_is_kept() -> None:
    """Large arrays come from the heap: with fresh pages for every one, half of the time went into the kernel."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # glibc
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


@pytest.fixture(scope="module", autouse=True)
def weights_are_forgotten() -> Iterator[None]:
    """Nets of one file have keys in common; all of them together would fill the memory."""
    yield
    fill.forget()
