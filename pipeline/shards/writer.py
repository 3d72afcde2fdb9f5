"""Writing a set of samples as WebDataset shards: byte-identical every time, resumed by whole shards after a kill.

Everything is written in a scratch folder beside the goal (`.NAME.scratch`) and renamed at the end. Finished shards stay
there, under a fingerprint, when a run is killed or the disk is full; the next run with the same fingerprint goes on.
"""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.classes import IGNORE, TABLES
from pipeline.cluster import ALONE, ClusterSettings, in_threads, stream
from pipeline.files import (
    FULL,
    UserError,
    digest,
    disk_full,
    problems,
    progress,
    put_in_place,
    sha256_file,
    write_atomic,
    write_json,
)
from pipeline.ranks import ONE, Ranks
from pipeline.sample import KEYS, Sample, encode
from pipeline.shards.layout import DESCRIPTION, FORMAT, INDEX, SCHEMA, sample_digest, set_digest, shard_name
from pipeline.shards.resize import picture_size, resize
from pipeline.shards.settings import ShardSettings

Item = TypeVar("Item")
Row = dict[str, Any]  # of the index
Shard = dict[str, Any]  # {"name", "bytes", "sha256", "rows"}; rows as arrow, far smaller than dicts


@dataclass
class Coded:
    """A sample ready for its shard: its members, and its row without their offsets."""

    members: dict[str, bytes]
    row: Row


def write_shards(
    make: Callable[[Item], Sample],
    items: Sequence[Item],
    out: Path | str,
    *,
    classes: str,
    split: str,
    settings: ShardSettings,
    cluster: ClusterSettings = ALONE,
    draw: Callable[[Sample], Sample] | None = None,
    ranks: Ranks = ONE,
    fingerprint: str | None = None,
) -> dict[str, Any]:
    """Write make(item) for every item, in order, as the shard set `out`; returns the content of its set.json.

    classes: name of the table of the labels; split: "train", "dev" or "val"; cluster: the processes that make and
    encode (any give the same bytes). draw: what is done to a sample in this very process, by a net on its device; items are
    then made before and encoded after it in threads. ranks: processes that share the shards; the first of them puts the
    set together, the others return an empty description. fingerprint: digest of all that decides what `make` returns (parameters,
    inputs, code); finished shards of a killed run are used again only under the same one, and never when it is None.
    Raises UserError for a full disk, for labels outside the table, and for bad items, all of them listed together.
    """
    out = Path(out)
    if not items:
        raise UserError(f"there is nothing to write into {out}; check the data set's folder and split")
    size = settings.samples_per_shard
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    settled = digest([FORMAT, fingerprint, classes, split, settings.model_dump(), len(items)])
    code = partial(_code, classes=classes, split=split, settings=settings)
    first = ranks.rank == 0
    scratched = (
        _scratch(out, settled, keep=fingerprint is not None) if first else contextlib.nullcontext(_scratch_of(out))
    )
    with _explained(out), scratched as scratch:
        ranks.gather(None)  # the first has made the folder ready
        mine = range(ranks.rank, len(parts), ranks.world)
        shards = {number: _finished(scratch, number) for number in mine}
        missing = [number for number in mine if shards[number] is None]
        wanted = [item for number in missing for item in parts[number]]
        errors: list[str] = []
        with contextlib.closing(_coded(make, draw, code, wanted, cluster)) as made:
            coded = iter(progress(made, f"write {out.name}", len(wanted)))
            for number in missing:
                shards[number] = _write_shard(scratch, number, islice(coded, len(parts[number])), errors)
        errors = [error for found in ranks.gather(errors) for error in found]
        if errors:
            raise _bad_items(out, errors, len(items))
        if not first:
            return {}
        whole = [shards.get(number) or _finished(scratch, number) for number in range(len(parts))]
        description = _seal(scratch / "set", [shard for shard in whole if shard], out, classes, split)
        put_in_place(scratch / "set", out)
    return description


# -- one sample, in any process -----------------------------------------------------------------------------------


def _coded(
    make: Callable[[Item], Sample],
    draw: Callable[[Sample], Sample] | None,
    code: Callable[[Sample], Coded],
    items: Sequence[Item],
    cluster: ClusterSettings,
) -> Generator[Coded | str, None, None]:
    """Every item as a coded sample, or the sentence that says what is wrong with it, in order."""
    if draw is None:
        yield from stream(partial(_tried, (make, code)), items, cluster)
        return
    with contextlib.closing(in_threads(partial(_tried, (make,)), items, cluster.workers)) as samples:
        drawn = (_further(draw, sample) for sample in samples)
        yield from in_threads(partial(_further, code), drawn, cluster.workers)


def _tried(functions: Sequence[Callable[[Any], Any]], item: Any) -> Any:
    """The functions applied to an item one after the other, or the sentence that says what is wrong with it."""
    value = item
    try:
        for function in functions:
            value = function(value)
    except UserError as error:
        return str(error)
    except OSError as error:
        return f"{error.filename or item}: {error.strerror}; check the file and its rights"
    return value


def _further(function: Callable[[Sample], Any], sample: Sample | str) -> Any:
    return sample if isinstance(sample, str) else _tried((function,), sample)


def _code(sample: Sample, classes: str, split: str, settings: ShardSettings) -> Coded:
    """A sample ready for its shard. Raises UserError where it cannot be stored."""
    if settings.height is not None and settings.width is not None:
        sample = resize(sample, settings.height, settings.width)
    sample.meta = sample.meta | {"split": split}
    _check_key(sample.key)
    height, width = picture_size(sample)
    histogram = _histogram(sample, classes)
    members = encode(sample, settings.image_format, settings.quality)
    sums = {extension: hashlib.sha256(data).hexdigest() for extension, data in members.items()}
    sequence, frame = sample.meta.get("sequence"), sample.meta.get("frame")
    row = {
        "key": sample.key,
        "split": split,
        "sequence": None if sequence is None else str(sequence),
        "frame": _frame_number(frame),
        "height": height,
        "width": width,
        "digest": sample_digest(sample.key, sums.items()),
        "members": [{"extension": e, "size": len(members[e]), "sha256": sums[e]} for e in members],
        "class_histogram": histogram,
    }
    return Coded(members, row)


def _frame_number(frame: str | int | None) -> int | None:
    """A frame's number: 930 of CamVid's 'f00930', 7000000 of Cityscapes' '000007_000000'; None where it has none, as
    Vistas' random names. The name itself stays in meta.json."""
    found = re.fullmatch(r"[A-Za-z]{0,2}([\d_]*\d)", str(frame))
    digits = found[1].replace("_", "") if found else ""
    return int(digits) if 0 < len(digits) <= 18 else None


def _check_key(key: str) -> None:
    """A key ends at its first dot for every WebDataset reader, and an USTAR name holds 100 bytes."""
    longest = max(len(f"{key}.{extension}".encode()) for extension in KEYS)
    if not key or "." in key or not key.isprintable() or key != key.strip("/ ") or longest > 100:
        raise UserError(f"sample key '{key}' cannot be stored: rename its file to at most 80 characters without a dot")


def _histogram(sample: Sample, classes: str) -> list[int] | None:
    """Pixels of each trainId of the table, then the ignored ones; None without a label."""
    if sample.label is None:
        return None
    counts = np.bincount(sample.label.ravel(), minlength=256)
    known = len(TABLES[classes])
    strange = [trainid for trainid in range(known, 256) if counts[trainid] and trainid != IGNORE]
    if strange:
        raise UserError(
            f"{sample.key}: its label holds {', '.join(map(str, strange))}, which {classes} does not know "
            f"(0 to {known - 1}, {IGNORE} = ignore); map the labels to trainIds first"
        )
    return [int(count) for count in (*counts[:known], counts[IGNORE])]


def _bad_items(out: Path, errors: list[str], count: int) -> UserError:
    if len(errors) == 1:
        return UserError(errors[0])
    return problems(f"{len(errors)} of the {count} samples for {out} are bad; mend or remove them:", errors)


# -- one shard ----------------------------------------------------------------------------------------------------


def _write_shard(scratch: Path, number: int, samples: Iterator[Coded | str], errors: list[str]) -> Shard | None:
    """Write one shard and its rows; after the first bad sample nothing more is written, only looked through."""
    name, rows = shard_name(number), []
    temporary = scratch / f"{name}.tmp"
    try:
        with open(temporary, "wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for coded in samples:
                if isinstance(coded, str):
                    errors.append(coded)
                elif not errors:
                    rows.append(_append(tar, name, coded))
        if errors:
            return None
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        shard = {"name": name, "bytes": temporary.stat().st_size, "sha256": sha256_file(temporary), "rows": rows}
        os.replace(temporary, scratch / "set" / name)
    finally:
        temporary.unlink(missing_ok=True)
    write_atomic(scratch / f"{name}.json", json.dumps(shard))  # last: it says that the shard is whole
    return shard | {"rows": pa.Table.from_pylist(rows, SCHEMA)}


def _append(tar: tarfile.TarFile, shard: str, coded: Coded) -> Row:
    """Append a sample's members; nothing of this machine or moment goes into their headers."""
    for member in coded.row["members"]:
        info = tarfile.TarInfo(f"{coded.row['key']}.{member['extension']}")
        info.size, info.mode, info.mtime = member["size"], 0o644, 0
        member["offset"] = tar.offset + tarfile.BLOCKSIZE  # the header of a short USTAR name is one block
        tar.addfile(info, io.BytesIO(coded.members[member["extension"]]))
    return coded.row | {"shard": shard}


def _finished(scratch: Path, number: int) -> Shard | None:
    """A shard that an earlier run finished, if its bytes are still those that it wrote."""
    name = shard_name(number)
    try:
        shard = json.loads((scratch / f"{name}.json").read_text())
        whole = sha256_file(scratch / "set" / name) == shard["sha256"]
        shard["rows"] = pa.Table.from_pylist(shard["rows"], SCHEMA)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return shard if whole else None


# -- the whole set ------------------------------------------------------------------------------------------------


def _seal(folder: Path, shards: list[Shard], out: Path, classes: str, split: str) -> dict[str, Any]:
    """Write the index and the description of finished shards into their folder."""
    index = pa.concat_tables([shard["rows"] for shard in shards]).combine_chunks()
    keys, digests = (index[name].to_pylist() for name in ("key", "digest"))
    if len(set(keys)) < len(keys):
        twice = [key for key, count in Counter(keys).items() if count > 1]
        raise problems(f"{len(twice)} sample keys of {out} stand for several samples; rename their files:", twice)
    pq.write_table(index, folder / INDEX)
    sizes = [index[name].unique().to_pylist() for name in ("height", "width")]
    extensions = pc.value_counts(pc.list_flatten(index["members"]).combine_chunks().field("extension")).to_pylist()
    members = Counter({one["values"]: one["counts"] for one in extensions})
    description = {
        "format": FORMAT,
        "classes": classes,
        "split": split,
        "pictures": len(keys),
        "size": [*sizes[0], *sizes[1]] if len(sizes[0]) == len(sizes[1]) == 1 else None,
        "members": {extension: members[extension] for extension in KEYS if members[extension]},
        "digest": set_digest(digests),
        "index": sha256_file(folder / INDEX),
        "shards": [{part: shard[part] for part in ("name", "bytes", "sha256")} for shard in shards],
    }
    write_json(folder / DESCRIPTION, description)
    return description


def _scratch_of(out: Path) -> Path:
    return out.with_name(f".{out.name}.scratch")


@contextlib.contextmanager
def _scratch(out: Path, fingerprint: str, keep: bool) -> Iterator[Path]:
    """The scratch folder of `out`, locked, emptied unless an earlier run left it under this very fingerprint."""
    scratch = _scratch_of(out)
    check_goal(out)
    (scratch / "set").mkdir(parents=True, exist_ok=True)
    lock = os.open(scratch, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another process is writing {out}; wait for it or stop it first") from None
        _prepare(scratch, fingerprint, keep)
        try:
            yield scratch
        except BaseException:
            if not keep:
                shutil.rmtree(scratch, ignore_errors=True)
            raise
        shutil.rmtree(scratch)
    finally:
        os.close(lock)


def _prepare(scratch: Path, fingerprint: str, keep: bool) -> None:
    """Keep what a run with the same fingerprint finished; remove everything else."""
    note = scratch / "fingerprint"
    same = keep and note.exists() and note.read_text() == fingerprint
    for entry in scratch.iterdir():
        if entry.name.endswith(".tmp") or not same:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    (scratch / "set").mkdir(exist_ok=True)
    write_atomic(note, fingerprint)


def check_goal(out: Path) -> None:
    """`out` will be replaced: only a shard set or an empty folder may lie there."""
    if out.exists() and not (out / DESCRIPTION).exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is not a shard set; remove it or name another folder")


@contextlib.contextmanager
def _explained(out: Path) -> Iterator[None]:
    """What the file system refuses, in a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(out) from None
        raise UserError(f"{out} cannot be written: {error.strerror}; check the folder and its rights") from None
