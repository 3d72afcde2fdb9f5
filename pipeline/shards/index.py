"""Reading a shard set by random access. Nothing is trusted: set.json vouches for the index, that for every member."""

import hashlib
import os
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.classes import TABLES
from pipeline.files import MAX_BYTES, UserError, problems, read_json, sha256_file
from pipeline.sample import KEYS, Sample, decode
from pipeline.shards.footer import most_values
from pipeline.shards.layout import DESCRIPTION, FORMAT, INDEX, SCHEMA, SHARD_NAME, URL, set_digest

PARTS = ("image", "paired", "label", "instance", "depth", "flow", "flow_back", "meta")
MAX_CLASSES = 256  # values of a row in the longest column, the class histogram
MEMBER_BYTES = 1024  # that the shortest member takes: its header and a block
AGAIN = "make the set again (remove the folder, then dvc repro)"
FETCH = f"to read it in any order fetch its shards into that folder and remove the file '{URL}' there"


class ShardSet:
    """An opened shard set. Read-only and without open files, so threads and processes may share it."""

    def __init__(self, path: Path, description: dict[str, Any], index: pa.RecordBatch):
        self.path = path
        self.url = _url(path)  # where its shards are streamed from; None: they lie in the folder
        self.classes: str = description["classes"]  # name of the class table
        self.split: str = description["split"]
        self.size: tuple[int, int] | None = tuple(description["size"]) if description["size"] else None
        self.digest: str = description["digest"]  # of all samples in order, however they are spread over shards
        self.shards: list[dict[str, Any]] = description["shards"]
        self.index = index  # columns of arrow, far smaller than as many dicts
        self.keys: list[str] = index["key"].to_pylist()
        self._shards, self._members = _Texts(index["shard"]), _Members(index["members"])

    @classmethod
    def open(cls, path: Path | str, stream: bool = False) -> Self:
        """Open a set and check all that can be checked without reading its shards; stream: one at a URL will do.

        Raises UserError when a file is missing, when the index is not the one that was written, when a shard is cut.
        Shards that stay at a URL are checked while they are streamed.
        """
        path = Path(path)
        description = _description(path)
        if not (path / INDEX).is_file() or sha256_file(path / INDEX) != description["index"]:
            raise UserError(f"{path / INDEX} is missing or is not what was written (its digest differs); {AGAIN}")
        _check_shards(path, description["shards"])
        index = _index(path / INDEX, sum(shard["bytes"] for shard in description["shards"]))
        digests = (digest.as_py() for digest in index["digest"])
        if len(index) != description["pictures"] or set_digest(digests) != description["digest"]:
            raise UserError(f"{path / DESCRIPTION} does not describe the index beside it; {AGAIN}")
        _check_rows(path, description, index)
        opened = cls(path, description, index)
        if not stream:
            opened.check_here()
        return opened

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """What every sample of the set has, out of PARTS."""
        counted = pc.value_counts(self.index["members"].flatten().field("extension")).to_pylist()
        having: dict[str, int] = dict.fromkeys(PARTS, 0)
        for one in counted:
            having[part_of(one["values"])] += one["counts"]
        return tuple(part for part in PARTS if having[part] == len(self))

    def row(self, i: int) -> dict[str, Any]:
        """What the index says of sample i: its key, its shard, and where each of its members lies there."""
        i = range(len(self))[i]
        return {"key": self.keys[i], "shard": self._shards[i], "members": self._members[i]}

    def read(self, i: int, parts: Collection[str] | None = None) -> Sample:
        """Sample i with the wanted parts (None: all that it has), each checked against its SHA-256.

        Raises UserError for a part that the sample does not have and for bytes that are not those that were written.
        """
        self.check_here()
        row = self.row(i)
        held = {part_of(member["extension"]): member for member in row["members"]}
        wanted = held if parts is None else parts
        if missing := [part for part in wanted if part not in held]:
            raise UserError(
                f"{self.path}: sample {row['key']} has no {' and no '.join(missing)}; shard the set with it"
            )
        shard = f"{self.path}/{row['shard']}"
        file = os.open(shard, os.O_RDONLY)  # a third of the time of Python's own open
        try:
            members = {held[part]["extension"]: self._member(file, row, held[part]) for part in wanted}
        finally:
            os.close(file)
        return decode(row["key"], members, where=f"{shard}: ")

    def histograms(self) -> np.ndarray:
        """Pixels of each class in each sample: int64 (samples, classes + 1), ignored ones last; 0 without a label."""
        counts, column = np.zeros((len(self), len(TABLES[self.classes]) + 1), np.int64), self.index["class_histogram"]
        counts[column.is_valid().to_numpy(zero_copy_only=False)] = (
            column.flatten().to_numpy().reshape(-1, counts.shape[1])
        )
        return counts

    def verify(self) -> None:
        """Read every shard from end to end; raises UserError naming all that are not what was written."""
        changed = [shard["name"] for shard in self.shards if sha256_file(self.path / shard["name"]) != shard["sha256"]]
        if changed:
            raise problems(f"{self.path}: {len(changed)} shards are not what was written; {AGAIN}:", changed)

    def check_here(self) -> None:
        """Raises UserError where the shards stay at a URL."""
        if self.url:
            raise UserError(f"{self.path} stays at {self.url} and is only streamed, into a training; {FETCH}")

    def _member(self, file: int, row: dict[str, Any], member: dict[str, Any]) -> bytes:
        data = os.pread(file, member["size"], member["offset"])
        if hashlib.sha256(data).hexdigest() != member["sha256"]:
            name = f"{row['key']}.{member['extension']}"
            raise UserError(f"{self.path / row['shard']}: {name} is not what was written (its digest differs); {AGAIN}")
        return data


class _Members:
    """Where the members of each sample lie, by number; taking apart what arrow gives as dicts took twice as long."""

    def __init__(self, column: pa.ListArray):
        flat = column.flatten()
        self.ends = np.cumsum(pc.list_value_length(column).to_numpy())
        self.extension, self.sha256 = _Texts(flat.field("extension")), flat.field("sha256")
        self.offset, self.size = flat.field("offset").to_numpy(), flat.field("size").to_numpy()

    def __getitem__(self, i: int) -> list[dict[str, Any]]:
        return [
            {
                "extension": self.extension[n],
                "offset": int(self.offset[n]),
                "size": int(self.size[n]),
                "sha256": self.sha256[n].as_py(),
            }
            for n in range(self.ends[i - 1] if i else 0, self.ends[i])
        ]


class _Texts:
    """A column of few different texts."""

    def __init__(self, column: pa.StringArray):
        coded = column.dictionary_encode()
        self.texts, self.codes = coded.dictionary.to_pylist(), coded.indices.to_numpy()

    def __getitem__(self, row: int) -> str:
        return self.texts[self.codes[row]]


def part_of(extension: str) -> str:
    """The part of a sample that a member holds: "image" of "image.jpg"."""
    return extension.partition(".")[0]


def _url(path: Path) -> str | None:
    return (path / URL).read_text().strip() if (path / URL).is_file() else None


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


def _index(file: Path, size: int) -> pa.RecordBatch:
    """The index, unless it has more rows than shards of `size` bytes can hold: runs of one value pack without bound."""
    try:
        with pq.ParquetFile(file) as opened:  # pq.read_table would import pandas: 0.3 s
            if max(opened.metadata.num_rows, most_values(file)) > MAX_CLASSES * size / MEMBER_BYTES:
                raise UserError(f"{file} has more rows than its shards can hold; {AGAIN}")
            table = opened.read()
            table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        raise UserError(f"{file} cannot be read ({' '.join(str(error).split())[:200]}); {AGAIN}") from None
    if not table.schema.equals(SCHEMA):
        raise UserError(f"{file} has other columns than {', '.join(SCHEMA.names)}; {AGAIN}")
    batches = table.combine_chunks().to_batches()
    if len(batches) != 1:  # none, or more than 2 GB of text in a column
        raise UserError(
            f"{file} has {table.num_rows:,} samples, too few or too many for one set; make several sets of it"
        )
    return batches[0]


def _check_shards(path: Path, shards: list[dict[str, Any]]) -> None:
    """Every shard is there at its length, if it lies here."""
    bad, elsewhere = [], _url(path)
    for shard in shards:
        file = path / shard["name"]
        if not SHARD_NAME.fullmatch(shard["name"]):
            bad.append(f"{ascii(shard['name'])} is no name of a shard")
        elif not elsewhere and not file.is_file():
            bad.append(f"{shard['name']} is missing")
        elif not elsewhere and file.stat().st_size != shard["bytes"]:
            bad.append(f"{shard['name']} has {file.stat().st_size:,} bytes instead of {shard['bytes']:,}")
    _refuse(path, bad)


def _check_rows(path: Path, description: dict[str, Any], index: pa.RecordBatch) -> None:
    """Every member lies inside a shard, and what is told of a sample can be used; by column, as there may be millions."""
    histograms, counts = index["class_histogram"], len(TABLES[description["classes"]]) + 1
    right = pc.and_(
        pc.utf8_is_printable(index["key"]), pc.equal(pc.list_value_length(histograms), counts).fill_null(True)
    ).to_numpy(zero_copy_only=False)
    holes = pc.filter(pc.list_parent_indices(histograms), pc.is_null(histograms.flatten())).to_numpy()
    wrong = sorted({*np.flatnonzero(~right).tolist(), *holes.tolist()})
    bad = [f"{ascii(index['key'][n].as_py())} has no key or no histogram as they are written" for n in wrong]
    _refuse(path, bad + _outside(description["shards"], index))


def _refuse(path: Path, bad: list[str]) -> None:
    if len(bad) == 1:
        raise UserError(f"{path}: {bad[0]}; {AGAIN}")
    if bad:
        raise problems(f"{path} is damaged; {AGAIN}:", bad)


def _outside(shards: list[dict[str, Any]], index: pa.RecordBatch) -> list[str]:
    """Members that do not lie inside a shard, each in words; looked for by column, as there may be millions."""
    which = pc.index_in(index["shard"], pa.array([shard["name"] for shard in shards])).fill_null(len(shards)).to_numpy()
    ends = np.array([*(shard["bytes"] for shard in shards), -1])[which]
    members, rows = index["members"].flatten(), pc.list_parent_indices(index["members"]).to_numpy()
    offset, size = members.field("offset").to_numpy(), members.field("size").to_numpy()
    inside = (offset >= 0) & (size > 0) & (size <= MAX_BYTES) & (offset <= ends[rows] - size)
    inside &= pc.is_in(members.field("extension"), pa.array(KEYS)).to_numpy(zero_copy_only=False)
    return [
        f"{ascii(index['key'][rows[n]].as_py())[1:-1]}.{ascii(members[n]['extension'].as_py())[1:-1]} lies outside its shard"
        for n in np.flatnonzero(~inside)
    ]
