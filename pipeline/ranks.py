"""Processes that share the work of one stage, without importing torch; pipeline/sharing.py launches them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def _only_mine(value: Any) -> list[Any]:
    return [value]


@dataclass(frozen=True)
class Ranks:
    """Processes, each with a device, that share a stage: this one takes every `world`-th piece, from its rank on.

    gather: everybody's values, in order of rank, for everybody; all wait for the last.
    """

    rank: int = 0
    world: int = 1
    gather: Callable[[Any], list[Any]] = _only_mine


ONE = Ranks()
