"""A disk that is full from any write on loses nothing: python -m benchmarks.full_disk FOLDER [STAGE ...]

FOLDER is a checkout after a whole run of a small preset (`make preset NAME=tiny && make run`); nothing in it is changed. In
a copy each stage of dvc.yaml, one item of a matrix, runs again with the code of this checkout, over and over: the n-th call
that needs room on the disk and all after it are refused (full_disk.c, preloaded; it needs a C compiler), n = 1 to 20, then
ever further apart, then the last ones. After each: exit code 2, the sentence and no traceback, every file as it was, nothing
left but scratch. Then, on what the last one left, the stage runs undisturbed: the same outputs. Costs differ by nature.
"""

import argparse
import importlib
import json
import mmap
import os
import re
import runpy
import shutil
import struct
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
SENTENCE = re.compile(
    r"^error: the disk is full: .+ could not be written; make room and run the same command again$", re.M
)
COSTS = "results/costs/"  # times differ from run to run
BEGINNING, END = 20, 3  # calls that are all refused once
IMPORTED = (
    "torch",
    "torchvision",
    "pyarrow.parquet",
    "safetensors.torch",
    "lightning_fabric",
    "joblib",
)  # once for all


class Disk:
    """What the preloaded code shares with this process: the folder, the first refused call, and the calls that were seen."""

    def __init__(self, folder: Path) -> None:
        with open(os.environ["FULL_DISK"], "r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 0)
        self._shared[16 : 17 + len(str(folder))] = f"{folder}\0".encode()

    def full_from(self, first: int) -> None:
        self._shared[:16] = struct.pack("qq", first, 0)

    @property
    def seen(self) -> int:
        seen: int = struct.unpack("q", self._shared[8:16])[0]
        return seen


def main(origin: Path, wanted: list[str], root: Path) -> int:
    folder, faults = shutil.copytree(origin, root / "copy", ignore=shutil.ignore_patterns(".dvc", ".git", ".venv")), 0
    disk = Disk(folder)
    one_process(folder)
    for name in IMPORTED:
        importlib.import_module(name)
    loop: Any = importlib.import_module("pipeline.engine.loop")
    loop.CHECKPOINT_SECONDS = 0.0  # at every tick
    for name, words in commands(origin).items():
        if wanted and name not in wanted:
            continue
        code, said, calls = attempt(disk, folder, words, sys.maxsize)
        if code:
            sys.exit(f"{name} fails without being disturbed:\n{said}")
        before = contents(folder)  # outputs of this checkout's code
        tries, found = places(calls), []
        for first in tries:
            restore(folder, before)
            code, said, _ = attempt(disk, folder, words, first)
            wrong = differences(folder, before)
            if code != 2 or not SENTENCE.search(said) or "Traceback" in said:
                wrong.append(f"exit code {code}: {' / '.join(said.splitlines()[-2:])}")
            found += [f"call {first}: {what}" for what in wrong]
        code, said, _ = attempt(disk, folder, words, sys.maxsize)  # from the scratch of the last one
        found += [f"again: {what}" for what in ([said] if code else []) + differences(folder, before)]
        restore(folder, before)
        print(f"{name}: {len(tries)} of {calls} calls refused, {len(found)} faults", *found[:40], sep="\n    ")
        faults += len(found)
    print(f"{faults} faults")
    return int(bool(faults))


def one_process(folder: Path) -> None:
    """The data stages without worker processes: a process each would cost a second, and their calls come in no order."""
    params = folder / "params.yaml"
    params.write_text(re.sub(r"^(  workers:) \d+", r"\1 1", params.read_text(), flags=re.M))


def commands(folder: Path) -> dict[str, list[str]]:
    """The first item of each stage that was run: its name in dvc.yaml -> the words after `python -m`."""
    found: dict[str, list[str]] = {}
    for item, stage in YAML(typ="safe").load(folder / "dvc.lock")["stages"].items():
        if all((folder / out["path"]).exists() for out in stage["outs"]):  # not of another preset
            found.setdefault(item.partition("@")[0], stage["cmd"].split()[2:])
    return found


def places(calls: int) -> list[int]:
    """Which calls are refused: the first ones, some ever further apart, the last ones."""
    further, at = [], float(BEGINNING)
    while (at := at * 1.25) < calls:
        further.append(int(at))
    return sorted(
        {n for n in (*range(1, BEGINNING + 1), *further, *range(calls - END + 1, calls + 1)) if 1 <= n <= calls}
    )


def attempt(disk: Disk, folder: Path, words: list[str], first: int) -> tuple[int, str, int]:
    """Run a stage in a process that begins as a copy of this one: exit code, what it said, and the calls it made."""
    with tempfile.TemporaryFile("w+") as said:
        disk.full_from(first)
        if not (process := os.fork()):
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            os._exit(child(folder, words))
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        calls = disk.seen
        disk.full_from(0)
        said.seek(0)
        return code, said.read(), calls


def child(folder: Path, words: list[str]) -> int:
    os.chdir(folder)
    sys.argv = words
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


# -- what is in the folder ----------------------------------------------------------------------------------------


def is_scratch(name: str) -> bool:
    return any(part.startswith(".") and part.endswith(".scratch") for part in Path(name).parts)


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file, and every folder as None."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def differences(folder: Path, before: dict[str, bytes | None]) -> list[str]:
    """What was lost, changed or left behind."""
    now, found = contents(folder), []
    for name in sorted(before | now):
        if name not in now:
            found.append(f"{name} is lost")
        elif name.startswith(COSTS) and name.endswith(".json"):
            json.loads(now[name] or b"")
        elif is_scratch(name):
            found += [f"{name} is left in scratch"] if name.endswith(".tmp") else []
        elif now[name] != before.get(name, b""):
            found.append(f"{name} is {'changed' if name in before else 'left'}")
    return found


def restore(folder: Path, before: dict[str, bytes | None]) -> None:
    """The folder as it was, without scratch."""
    for name, now in sorted(contents(folder).items(), reverse=True):  # what is in a folder, then the folder
        if name not in before:
            (folder / name).rmdir() if now is None else (folder / name).unlink()
    for name, then in sorted(before.items()):
        path = folder / name
        if then is None:
            path.mkdir(exist_ok=True)
        elif not path.exists() or path.read_bytes() != then:
            path.write_bytes(then)


def preload(root: Path) -> None:
    """Start this program again with the refusing code in it, which is compiled into `root`."""
    library, shared = root / "full_disk.so", root / "shared"
    compiler = os.environ.get("CC", "cc")
    if not shutil.which(compiler):
        sys.exit(f"error: there is no C compiler {compiler}; install one (gcc) or name it in CC")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", library, Path(__file__).with_suffix(".c"), "-ldl"], check=True
    )
    shared.write_bytes(bytes(8192))
    preloaded = {"LD_PRELOAD": str(library), "FULL_DISK": str(shared), "OMP_NUM_THREADS": "1"}
    again = [sys.executable, "-m", "benchmarks.full_disk", *sys.argv[1:]]
    sys.exit(subprocess.run(again, cwd=ROOT, env=os.environ | preloaded).returncode)


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("folder", type=Path, help="a checkout after a whole run")
    made.add_argument("stages", nargs="*", help="names in dvc.yaml; all if none is given")
    given = made.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory(prefix="full-disk-") as temporary:
        if "FULL_DISK" not in os.environ:
            preload(Path(temporary))
        sys.exit(main(given.folder.resolve(), given.stages, Path(temporary).resolve()))
