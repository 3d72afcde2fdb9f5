"""Reading a shard set by random access. Nothing is trusted: set.json vouches for the index, that for every member."""

import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.classes import TABLES
from pipeline.files import MAX_BYTES, UserError, problems, read_json, sha256_file
from pipeline.sample import KEYS, Sample, decode
from pipeline.shards.layout import DESCRIPTION, FORMAT, INDEX, SCHEMA, SHARD_NAME, set_digest

PARTS = ("image", "paired", "label", "instance", "depth", "flow", "flow_back", "meta")
MAX_CLASSES = 256  # values of a row in the longest column, the class histogram
MEMBER_BYTES = 1024  # that the shortest member takes: its header and a block
AGAIN = "make the set again (remove the folder, then dvc repro)"


class ShardSet:
    """An opened shard set. Read-only and without open files, so threads and processes may share it."""

    def __init__(self, path: Path, description: dict[str, Any], rows: list[dict[str, Any]]):
        self.path = path
        self.classes: str = description["classes"]  # name of the class table
        self.split: str = description["split"]
        self.size: tuple[int, int] | None = tuple(description["size"]) if description["size"] else None
        self.digest: str = description["digest"]  # of all samples in order, however they are spread over shards
        self.shards: list[dict[str, Any]] = description["shards"]
        self.rows = rows
        self.keys: list[str] = [row["key"] for row in rows]

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a set and check all that can be checked without reading its shards.

        Raises UserError when a file is missing, when the index is not the one that was written, when a shard is cut.
        """
        path = Path(path)
        description = _description(path)
        if not (path / INDEX).is_file() or sha256_file(path / INDEX) != description["index"]:
            raise UserError(f"{path / INDEX} is missing or is not what was written (its digest differs); {AGAIN}")
        _check_shards(path, description["shards"])
        rows = _rows(path / INDEX, sum(shard["bytes"] for shard in description["shards"]))
        if len(rows) != description["pictures"] or set_digest(row["digest"] for row in rows) != description["digest"]:
            raise UserError(f"{path / DESCRIPTION} does not describe the index beside it; {AGAIN}")
        _check_rows(path, description, rows)
        return cls(path, description, rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def parts(self) -> tuple[str, ...]:
        """What every sample of the set has, out of PARTS."""
        each = [{_part(member) for member in row["members"]} for row in self.rows]
        common = set.intersection(*each) if each else set()
        return tuple(part for part in PARTS if part in common)

    def read(self, i: int, parts: Collection[str] | None = None) -> Sample:
        """Sample i with the wanted parts (None: all that it has), each checked against its SHA-256.

        Raises UserError for a part that the sample does not have and for bytes that are not those that were written.
        """
        row = self.rows[i]
        held = {_part(member): member for member in row["members"]}
        wanted = held if parts is None else parts
        if missing := [part for part in wanted if part not in held]:
            raise UserError(
                f"{self.path}: sample {row['key']} has no {' and no '.join(missing)}; shard the set with it"
            )
        with open(self.path / row["shard"], "rb", buffering=0) as file:
            members = {held[part]["extension"]: self._member(file.fileno(), row, held[part]) for part in wanted}
        return decode(row["key"], members, where=f"{self.path / row['shard']}: ")

    def histograms(self) -> np.ndarray:
        """Pixels of each class in each sample: int64 (samples, classes + 1), ignored ones last; 0 without a label."""
        empty = [0] * (len(TABLES[self.classes]) + 1)
        return np.array([row["class_histogram"] or empty for row in self.rows], np.int64)

    def verify(self) -> None:
        """Read every shard from end to end; raises UserError naming all that are not what was written."""
        changed = [shard["name"] for shard in self.shards if sha256_file(self.path / shard["name"]) != shard["sha256"]]
        if changed:
            raise problems(f"{self.path}: {len(changed)} shards are not what was written; {AGAIN}:", changed)

    def _member(self, file: int, row: dict[str, Any], member: dict[str, Any]) -> bytes:
        data = os.pread(file, member["size"], member["offset"])
        if hashlib.sha256(data).hexdigest() != member["sha256"]:
            name = f"{row['key']}.{member['extension']}"
            raise UserError(f"{self.path / row['shard']}: {name} is not what was written (its digest differs); {AGAIN}")
        return data


def _part(member: dict[str, Any]) -> str:
    return member["extension"].partition(".")[0]


def _description(path: Path) -> dict[str, Any]:
    """The content of set.json, its shape checked."""
    if not path.is_dir():
        raise UserError(f"there is no shard set at {path}; run the stage that makes it (dvc repro)")
    description = read_json(path / DESCRIPTION)
    kinds = {"classes": str, "split": str, "pictures": int, "digest": str, "index": str, "shards": list}
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise UserError(f"{path / DESCRIPTION} is not the description of a shard set of format {FORMAT}; {AGAIN}")
    wrong = [name for name, kind in kinds.items() if not isinstance(description.get(name), kind)]
    size = description.get("size", ())
    sized = size is None or (isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) for side in size))
    if wrong or description["classes"] not in TABLES or not sized or not _named(description["shards"]):
        raise UserError(f"{path / DESCRIPTION} is damaged (see {', '.join(wrong) or 'classes, size, shards'}); {AGAIN}")
    return description


def _named(shards: list[Any]) -> bool:
    kinds = {"name": str, "bytes": int, "sha256": str}
    return all(isinstance(shard, dict) and isinstance(shard.get(n), k) for shard in shards for n, k in kinds.items())


def _rows(index: Path, size: int) -> list[dict[str, Any]]:
    """All rows, unless there are more than shards of `size` bytes can hold: runs of one value pack without bound."""
    try:
        with pq.ParquetFile(index) as file:  # pq.read_table would import pandas: 0.3 s
            if _values(file.metadata) > MAX_CLASSES * size / MEMBER_BYTES:
                raise UserError(f"{index} has more rows than its shards can hold; {AGAIN}")
            table = file.read()
            table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{index} cannot be read ({' '.join(str(error).split())[:200]}); {AGAIN}") from None
    if not table.schema.equals(SCHEMA):
        raise UserError(f"{index} has other columns than {', '.join(SCHEMA.names)}; {AGAIN}")
    return table.to_pylist()


def _values(metadata: pq.FileMetaData) -> int:
    """Values of the longest column."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    return max([metadata.num_rows, *(g.column(c).num_values for g in groups for c in range(metadata.num_columns))])


def _check_shards(path: Path, shards: list[dict[str, Any]]) -> None:
    """Every shard is there at its length."""
    bad = []
    for name, size in _sizes(shards).items():
        file = path / name
        if not SHARD_NAME.fullmatch(name):
            bad.append(f"{ascii(name)} is no name of a shard")
        elif not file.is_file():
            bad.append(f"{name} is missing")
        elif file.stat().st_size != size:
            bad.append(f"{name} has {file.stat().st_size:,} bytes instead of {size:,}")
    _refuse(path, bad)


def _check_rows(path: Path, description: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Every member lies inside a shard, and what is told of a sample can be used."""
    sizes, counts = _sizes(description["shards"]), len(TABLES[description["classes"]]) + 1
    bad = []
    for row in rows:
        histogram = row["class_histogram"]
        if not row["key"].isprintable() or (histogram and (len(histogram) != counts or None in histogram)):
            bad.append(f"{ascii(row['key'])} has no key or no histogram as they are written")
        for member in row["members"]:
            inside = 0 <= member["offset"] <= sizes.get(row["shard"], -1) - member["size"]
            if not inside or not 0 < member["size"] <= MAX_BYTES or member["extension"] not in KEYS:
                bad.append(f"{ascii(row['key'])[1:-1]}.{ascii(member['extension'])[1:-1]} lies outside its shard")
    _refuse(path, bad)


def _sizes(shards: list[dict[str, Any]]) -> dict[str, int]:
    return {shard["name"]: shard["bytes"] for shard in shards}


def _refuse(path: Path, bad: list[str]) -> None:
    if len(bad) == 1:
        raise UserError(f"{path}: {bad[0]}; {AGAIN}")
    if bad:
        raise problems(f"{path} is damaged; {AGAIN}:", bad)
