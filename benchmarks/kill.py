"""`dvc repro`, killed again and again, ends as if nobody had disturbed it: python -m benchmarks.kill [--kills 50] [--seed 0]

Copies of the project (git's files as they stand in the working tree) on the preset `everything`, which runs every method:
one runs undisturbed; in the next, `kill -9` hits DVC and all its processes, and `dvc repro` goes on each time, after what
`make run` does before it (pipeline.mend). One kill hits every kind of stage (each training is of its own kind) at a
random moment, the others any moment of the run. Those whose moment had not come when their stage ended hit a fresh
copy. Every output but costs and the report is compared by SHA-256.
"""

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from ruamel.yaml import YAML

from pipeline.files import read_json, sha256_file
from pipeline.methods import method_names

ROOT = Path(__file__).resolve().parents[1]
STAGE = re.compile(r"^(?:Running stage|Stage) '([^']+)'", re.M)
FREE = ("results/costs/", "report/")  # times differ from run to run
FIRST = "dvc itself"  # before its first stage
READY = 0.4  # share of a stage's time before which Python may still be reading its libraries
Mark = tuple[str, float]  # a stage, and the second of the run at which it began
Moment = tuple[str, float]  # a stage, and seconds after its beginning


def command(folder: Path, *words: str) -> None:
    """Run a command in the folder; what it has to say against it is shown."""
    subprocess.run(words, cwd=folder, env=environment(folder), check=True, stdout=subprocess.DEVNULL)


def environment(folder: Path) -> dict[str, str]:
    """This Python first on the PATH, DVC's own files beside the copy, no tracking server."""
    outer = ("MLFLOW_", "SIM2STREET_", "DVC_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return kept | {"PATH": path, "DVC_NO_ANALYTICS": "true", "DVC_SITE_CACHE_DIR": str(folder.with_suffix(".site"))}


def project(folder: Path, preset: str) -> Path:
    """A repository of its own with git's files of this one, on a preset, with a checkpoint at every tick."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock":  # of other cells; one that was deleted is still listed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    loop = folder / "pipeline/engine/loop.py"  # the tiny trainings end before their first checkpoint would be due
    loop.write_text(re.sub(r"^(CHECKPOINT_SECONDS) = .*", r"\1 = 0.0", loop.read_text(), flags=re.M))
    command(folder, sys.executable, "-m", "pipeline.presets", preset, "--force")
    command(folder, "git", "init", "--quiet")
    command(folder, "git", "add", "--all")
    command(folder, "git", "-c", "user.name=kill", "-c", "user.email=kill@localhost", "commit", "--quiet", "-m", "copy")
    return folder


def repro(folder: Path, moments: Sequence[Moment] = ()) -> tuple[list[Mark], Moment | None]:
    """Run `dvc repro` to its end or to the first of the moments: its stages with their seconds, and that moment."""
    command(folder, sys.executable, "-m", "pipeline.mend")
    log, began, marks = folder.with_suffix(".log"), time.monotonic(), [(FIRST, 0.0)]
    with open(log, "wb") as file:
        process = subprocess.Popen(
            ["dvc", "repro"], cwd=folder, env=environment(folder), stdout=file, stderr=file, start_new_session=True
        )
    try:
        while process.poll() is None:
            time.sleep(0.02)
            now = time.monotonic() - began
            marks += [(name, now) for name in STAGE.findall(log.read_text(errors="replace"))[len(marks) - 1 :]]
            stage, since = marks[-1]
            for moment in moments:
                if moment[0] == stage and now - since >= moment[1]:
                    print(f"killed {now - since:.2f} s after {stage} began, {kill(process, folder)}")
                    return marks, moment
    finally:
        if process.poll() is None:
            kill(process, folder)
    if process.returncode:
        sys.exit(f"dvc repro ended with {process.returncode}:\n{log.read_text()[-3000:]}")
    return marks, None


def kill(process: subprocess.Popen, folder: Path) -> str:
    """SIGKILL to the whole group, then to what of the run had left it; what was at work, in words."""
    stages = [line for line in alive(folder).values() if "-m stages." in line]
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with contextlib.suppress(ProcessLookupError):
        for _ in range(100):  # until nobody is left in the group
            os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.02)
    left = alive(folder)
    for number in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    outside = f"; outside of its group: {', '.join(left.values())}" if left else ""
    return f"in {', '.join(stages) or 'the work of DVC itself'}{outside}"


def alive(folder: Path) -> dict[int, str]:
    """Command lines of the processes that stand in the folder."""
    found = psutil.process_iter(["cwd", "cmdline"])
    return {one.pid: " ".join(one.info["cmdline"] or []) for one in found if one.info["cwd"] == str(folder)}


def draw(marks: list[Mark], seconds: float, kills: int, chance: random.Random) -> list[Moment]:
    """Moments of the undisturbed run: one in a stage of every kind, of some where kills are fewer, the others anywhere."""
    ends = [at for _, at in marks[1:]] + [seconds]
    lasted = {name: end - at for (name, at), end in zip(marks, ends, strict=True)}
    kinds: dict[str, list[str]] = {}
    for name in lasted:
        kinds.setdefault(kind(name), []).append(name)
    chosen = [chance.choice(names) for names in kinds.values()]
    moments = [
        (name, lasted[name] * chance.uniform(READY, 0.9)) for name in chance.sample(chosen, min(kills, len(chosen)))
    ]
    times = [chance.random() * seconds for _ in range(kills - len(moments))]
    return moments + [(name, at - since) for at in times for name, since in [[m for m in marks if m[1] <= at][-1]]]


def kind(stage: str) -> str:
    """What a stage does: its name in dvc.yaml, without the method where that is not what is trained."""
    name = stage.partition("@")[0]
    work, _, method = name.partition("_")
    return work if method in method_names() and work not in ("train", "segment") else name


def outputs(folder: Path, stages: tuple[str, ...]) -> dict[str, str]:
    """Digests of every file of the stages' outputs."""
    lock = YAML(typ="safe").load(folder / "dvc.lock")["stages"]
    paths = [folder / out["path"] for name in stages if name in lock for out in lock[name]["outs"]]
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    names = {str(file.relative_to(folder)): file for file in files}
    return {name: sha256_file(file) for name, file in names.items() if not name.startswith(FREE)}


def main(kills: int, seed: int, root: Path) -> int:
    chance, different, copies, killed = random.Random(seed), set(), 0, set()
    origin = project(root / "project", "everything")  # once: the working tree may change meanwhile
    undisturbed, began = shutil.copytree(origin, root / "undisturbed"), time.monotonic()
    marks, _ = repro(undisturbed)
    seconds, stages = time.monotonic() - began, tuple(dict(marks))
    wanted = outputs(undisturbed, stages)
    print(f"undisturbed: {seconds:.0f} s, {len(stages) - 1} stages, {len(wanted)} files; seed {seed}")
    moments = draw(marks, seconds, kills, chance)
    while moments:
        folder, before = shutil.copytree(origin, root / f"killed_{copies}"), len(moments)
        while moment := repro(folder, moments)[1]:
            moments.remove(moment)
            killed.add(kind(moment[0]))
        found = outputs(folder, stages)
        different |= {name for name in wanted | found if wanted.get(name) != found.get(name)}
        restarts = sum(read_json(file).get("restarts", 0) for file in (folder / "results/costs").rglob("*.json"))
        print(f"at its end, {before - len(moments)} kills later; trainings went on from a checkpoint {restarts} times")
        moments, copies = [(name, 0.5 * at) for name, at in moments], copies + 1  # their stages ended sooner this time
    print(*sorted(different), sep="\n", end="\n" if different else "")
    kinds = len({kind(name) for name in stages})
    print(f"{kills} kills in {len(killed)} of {kinds} kinds of stage, {len(different)} outputs differ of {len(wanted)}")
    return int(bool(different))


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--kills", type=int, default=50)
    made.add_argument("--seed", type=int, default=0, help="of the moments")
    given = made.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory(prefix="kill-") as temporary:
        sys.exit(main(given.kills, given.seed, Path(temporary).resolve()))
