"""What the loader asks of an opened set, and two sets of the same pictures read as one."""

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

from pipeline.files import UserError
from pipeline.files import digest as digest_of
from pipeline.sample import Sample
from pipeline.shards.index import ShardSet


class ShardSource(Protocol):
    """An opened set: ShardSet, or two of them Joined."""

    path: Path
    classes: str
    digest: str
    size: tuple[int, int] | None
    keys: list[str]

    @property
    def parts(self) -> tuple[str, ...]: ...
    def __len__(self) -> int: ...
    def read(self, i: int, parts: Collection[str] | None = None) -> Sample: ...


class Joined:
    """Two sets with the same keys in the same order, one holding pictures, say, and the other their labels.

    What both hold is read from the first. Raises UserError when the keys or the sizes differ.
    """

    def __init__(self, first: ShardSet, second: ShardSet):
        if first.keys != second.keys or first.size != second.size:
            raise UserError(f"{first.path} and {second.path} hold different pictures; make both sets again (dvc repro)")
        self.first, self.second = first, second
        self.path, self.keys, self.size, self.classes = first.path, first.keys, first.size, second.classes
        self.digest = digest_of([first.digest, second.digest])

    def __len__(self) -> int:
        return len(self.first)

    @property
    def parts(self) -> tuple[str, ...]:
        """What every sample of either set has."""
        return (*self.first.parts, *(part for part in self.second.parts if part not in self.first.parts))

    def read(self, i: int, parts: Collection[str] | None = None) -> Sample:
        """Sample i with the wanted parts (None: all that every sample has)."""
        wanted = self.parts if parts is None else parts
        here = [part for part in wanted if part in self.first.parts]
        merged, other = self.first.read(i, here), self.second.read(i, [part for part in wanted if part not in here])
        known: dict[str, Any] = {field.name: getattr(other, field.name) for field in fields(Sample)}
        for name, value in known.items():
            if value is not None and getattr(merged, name) is None:
                setattr(merged, name, value)
        return merged
