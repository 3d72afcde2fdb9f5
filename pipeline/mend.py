"""Before `dvc repro`: nobody else is at work in this folder, and what a killed DVC left half-written is mended.

DVC writes dvc.lock, after every stage, and .dvc/tmp/rwlock in place: `kill -9` or a power cut in that moment leaves a
file at which every later `dvc repro` stops. No work is lost: stages that had ended are in DVC's run cache. `make run`
does this by itself; where DVC is called by hand: python -m pipeline.mend
"""

import re
import sys
from pathlib import Path

import psutil

from pipeline.files import UserError, write_atomic

LOCK, RWLOCK = Path("dvc.lock"), Path(".dvc/tmp/rwlock")
DVC_LOCK = Path(".dvc/tmp/lock")  # held by any DVC command while it writes


def mend() -> None:
    """Make the current folder ready for `dvc repro`. Raises UserError where one, or a stage that one left, still runs."""
    if busy := at_work():
        raise UserError(f"{busy} is at work in this folder; wait for it or end it, then run the same command again")
    _mend_rwlock()
    _mend_lock()


def at_work() -> str | None:
    """Another `dvc repro` or `dvc exp run` of this folder, or a stage that outlived its DVC, in words."""
    here = str(Path.cwd())
    for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
        words = process.info["cmdline"] or []
        if process.info["cwd"] != here:
            continue
        if _is_dvc(words) and {"repro", "exp"} & set(words):
            return f"`dvc {' '.join(words[words.index('repro' if 'repro' in words else 'exp') :])}` (process {process.pid})"
        if " ".join(words[1:3]).startswith("-m stages") and (stage := _stage_of(process)):
            return f"stage {stage} of a DVC that was killed (process {process.pid})"
    return None


def locked() -> bool:
    """Whether any DVC command holds this folder; the file alone means nothing, it stays."""
    try:
        import fcntl

        with open(DVC_LOCK) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        return False
    return False


def _is_dvc(words: list[str]) -> bool:
    return any(Path(word).name == "dvc" for word in words[:3])


def _stage_of(process: psutil.Process) -> str | None:
    """What DVC calls the stage that it started as this process; None where a person started it."""
    try:
        return process.environ().get("DVC_STAGE")
    except psutil.Error:
        return None


def _mend_rwlock() -> None:
    """Drop locks that no DVC holds: DVC asks only whether the process number lives, which may be another's by now."""
    if not RWLOCK.exists():
        return
    for number in re.findall(r'"pid": (\d+)', RWLOCK.read_text()):
        try:
            if _is_dvc(psutil.Process(int(number)).cmdline()):
                return
        except psutil.Error:
            continue
    RWLOCK.unlink()


def _mend_lock() -> None:
    """Keep the stages of dvc.lock that were written whole, where the file was cut short."""
    text = LOCK.read_text() if LOCK.exists() else None
    if text is None or text.endswith("\n") and not text.endswith(":\n"):
        return
    head, *stages = re.split(r"^(?=  \S)", text, flags=re.M)
    if stages[:-1]:
        write_atomic(LOCK, head + "".join(stages[:-1]))
    else:
        LOCK.unlink()
    print(
        f"dvc.lock was cut short when DVC was killed: {len(stages[:-1])} stages are kept in it, what else had ended "
        "comes back from DVC's cache",
        file=sys.stderr,
    )


if __name__ == "__main__":
    try:
        mend()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
