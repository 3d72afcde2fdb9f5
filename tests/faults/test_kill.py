"""Killed without warning and started again, a stage ends with the bytes of a run that nobody disturbed."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.commands import Ended, Process, contents, merge, run_apart, run_here, write_params
from tests.faults.slow import MARK

SLOW = Path(__file__).parent / "slow.py"
COSTS = "results/costs"  # differ from run to run


def kill_in_the_middle(folder: Path, *command: str, sent: int = signal.SIGKILL, code: int = -signal.SIGKILL) -> None:
    """Start the stage, wait until it stands still, and kill it with all its processes; it ends with `code`."""
    process = Process(folder, str(SLOW), *command)
    try:
        until = time.monotonic() + 100
        while not (folder / MARK).exists():
            assert not process.ended() and time.monotonic() < until, process.err
            time.sleep(0.05)
    finally:
        if not process.ended():
            os.killpg(process.pid, sent)
        ended = process.wait(30)
    assert ended.code == code, ended.err
    (folder / MARK).unlink()


def again(folder: Path, *command: str) -> Ended:
    """As a process of its own: half-done work is continued only where the same code is loaded."""
    ended = run_apart(folder, "-m", f"stages.{command[0]}", *command[1:])
    assert ended.code == 0, ended.err
    return ended


def assert_undisturbed(folder: Path, undisturbed: Path, *parts: str) -> None:
    """Every output is equal to the last bit, and no scratch is left."""
    for part in parts:
        assert contents(folder / part) and contents(folder / part) == contents(undisturbed / part), part
    left = [str(path) for path in folder.rglob("*") if path.name.startswith(".") or path.suffix == ".tmp"]
    assert [path for path in left if not path.endswith(".scratch") or contents(Path(path))] == []


def test_killed_while_sharding(world, copy):
    folder = copy(world, "data/raw/world_source", "data/fixed")
    kill_in_the_middle(folder, "shard", "source")
    scratch = folder / "data/shards/.source.scratch"
    assert not (folder / "data/shards/source").exists()
    first = scratch / "set/000000.tar"
    written = first.stat().st_mtime_ns
    again(folder, "shard", "source")
    assert_undisturbed(folder, world, "data/shards/source")
    assert (folder / "data/shards/source/000000.tar").stat().st_mtime_ns == written  # not made again


@pytest.mark.parametrize("command", [("train", "spigan", "0"), ("segment", "source_only", "none", "0")], ids="/".join)
def test_killed_while_training(trained, copy, command):
    folder = copy(trained, "data/shards", "data/translated/none")
    kill_in_the_middle(folder, *command)
    assert len(list((folder / ".scratch").rglob("*.pt"))) == len(list((folder / ".scratch").rglob("*.tmp"))) == 1
    assert not (folder / "models").exists()
    ended = again(folder, *command)
    kind = "translators" if command[0] == "train" else "segmenters"
    model = f"models/{kind}/{'/'.join(command[1:])}"
    assert "resumed at step 2 of" in ended.err
    assert_undisturbed(folder, trained, model, f"results/{command[0]}/{'/'.join(command[1:])}")
    assert '"restarts": 1' in (folder / COSTS / f"{'/'.join(command)}.json").read_text()


def test_killed_while_translating(trained, copy):
    folder = copy(trained, "data/shards/source", "models/translators/spigan")
    kill_in_the_middle(folder, "translate", "spigan", "0")
    assert not (folder / "data/translated/spigan/0").exists()
    again(folder, "translate", "spigan", "0")
    assert_undisturbed(folder, trained, "data/translated/spigan/0")


@pytest.mark.parametrize(
    ("command", "out"),
    [
        (("simulate", "source"), "data/raw/world_source"),
        (("shard", "source"), "data/shards/source"),
        (("translate", "spigan", "0"), "data/translated/spigan/0"),
    ],
    ids=["simulate", "shard", "translate"],
)
def test_terminated_a_stage_leaves_nothing_half_written_and_says_so_by_its_code(command, out, trained, copy):
    parts = {"simulate": (), "shard": ("data/raw/world_source", "data/fixed")}
    folder = copy(trained, *parts.get(command[0], ("data/shards/source", "models/translators/spigan")))
    kill_in_the_middle(folder, *command, sent=signal.SIGTERM, code=143)
    assert not (folder / out).exists() and not list(folder.rglob("*.tmp"))
    assert run_here(folder, *command).code == 0
    assert_undisturbed(folder, trained, out)


def test_what_was_half_done_with_other_parameters_is_not_continued(world, copy, tiny):
    folder = copy(world, "data/raw/world_source", "data/fixed")
    kill_in_the_middle(folder, "shard", "source")
    write_params(folder, merge(tiny, {"shard": {"quality": 50}}))
    again(folder, "shard", "source")
    now, before = (contents(root / "data/shards/source")["000000.tar"] for root in (folder, world))
    assert now != before  # the finished shard was not taken over
