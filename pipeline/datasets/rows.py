"""Rows of an array file in place of files: what a picture is where thousands of them lie in one array.

A Row holds no array, only how to load it; each process loads it once and keeps it. Its bytes are the row's values.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline import planes
from pipeline.datasets.source import File
from pipeline.files import UserError

MAX_ROWS = 2_000_000  # pictures of one array; more would fill the memory with their names (EMNIST has 0.8 million)

Load = Callable[[File, str], np.ndarray]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an array (N, ...); `str(row)` is how errors name it."""

    load: Load  # a function of a module, so that a row travels to other processes
    file: File
    array: str  # its name in the file, '' where that holds one
    index: int
    size: int  # bytes

    @property
    def path(self) -> str:
        return self.file.path

    def __str__(self) -> str:
        return f"{self.file}:{self.array}[{self.index}]" if self.array else f"{self.file}[{self.index}]"

    def read(self) -> bytes:
        """The row's values in order; raises UserError where the file is gone, damaged or another one by now."""
        stored = array(self.load, self.file, self.array)
        data = stored[self.index].tobytes() if self.index < len(stored) else b""
        if len(data) != self.size:
            raise UserError(f"{self.file} was changed while it was in use; start again")
        return data


def check_count(count: int, where: str) -> None:
    """Raises UserError for more pictures than are read: a few bytes, packed well, stand for a thousand million."""
    if count > MAX_ROWS:
        raise UserError(f"{where} has {count:,} pictures, more than the {MAX_ROWS:,} that are read; split it")


def array(load: Load, file: File, name: str = "") -> np.ndarray:
    """The array `name` of a file, loaded once in a process as long as the file stays the same."""
    try:
        changed = os.stat(file.path).st_mtime_ns
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); is it still there?") from None
    return _kept(load, file, name, changed)


@lru_cache(maxsize=4)  # pictures and masks of two splits
def _kept(load: Load, file: File, name: str, changed: int) -> np.ndarray:
    return load(file, name)


def picture(data: bytes, where: str, shape: tuple[int, ...]) -> np.ndarray:
    """uint8 RGB (H, W, 3) of a row of shape (H, W), (H, W, 1) or (H, W, 3); grey is repeated."""
    stored = np.frombuffer(data, np.uint8).reshape(*shape[:2], -1)
    return np.repeat(stored, 3 // stored.shape[2], axis=2)


def mask(data: bytes, where: str, shape: tuple[int, ...]) -> np.ndarray:
    """uint8 (H, W), 0 or 1, of a row of two values; see `planes.two_values`."""
    return planes.two_values(np.frombuffer(data, np.uint8).reshape(shape[:2]), where)
