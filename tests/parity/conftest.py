"""Convolutions in float64 unfold a picture into hundreds of megabytes at a time."""

import ctypes

import pytest

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


@pytest.fixture(scope="session", autouse=True)
def freed_memory_is_kept() -> None:
    """Large arrays come from the heap: with fresh pages for every one, half of the time went into the kernel."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # glibc
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
