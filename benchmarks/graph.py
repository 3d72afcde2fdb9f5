"""What the graph costs around the work: python -m benchmarks.graph noop|start|share [--rounds 5]

noop   A copy of the project whose stages only write small files, at about 30 and about 100 stages: the seconds that DVC
       adds to a stage that runs, and those of a `dvc repro` with nothing to do. A minute or two on 2 cores.
start  Seconds, wall and CPU, until each stage's module is imported and its arguments are parsed. A minute.
share  The whole way of the preset `tiny` in a copy, and how much of it no stage was at work in. As long as the run.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.kill import ROOT, command, environment, project

REPRO = ("dvc", "repro", "--all-pipelines")  # as `make run` does it
CONSTANT = ("validate", "code")  # real in every copy: they are quick, and others read what `code` writes
# what is on in each size: seeds of every cell, translators that train, segmenters
SIZES: dict[int, tuple[list[int], list[str], list[str]]] = {
    30: ([0], ["spigan"], ["source_only", "oracle"]),
    100: ([0, 1, 2], ["spigan", "cyclegan"], ["source_only", "adaptsegnet", "oracle"]),
}


def edit(file: Path, change: Any) -> None:
    yaml = YAML()
    yaml.width = 10**6
    content = yaml.load(file)
    change(content)
    yaml.dump(content, file)


def resize(params: dict[str, Any], seeds: list[int], trained: list[str], segmenters: list[str]) -> None:
    """As many cells as asked for: nothing of it is trained, so they need not make sense."""
    on = ["none", "histogram_matching", "perfect_translation", *trained]
    params["seeds"] = list(seeds)  # each list is its own: YAML's aliases are refused
    params["translators"] = {name: list(seeds) if name in on else [] for name in params["translators"]}
    arms = {
        name: list(on) if name == "source_only" else ["none"] if name in segmenters else [] for name in params["cells"]
    }
    params["cells"] = arms
    params["exactness"], params["generation"] = trained[:1], []


def hollow(graph: dict[str, Any]) -> None:
    """Every stage writes small files in place of its work."""
    for name, stage in graph["stages"].items():
        if name not in CONSTANT:
            outs = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
            paths = [next(iter(out)) if isinstance(out, dict) else out for out in outs]
            files = [path if path.endswith(".json") else f"{path}/made.json" for path in paths]
            stage["cmd"] = " && ".join(f"mkdir -p {Path(f).parent} && echo '{{}}' > {f}" for f in files)


def seconds(folder: Path, *words: str) -> tuple[float, float]:
    """Wall and CPU seconds of a command."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command(folder, *words)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began, cpu


def several(rounds: int, folder: Path, *words: str) -> tuple[float, float]:
    """Medians of a command's wall and CPU seconds."""
    wall, cpu = zip(*(seconds(folder, *words) for _ in range(rounds)), strict=True)
    return statistics.median(wall), statistics.median(cpu)


def noop(rounds: int, root: Path) -> None:
    for about, chosen in SIZES.items():
        folder = project(root / str(about), "tiny")
        edit(folder / "params.yaml", lambda params, chosen=chosen: resize(params, *chosen))
        edit(folder / "dvc.yaml", hollow)
        listed = subprocess.run(["dvc", "stage", "list"], cwd=folder, env=environment(folder), capture_output=True)
        number = listed.stdout.count(b"\n")
        first, first_cpu = seconds(folder, *REPRO)
        size = (folder / "dvc.lock").stat().st_size / 1000
        print(f"{number} stages: the first run {first:.1f} s ({first_cpu:.1f} s of CPU), dvc.lock {size:.0f} kB")
        for words in (REPRO, REPRO[:2]):
            wall, cpu = several(rounds, folder, *words)
            print(f"{number} stages: `{' '.join(words)}` with nothing to do {wall:.1f} s ({cpu:.1f} s of CPU)")


def start(rounds: int, root: Path) -> None:
    modules = [file.stem for file in sorted(ROOT.glob("stages/*.py")) if "\n    run(main" in file.read_text()]
    commands = {"python alone": ["-c", ""]} | {name: ["-m", f"stages.{name}", "--help"] for name in modules}
    for name, words in commands.items():
        wall, cpu = several(rounds, ROOT, sys.executable, *words)
        print(f"{name:16} {wall:.2f} s, {cpu:.2f} s of CPU")


def share(rounds: int, root: Path) -> None:
    folder, times = project(root / "share", "tiny"), root / "times"

    def stamped(graph: dict[str, Any]) -> None:
        for name, stage in graph["stages"].items():
            stamp = f"echo {name} $(date +%s.%N) >> {times}"
            stage["cmd"] = [stamp, stage["cmd"], stamp]

    edit(folder / "dvc.yaml", stamped)
    whole, _ = seconds(folder, *REPRO)
    others = [
        ["pipeline.mend"],
        ["stages.validate", "--check"],
        ["pipeline.tracking", "sync"],
        ["stages.report", "--show"],
    ]
    around = sum(seconds(folder, sys.executable, "-m", *words)[0] for words in others)  # what `make run` does besides
    marks = [(name, float(moment)) for name, moment in map(str.split, times.read_text().splitlines())]
    spans = [(name, end - begin) for (name, begin), (_, end) in zip(marks[::2], marks[1::2], strict=True)]
    starts = several(rounds, ROOT, sys.executable, "-m", "stages.train", "--help")[0] * len(spans)
    commands = sum(span for _, span in spans)
    apart = sum(span for name, span in spans if not name.startswith(("train_", "segment_")))  # data and evaluation
    run, work = whole + around, commands - starts
    print(f"{len(spans)} stages, {run:.0f} s: {whole - commands:.0f} s in DVC, {around:.0f} s before and after it,")
    print(f"{starts:.0f} s in starts, {work:.0f} s of work: {1 - work / run:.0%} is no work")
    print(f"data and evaluation {apart:.0f} s: two of them at once would save {apart / 2 / run:.0%} at the very most")


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("what", choices=["noop", "start", "share"])
    made.add_argument("--rounds", type=int, default=5)
    given = made.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory(prefix="graph-") as temporary:
        {"noop": noop, "start": start, "share": share}[given.what](given.rounds, Path(temporary).resolve())
