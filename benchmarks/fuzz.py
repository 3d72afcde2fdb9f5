"""Hostile bytes into everything that reads a file: python -m benchmarks.fuzz [--target NAME] [--minutes 60] [--out DIR]

Needs atheris (pip install atheris), which mutates towards code not yet run. The minutes are shared by the targets
(benchmarks/fuzz_targets.py), each in a process of its own with bounded memory. What may come out of a reader is a result
or a UserError of sentences; another exception, more than 10 s of CPU, more than 2.5 GB or the end of the process is a
finding, kept as OUT/NAME/findings/*.bin with what happened beside it. A line a target; exit code 1 where there are
findings. A second run goes on from OUT/NAME/corpus.
"""

import argparse
import hashlib
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

SECONDS = 10  # of CPU an input
HANGS = 120  # of wall time an input: the machine may be busy
DATA_BYTES = 3 << 30  # beyond it an allocation fails: MemoryError
RESIDENT_MB = 2560
LONGEST = 4000  # characters of a line of an error


def main() -> int:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--target", help="this one alone")
    made.add_argument("--minutes", type=float, default=60, help="of all targets together")
    made.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "sim2street_fuzz")
    made.add_argument("--seconds", type=float, help=argparse.SUPPRESS)  # the worker's
    given = made.parse_args()
    if given.seconds:
        work(given.target, given.out / given.target, given.seconds)
    from benchmarks.fuzz_targets import TARGETS  # not in a worker, which imports it instrumented

    names = [given.target] if given.target else list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        made.error(f"no target {unknown[0]}; there are {', '.join(TARGETS)}")
    return 1 if sum([oversee(name, given.out, given.minutes * 60 / len(names)) for name in names]) else 0


def oversee(name: str, out: Path, seconds: float) -> int:
    """Workers of a target until its time is over (one that died is followed by another); the number of findings."""
    home, end, runs, coverage, deaths = out / name, time.monotonic() + seconds, 0, 0, 0
    (home / "corpus").mkdir(parents=True, exist_ok=True)
    (home / "findings").mkdir(exist_ok=True)
    while (left := end - time.monotonic()) > 1 and deaths < 20:
        command = [sys.executable, "-m", "benchmarks.fuzz", "--target", name, "--out", out, "--seconds", str(left)]
        with open(home / "log", "w") as log:
            code = subprocess.run(command, stdout=log, stderr=log).returncode
        said = (home / "log").read_text(errors="replace")
        runs += int(
            (re.findall(r"stat::number_of_executed_units: (\d+)", said) or re.findall(r"^#(\d+)", said, re.M) or [0])[
                -1
            ]
        )
        coverage = max([coverage, *map(int, re.findall(r"cov: (\d+)", said))])
        if code:
            deaths += 1
            (home / "findings" / f"death_{deaths}.txt").write_text(said[-5000:])
    found = len(list((home / "findings").glob("*.txt")))
    print(f"{name}: {runs:,} inputs, coverage {coverage}, {found} findings", flush=True)
    return found


def work(name: str, home: Path, seconds: float) -> None:
    """Fuzz one target in this process; does not return."""
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: pip install atheris")
    with atheris.instrument_imports(include=["pipeline", "ruamel", "stages", "tarfile", "zipfile"]):
        from benchmarks.fuzz_targets import TARGETS

        function, seeds = TARGETS[name](Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)))
    for seed in seeds:
        (home / "corpus" / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    resource.setrlimit(resource.RLIMIT_DATA, (DATA_BYTES, DATA_BYTES))
    options = [f"-max_total_time={max(1, int(seconds))}", f"-timeout={HANGS}", f"-rss_limit_mb={RESIDENT_MB}"]
    options += ["-max_len=65536", "-print_final_stats=1", f"-artifact_prefix={home}/findings/", f"{home}/corpus"]

    def one(data: bytes) -> None:
        start = time.process_time()
        try:
            function(data)
        except Exception as error:
            if fault := wrong(error):
                keep(home / "findings", data, fault, error)
        if (took := time.process_time() - start) > SECONDS:
            keep(home / "findings", data, f"took {took:.0f} s of CPU", None)

    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


def wrong(error: Exception) -> str:
    """What is wrong with how a reader ended; '' for a UserError of whole lines, those after the first indented."""
    from pipeline.files import UserError

    if not isinstance(error, UserError):
        return type(error).__name__
    first, *others = str(error).split("\n")
    if not first.strip() or not all(line.startswith("  ") for line in others):
        return "broken lines"
    return "a line too long" if max(map(len, [first, *others])) > LONGEST else ""


def keep(folder: Path, data: bytes, fault: str, error: Exception | None) -> None:
    """Keep an input; one for each fault and place."""
    frames = traceback.extract_tb(error.__traceback__) if error else []
    inside = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames if "/pipeline/" in frame.filename]
    name = hashlib.sha1(f"{fault} {inside[-1:]}".encode()).hexdigest()[:10]
    if not (folder / f"{name}.txt").exists():
        (folder / f"{name}.bin").write_bytes(data)
        told = "".join(traceback.format_exception(error))[-6000:] if error else ""
        (folder / f"{name}.txt").write_text(f"{fault} {inside[-1:]}\n{told}")


if __name__ == "__main__":
    sys.exit(main())
