"""Bring a data set to data/raw/NAME, where the graph sees its digest: python -m pipeline.bring camvid path/to/camvid.tar

The layout is checked where the data lie; only then is data/raw/NAME made, all of it or nothing. It is a real folder of
hard links to the files that a reader may ask for: no second copy on the disk, and, unlike a folder with links to
folders, DVC hashes all that is in it. Across file systems, or where links to somebody else's files are forbidden, the
files are copied. Without a path it looks into the folder of archives that SIM2STREET_DATA names.
"""

import argparse
import errno
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from pipeline.datasets import LAYOUTS, open_dataset
from pipeline.datasets.flow_pairs import find_pairs
from pipeline.datasets.settings import (
    FOLDER_NAME,
    ClipSettings,
    DigitSettings,
    PairSettings,
    ScanSettings,
    SourceSettings,
    TargetSettings,
)
from pipeline.datasets.source import open_source
from pipeline.files import UserError, atomic_dir, progress
from pipeline.params import block, load

RAW = Path("data/raw")
PAIRS = "flow_pairs"  # the only layout that is no Dataset
CALLED_OTHERWISE: dict[str, tuple[str, dict[str, Any]]] = {  # published sets that are not called like their layout
    "facades": ("pairs", {"layout": "side_by_side"}),
    "eyes": ("folder", {}),
    "ped2": ("ucsd_ped", {}),
    "mnist": ("idx", {}),
    "pneumoniamnist": ("npz", {}),
}
NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}


def bring(name: str, origin: Path | None, params: dict[str, Any]) -> str:
    """Check the data set at `origin` and link it to data/raw/NAME; returns what a person wants to know of it.

    origin: a folder, a .tar or a .zip; None means what lies in data/raw/NAME already, or in SIM2STREET_DATA. Raises
    UserError for a wrong layout and where data/raw/NAME holds something else; then nothing has changed.
    """
    layout, options = expected(name, params)
    goal = RAW / name
    if origin is None:
        origin = goal if goal.exists() else find(name)
    contents = _pairs(origin) if layout == PAIRS else _pictures(layout, origin, options)
    files = _files(origin)
    how = "it was there already" if _holds(goal, files) else _place(files, goal)
    return f"{goal}: {contents}; {how}{_unused(name, params)}"


def expected(name: str, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """(layout, its options) of a data set: what params.yaml says of it, else the layout that is called like it."""
    if not FOLDER_NAME.fullmatch(name):
        raise UserError(
            f"'{name}' is no name for a data set; use letters, digits, _ and -: make data NAME=camvid FROM=path"
        )
    if name in made_here(params):
        raise UserError(f"data/raw/{name} is simulated (simulate in params.yaml); choose another name")
    source, target = block(params, "source", SourceSettings), block(params, "target", TargetSettings)
    pairs, clips = block(params, "pairs", PairSettings), block(params, "clips", ClipSettings)
    if name == source.name:
        return source.layout, source.options()
    if name == target.name:
        return target.layout, target.options()
    if name == pairs.name:
        return "pairs", pairs.options()
    scans, digits = block(params, "scans", ScanSettings), block(params, "digits", DigitSettings)
    for known in (clips, scans, digits):
        if name == known.name:
            return known.layout, known.options()
    if name in _listed(params, "sequences"):
        return "sequences", {"dev_share": 0.0}
    if name in _listed(params, "flow_pairs"):
        return PAIRS, {}
    if name in LAYOUTS:
        return name, {}
    if name in CALLED_OTHERWISE:
        return CALLED_OTHERWISE[name]
    raise UserError(
        f"the layout of '{name}' is not known: name it in params.yaml under source, target, pairs, clips, scans, "
        f"digits, sequences or flow_pairs, or call it {', '.join(sorted([*LAYOUTS, *CALLED_OTHERWISE]))}"
    )


def made_here(params: dict[str, Any]) -> set[str]:
    """Names in data/raw that the stage `simulate` writes."""
    return {f"world_{part}" for part in _listed(params, "simulate")}


def _listed(params: dict[str, Any], name: str) -> list[str]:
    """A list of params.yaml, which may be left out or empty."""
    return params.get(name) or []


def find(name: str) -> Path:
    """The folder or archive of this name in SIM2STREET_DATA."""
    home = os.environ.get("SIM2STREET_DATA", "")
    hint = f"give its folder, .tar or .zip: make data NAME={name} FROM=path"
    if not home:
        raise UserError(f"data/raw/{name} is missing and SIM2STREET_DATA, a folder of archives, is not set; {hint}")
    for path in (Path(home) / name, Path(home) / f"{name}.tar", Path(home) / f"{name}.zip"):
        if path.exists():
            return path
    raise UserError(
        f"data/raw/{name} is missing and {home} (SIM2STREET_DATA) has no {name}, {name}.tar or {name}.zip; {hint}"
    )


def place(name: str) -> Path | None:
    """Where a data set lies: in data/raw, or in SIM2STREET_DATA; None where it is in neither."""
    if (RAW / name).exists():
        return RAW / name
    try:
        return find(name)
    except UserError:
        return None


def bring_missing(params: dict[str, Any]) -> None:
    """Bring the data sets that params.yaml uses and that are not there; say so where one cannot be found."""
    for name in dict.fromkeys(used(params)):
        if name in made_here(params) or (RAW / name).exists():
            continue
        try:
            origin = find(name)
        except UserError as missing:
            print(f"before make run: {missing}")
            continue
        print(bring(name, origin, params))


def _pictures(layout: str, origin: Path, options: dict[str, Any]) -> str:
    """Counts of a data set, after the first picture of every split was decoded with all that belongs to it: what was
    declared wrongly shows here and not after an hour."""
    dataset = open_dataset(layout, origin, **options)
    for split in dataset.counts():
        first = dataset.items(split)[0]
        dataset.read(first, [part for part in first.files if part in dataset.read.decoders])
    found = dataset.check()
    splits = ", ".join(f"{split} {count}" for split, count in found["pictures"].items())
    parts = ", ".join(f"{count} with {part}" for part, count in found["parts"].items() if part != "image")
    stray = f"; {found['stray']} labels without a picture" if found["stray"] else ""
    return f"{layout}, {dataset.classes}, {splits} pictures ({parts or 'no labels'}{stray})"


def _pairs(origin: Path) -> str:
    pairs = find_pairs(origin)
    pairs[0].read()
    return f"{len(pairs)} frame pairs with true flow"


def _unused(name: str, params: dict[str, Any]) -> str:
    if name in [*used(params), *_listed(params, "sequences"), *_listed(params, "flow_pairs")]:
        return ""
    return "\nparams.yaml does not use it yet: name it there under source, target, pairs, clips, scans or digits, or take a preset"


def used(params: dict[str, Any]) -> list[str]:
    """Names of the source, the target and, where lists of their sets ask for them, pairs, clips, scans and digits."""
    blocks, asked = ["source", "target"], {"pairs": "shard_pairs", "clips": "clip_sets"}
    asked |= {"scans": "scan_sets", "digits": "digit_sets"}
    blocks += [own for own, sets in asked.items() if params.get(sets)]
    return [params[block]["name"] for block in blocks]


def _files(origin: Path) -> dict[Path, Path]:
    """Name below data/raw/NAME -> file, for the archives or the pictures, labels and lists of a root."""
    paths = {Path(file.path) for file in open_source(origin).files.values()}
    return {path.relative_to(origin if origin.is_dir() else origin.parent): path for path in sorted(paths)}


def _holds(goal: Path, files: dict[Path, Path]) -> bool:
    """Whether `goal` holds just these files; anything else there is refused, it may be somebody's only copy."""
    if not goal.exists():
        return False
    there = _files(goal)
    if there.keys() == files.keys() and all(_same(there[name], path) for name, path in files.items()):
        return True
    raise UserError(
        f"{goal} holds something else; move it away or delete it (rm -r {goal}), then run the same command again"
    )


def _same(one: Path, other: Path) -> bool:
    a, b = one.stat(), other.stat()
    return (a.st_size, a.st_mtime_ns) == (b.st_size, b.st_mtime_ns)


def _place(files: dict[Path, Path], goal: Path) -> str:
    """Make the folder `goal` of hard links or copies; says which."""
    copied = 0
    with atomic_dir(goal) as folder:
        for name, path in progress(files.items(), f"bring {goal.name}", total=len(files)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copied += not _link(path, folder / name)
    size = sum(path.stat().st_size for path in files.values()) / 1e6
    how = f"{copied} of {len(files)} files copied" if copied else f"{len(files)} file{'s' * (len(files) > 1)} linked"
    return f"{how}, {size:,.1f} MB"


def _link(path: Path, goal: Path) -> bool:
    """A hard link where that can be; else a copy with its time, and False."""
    try:
        os.link(os.path.realpath(path), goal)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        shutil.copy2(path, goal)
        return False
    return True


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("name", help="name below data/raw, as params.yaml has it under source or target")
    made.add_argument("origin", nargs="?", default="", help="folder, .tar or .zip (default: from SIM2STREET_DATA)")
    given = made.parse_args()
    try:
        print(bring(given.name, Path(given.origin).expanduser() if given.origin else None, load()))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"error: {error.filename2 or error.filename}: {error.strerror}; nothing was changed", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
