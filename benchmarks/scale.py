"""Bytes, seconds and memory a picture of every data stage, at 10^2, 10^3 and 10^4 pictures, and what 10^6 and 10^8 would take:

    python -m benchmarks.scale --out scale.json                      # a table for docs/scale.md; under 15 minutes on 2 cores
    python -m benchmarks.scale --sizes 100 1000 --out scale.json     # the first of it
    python -m benchmarks.scale --show scale.json                     # the tables again

Pictures of 64 x 128 by the preset `tiny`. The smallest size is rendered; larger sets are hard links to those files under
new names, so `simulate` alone is measured up to --rendered. Each stage runs as in the graph, in a process of its own with
cluster.workers 2; nets are those of the preset, hardly trained, since their size and not their skill costs time. Memory is the
largest sum of the resident memory of the stage's processes, looked at ten times a second: what they share counts for each.
"""

import argparse
import math
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML

from pipeline.files import read_json, write_json
from pipeline.presets import merged

ROOT = Path(__file__).resolve().parents[1]
SIZE, LENGTH = (64, 128), 10  # height and width; frames of a sequence
READ = ("-m", "benchmarks.scale", "--read")
SHARD, TARGET = ("-m", "stages.shard", "source"), ("-m", "stages.shard", "target_val")
TRANSLATE, EVALUATE = ("-m", "stages.translate", "spigan", "0"), ("-m", "stages.evaluate", "source_only", "none", "0")
STAGES = {  # name -> its command and what it writes
    "simulate": (("-m", "stages.simulate", "source"), "data/raw/world_source"),
    "fix_labels": (("-m", "stages.fix_labels"), "data/fixed/source"),
    "optical_flow": (("-m", "stages.optical_flow", "world_sequences"), "data/flow"),
    "shard": (SHARD, "data/shards/source"),
    "read": (READ, None),
    "translate": (TRANSLATE, "data/translated/spigan"),
    "evaluate": (EVALUATE, "results/evaluate"),
}
TRAINED = (  # what makes the nets
    ("-m", "stages.shard", "target_train"),
    ("-m", "stages.train", "spigan", "0"),
    ("-m", "stages.translate", "none", "0"),
    ("-m", "stages.segment", "source_only", "none", "0"),
)

# Assumptions of the arithmetic, to be replaced by one's own. They are round numbers and nobody's offer.
CORE_HOUR, GPU_HOUR, TB_MONTH = 0.05, 2.50, 20.0  # money
GPU_PIXELS = 5e6  # pixels a second that a net of published size translates or labels on one GPU
CORES, HOURS = 64, 24 * 7  # of a machine; within which a stage should be done
GOALS = [(pictures, size) for pictures in (10**6, 10**8) for size in ((128, 256), (1024, 2048))]


# -- measuring ----------------------------------------------------------------------------------------------------


def run(folder: Path, command: tuple[str, ...]) -> dict[str, float]:
    """Seconds, CPU seconds of all processes, and peak MB of a command in a folder."""
    own = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    before, began, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), 0
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([sys.executable, *command], cwd=folder, env=own, stdout=log, stderr=log)
        seen: dict[int, float] = {}  # CPU seconds of processes that nobody may have waited for
        while process.poll() is None:
            time.sleep(0.1)
            peak = max(peak, look(process.pid, seen))
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{(folder / 'log').read_text()[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    waited = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.monotonic() - began, "cpu": max(waited, sum(seen.values())), "peak_mb": peak / 1e6}


def look(pid: int, seen: dict[int, float]) -> int:
    """Resident bytes of a process and all below it; their CPU seconds are noted."""
    resident = 0
    try:
        for one in (root := psutil.Process(pid), *root.children(recursive=True)):
            used, resident = one.cpu_times(), resident + one.memory_info().rss
            seen[one.pid] = used.user + used.system
    except psutil.NoSuchProcess:
        return 0
    return resident


def prepared(folder: Path, pictures: int) -> Path:
    """A folder with the parameters for so many pictures of each kind."""
    folder.mkdir()
    params = YAML(typ="safe", pure=True).load(merged("tiny"))
    drives = {"count": pictures // (2 * LENGTH), "length": LENGTH}  # of each domain
    params["world"] |= {"size": list(SIZE), "source": pictures, "target_train": 20, "target_val": pictures}
    params["world"]["sequences"], params["shard"]["samples_per_shard"] = drives, 100
    params["device"] |= {"accelerator": "cpu", "threads": 1}
    for name in ("train", "segment"):
        params[name] |= {"steps": 4, "tick": 4}
    YAML(typ="safe", pure=True).dump(params, folder / "params.yaml")
    run(folder, ("-m", "stages.validate"))
    return folder


def linked(raw: Path, out: Path, copies: int) -> None:
    """Every file of rendered parts so many times, the first number in its path counted on."""
    for part in ("world_source", "world_sequences", "world_target"):
        files = [file.relative_to(raw) for file in sorted((raw / part).rglob("*.png"))]
        groups: dict[str, set[int]] = {}
        for file in files:
            if found := re.search(r"\d{6,7}", str(file)):
                groups.setdefault(str(file)[: found.start()], set()).add(int(found[0]))
        for file in files:
            found = re.search(r"\d{6,7}", str(file))
            assert found
            before, after = str(file)[: found.start()], str(file)[found.end() :]
            for copy in range(1 if "/train/" in before else copies):
                number = int(found[0]) + copy * len(groups[before])
                goal = out / f"{before}{number:0{len(found[0])}d}{after}"
                goal.parent.mkdir(parents=True, exist_ok=True)
                os.link(raw / file, goal)


def measure(root: Path, sizes: list[int], rendered: int) -> list[dict[str, Any]]:
    """A row for every stage and size."""
    rows, first = [], root / str(sizes[0])
    for pictures in sizes:
        folder = prepared(root / str(pictures), pictures)
        if pictures == sizes[0]:
            for part in ("sequences", "target"):
                run(folder, ("-m", "stages.simulate", part))
        else:
            linked(first / "data/raw", folder / "data/raw", pictures // sizes[0])
            shutil.copytree(first / "models", folder / "models")
        for name, (command, out) in STAGES.items():
            if name == "simulate" and pictures > rendered:
                continue
            if name == "simulate":
                shutil.rmtree(folder / str(out), ignore_errors=True)
            if name == "translate" and pictures == sizes[0]:
                for step in TRAINED:
                    run(folder, step)
            if name == "evaluate":
                run(folder, TARGET)
            row = {"stage": name, "pictures": pictures, **run(folder, command), "bytes": bytes_of(folder, out)}
            print(f"{name} {pictures}: {row['seconds']:.1f} s, {row['peak_mb']:.0f} MB", file=sys.stderr)
            rows.append(row)
        if pictures != sizes[0]:
            shutil.rmtree(folder)
    return rows


def bytes_of(folder: Path, out: str | None) -> int:
    return sum(file.stat().st_size for file in (folder / out).rglob("*") if file.is_file()) if out else 0


def read() -> None:
    """One epoch of what a training reads: pictures and labels of data/shards/source, in batches of 10."""
    from itertools import islice

    from pipeline.shards.index import ShardSet
    from pipeline.shards.loader import GlobalBatches

    source = ShardSet.open("data/shards/source")
    for _ in islice(
        GlobalBatches({"source": source}, 10, 0, parts={"source": ("image", "label")}).batches(), len(source) // 10
    ):
        pass


# -- telling ------------------------------------------------------------------------------------------------------


def show(rows: list[dict[str, Any]]) -> None:
    """The tables of docs/scale.md."""
    print(
        "| stage | pictures | seconds | CPU seconds | CPU ms a picture | KB a picture | peak MB |\n|---|---|---|---|---|---|---|"
    )
    for row in sorted(rows, key=lambda row: list(STAGES).index(row["stage"])):
        n = row["pictures"]
        print(
            f"| {row['stage']} | {n:,} | {row['seconds']:.1f} | {row['cpu']:.1f} | {1e3 * row['cpu'] / n:.1f} "
            f"| {row['bytes'] / n / 1e3:.1f} | {row['peak_mb']:.0f} |"
        )
    print(
        "\n| stage | exponent of CPU seconds | further picture, CPU ms | memory, largest set to smallest |\n|---|---|---|---|"
    )
    each = {}
    for name in STAGES:
        own = sorted((row for row in rows if row["stage"] == name), key=lambda row: row["pictures"])
        *_, less, more = own if len(own) > 1 else [own[0] | {"pictures": 0, "cpu": 0}, own[0]]
        further = (more["cpu"] - less["cpu"]) / (more["pictures"] - less["pictures"])
        each[name] = further, more["bytes"] / more["pictures"]
        ratio = f"{more['peak_mb'] / own[0]['peak_mb']:.2f}, {'flat' if more['peak_mb'] < 1.2 * own[0]['peak_mb'] else 'it grows'}"
        slope = (
            math.log(more["cpu"] / less["cpu"]) / math.log(more["pictures"] / less["pictures"]) if less["cpu"] else None
        )
        several = len(own) > 1
        print(
            f"| {name} | {slope:.2f} |" if slope else f"| {name} | one size |",
            f"{1e3 * further:.1f} | {ratio if several else ''} |",
        )
    arithmetic(each)


def arithmetic(each: dict[str, tuple[float, float]]) -> None:
    """What larger sets would take: each stage's further picture, in proportion to pixels."""
    head = " | ".join(f"10^{round(math.log10(pictures))} of {h}x{w}" for pictures, (h, w) in GOALS)
    print(f"\n| | {head} |\n|---|{'---|' * len(GOALS)}")
    scales = [pictures * h * w / SIZE[0] / SIZE[1] for pictures, (h, w) in GOALS]
    for name, (seconds, _) in each.items():
        print(f"| {name}, core-hours | {' | '.join(f'{scale * seconds / 3600:,.0f}' for scale in scales)} |")
    hours = [scale * sum(seconds for seconds, _ in each.values()) / 3600 for scale in scales]
    stored = [scale * sum(size for _, size in each.values()) / 1e12 for scale in scales]
    gpu = [2 * pictures * h * w / GPU_PIXELS / 3600 for pictures, (h, w) in GOALS]
    for label, values, shape in (
        ("all of these, core-hours", hours, "{:,.0f}"),
        (f"machines of {CORES} cores for a week", [math.ceil(one / CORES / HOURS) for one in hours], "{:,}"),
        ("a net's pass in translate and in evaluate, GPU-hours (assumed speed)", gpu, "{:,.0f}"),
        ("all outputs, TB", stored, "{:,.2f}"),
        ("cores, money", [one * CORE_HOUR for one in hours], "{:,.0f}"),
        ("GPUs, money", [one * GPU_HOUR for one in gpu], "{:,.0f}"),
        ("disks, money a month", [one * TB_MONTH for one in stored], "{:,.0f}"),
    ):
        print(f"| {label} | {' | '.join(shape.format(one) for one in values)} |")


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10000], help="multiples of the first one")
    made.add_argument("--rendered", type=int, default=1000, help="the largest size at which simulate is measured")
    made.add_argument("--out", type=Path, help="JSON file for the measurements")
    made.add_argument("--show", type=Path, help="a file that --out has written; nothing is measured")
    made.add_argument("--read", action="store_true", help="what a training reads, in the current folder")
    given = made.parse_args()
    if given.read:
        read()
    elif given.show:
        show(read_json(given.show)["rows"])
    else:
        with tempfile.TemporaryDirectory(prefix="scale-") as temporary:
            measured = measure(Path(temporary).resolve(), sorted(given.sizes), given.rendered)
        if given.out:
            write_json(given.out, {"cores": os.cpu_count(), "size": list(SIZE), "rows": measured})
        show(measured)
