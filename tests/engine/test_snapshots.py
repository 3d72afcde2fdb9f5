"""The last snapshots of a training: which they are, that a stop changes none of them, and what is said without them."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from pipeline.engine import loop
from pipeline.engine.snapshots import Snapshots, read_snapshots
from pipeline.files import UserError
from tests.engine import toy
from tests.engine.test_loop import Cut, Stopped

NAME = "adaptsegnet"


def start(scratch: Path, every: int = 3) -> loop.Run:
    run = toy.start(NAME, scratch)
    run.snapshots = Snapshots(run.checkpoints.folder / "snapshots", {"S"}, run.settings.steps, every)
    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_last_ten_are_so_many_steps_apart():
    steps = Snapshots(Path("nowhere"), set(), 1000, 20).steps
    assert sorted(steps) == list(range(820, 1001, 20))
    assert sorted(Snapshots(Path("nowhere"), set(), 100, 40).steps) == [20, 60, 100]  # no more than there are


@pytest.mark.usefixtures("in_world")
def test_stopped_and_continued_they_are_those_of_a_training_that_nobody_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    whole = start(tmp_path / "whole")
    loop.train(whole, toy.shards(NAME, whole), NAME)
    stopped = start(tmp_path / "stopped")
    with pytest.raises(Stopped):  # after the snapshot at 5, of which the checkpoint at 4 knows nothing
        loop.train(stopped, Cut(toy.shards(NAME, stopped), 6), NAME)
    again = start(tmp_path / "stopped")
    loop.train(again, toy.shards(NAME, again), NAME)
    assert again.snapshots and whole.snapshots
    (again.checkpoints.folder / "snapshots/.000000005.safetensors.7.tmp").write_bytes(b"half of it")  # a kill's
    for run, out in ((whole, "one"), (again, "other")):
        assert run.snapshots
        run.snapshots.keep(tmp_path / out)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    files = read_snapshots(tmp_path / "one")
    assert list(files) == [2, 5, 8]
    last, kept = load_file(files[8]), whole.nets["S"].state_dict()
    assert {f"S.{key}" for key in kept} == set(last) and all(last[f"S.{k}"].equal(v) for k, v in kept.items())
    assert not all(load_file(files[5])[key].equal(value) for key, value in last.items())


def test_a_folder_without_snapshots_is_an_error(tmp_path):
    with pytest.raises(UserError, match="holds no snapshot of a training; run its stage again"):
        read_snapshots(tmp_path)
