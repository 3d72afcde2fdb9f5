"""The loop: stopped anywhere it ends as if nobody had stopped it, and it says what goes wrong."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.engine import loop
from pipeline.engine.checkpoint import Checkpoints
from pipeline.engine.ema import Ema
from pipeline.engine.loop import Run, Terminated, train, write_curves
from pipeline.engine.schedules import factor
from pipeline.files import UserError, read_json
from tests.engine import toy

pytestmark = pytest.mark.usefixtures("in_world")


class Stopped(Exception):
    """What ends a training in the middle here."""


class Cut:
    """A feed that ends with an error when a step is asked for."""

    waited = 0.0

    def __init__(self, feed: Any, step: int) -> None:
        self.feed, self.step = feed, step

    def batches(self, start: int) -> Iterator[Any]:
        for step, batch in enumerate(self.feed.batches(start), start):
            if step == self.step:
                raise Stopped
            yield batch


@pytest.fixture
def every_tick(monkeypatch) -> None:
    """A checkpoint at every tick."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, world) -> Callable[[str], Run]:
    """undisturbed(name): the finished training of a method."""
    runs: dict[tuple[str, str], Run] = {}

    def make(name: str, variant: str = "averaged") -> Run:
        if (name, variant) not in runs:
            runs[name, variant] = go_on(name, tmp_path_factory.mktemp("undisturbed"), variant)
        return runs[name, variant]

    return make


def stop(name: str, scratch: Path, step: int, variant: str = "averaged") -> Path:
    """Train up to `step`, where it ends badly; the folder of checkpoints."""
    run = toy.start(name, scratch, toy.VARIANTS[variant])
    with pytest.raises(Stopped):
        train(run, Cut(toy.shards(name, run), step), name)
    return run.checkpoints.folder


def go_on(name: str, scratch: Path, variant: str = "averaged") -> Run:
    run = toy.start(name, scratch, toy.VARIANTS[variant])
    train(run, toy.shards(name, run), name)
    return run


def assert_alike(one: Any, other: Any, place: str = "state") -> None:
    """Equal to the last bit."""
    if isinstance(one, dict):
        assert list(one) == list(other), place
        for key in one:
            assert_alike(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_alike(a, b, f"{place}[{i}]")
    else:
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other, place


def state(run: Run) -> dict[str, Any]:
    return {name: value for name, value in run.state().items() if name != "cost"}


# -- stopping and going on ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "variant"), toy.CASES)
def test_a_stopped_training_ends_bit_identical(name, variant, tmp_path, every_tick, undisturbed):
    steps = undisturbed(name, variant).step
    stop(name, tmp_path, steps // 2, variant)  # N steps and N steps are 2N
    stop(name, tmp_path, steps - 1, variant)  # where a tick has two steps, one beyond its checkpoint
    run = go_on(name, tmp_path, variant)
    assert run.cost.restarts == 2
    assert_alike(state(run), state(undisturbed(name, variant)))


class Pooled:
    """A method with an image pool (as CycleGAN's) and a random stream of its own, both of them state."""

    def __init__(self, method: Any) -> None:
        self.method, self.nets, self.optimizers = method, method.nets, method.optimizers
        self.pool: list[torch.Tensor] = []
        self.random = torch.Generator().manual_seed(0)

    def step(self, batch: Any) -> Iterator[Any]:
        fresh = batch.source.image.clone()
        if len(self.pool) > 1:
            place = int(torch.randint(len(self.pool), (), generator=self.random))
            batch.source.image, self.pool[place] = self.pool[place], fresh
        else:
            self.pool.append(fresh)
        yield from self.method.step(batch)

    def state(self) -> dict[str, Any]:
        return {"pool": self.pool, "random": self.random.get_state()}

    def load_state(self, state: dict[str, Any]) -> None:
        self.pool = state["pool"]
        self.random.set_state(state["random"])


@pytest.mark.parametrize("kept", [True, False], ids=["its state kept", "its state forgotten"])
def test_a_pool_and_a_random_stream_go_on_too(kept, tmp_path, every_tick, monkeypatch):
    build = toy.build
    monkeypatch.setattr(toy, "build", lambda *given: Pooled(build(*given)))
    whole = go_on("source_only", tmp_path / "whole")
    stop("source_only", tmp_path, 5)
    if not kept:  # what the comparison of every method would show of a method that forgets
        monkeypatch.setattr(Pooled, "load_state", lambda self, state: None)
    run = go_on("source_only", tmp_path)
    if kept:
        assert_alike(state(run), state(whole))
    else:
        with pytest.raises(AssertionError):
            assert_alike(run.rows, whole.rows)


def test_dropout_is_among_the_settings():
    from pipeline.nets.dropout import SampleDropout2d

    for name in toy.METHODS:
        layers = [m for m in toy.build(name, toy.VARIANTS["dropout"]).nets.modules() if isinstance(m, SampleDropout2d)]
        blocks = set(toy.method_module(name).BLOCKS) - {"train"}
        assert layers or not blocks & set(toy.VARIANTS["dropout"]), name


@pytest.mark.parametrize("lost", [1, 2])
def test_a_checkpoint_that_was_cut_short_falls_back(lost, tmp_path, every_tick, undisturbed, capsys):
    folder = stop("source_only", tmp_path, 7)
    newest = sorted(folder.iterdir())[::-1]
    assert [path.name for path in newest] == ["000000006.pt", "000000004.pt"]  # the newest two are kept
    for path in newest[:lost]:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    run = go_on("source_only", tmp_path)
    told = capsys.readouterr().err
    assert "checkpoint 000000006.pt cannot be read" in told
    assert ("resumed at step 4 of 8" in told) == (lost == 1)
    assert_alike(state(run), state(undisturbed("source_only")))


@pytest.mark.parametrize("last", [4, 8])  # 8: after the last step, before the outputs
def test_a_termination_is_answered_with_a_checkpoint_at_the_next_tick(last, tmp_path, undisturbed):
    run = toy.start("source_only", tmp_path)

    def live(step: int, row: dict[str, float]) -> None:
        if step == last:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Terminated) as caught:
        train(run, toy.shards("source_only", run), "source_only", live)
    assert caught.value.code == 143
    assert [path.name for path in run.checkpoints.folder.iterdir()] == [f"00000000{last}.pt"]
    assert_alike(state(go_on("source_only", tmp_path)), state(undisturbed("source_only")))


def test_checkpoints_of_another_fingerprint_are_not_used_and_go(tmp_path):
    Checkpoints("train_x@0", "old", tmp_path).save(3, {"step": 3})
    new = Checkpoints("train_x@0", "new", tmp_path)
    assert new.newest() is None
    assert [path.name for path in (tmp_path / "train/train_x@0").iterdir()] == ["new"]
    other = Checkpoints("train_y@0", "other", tmp_path)
    other.save(1, {"step": 1})
    new.remove()
    assert other.newest() == {"step": 1} and not (tmp_path / "train/train_x@0").exists()


def test_a_full_disk_at_a_checkpoint_is_told_and_the_one_before_stays(tmp_path):
    checkpoints = Checkpoints("train_x@0", "mark", tmp_path)
    checkpoints.save(1, {"step": 1})
    (checkpoints.folder / "000000002.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:  # torch alone says: unexpected pos 64 vs 0
        checkpoints.save(2, {"net": torch.zeros(10_000)})
    assert caught.value.filename == str(checkpoints.folder / "000000002.pt")
    assert [path.name for path in checkpoints.folder.iterdir()] == ["000000001.pt"]


def test_a_checkpoint_that_would_run_code_is_not_loaded(tmp_path, capsys):
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (open, (str(tmp_path / "trapped"), "w"))

    checkpoints = Checkpoints("train_x@0", "mark", tmp_path)
    checkpoints.save(1, {"step": 1})
    torch.save({"step": Trap()}, checkpoints.folder / "000000002.pt")
    assert checkpoints.newest() == {"step": 1} and not (tmp_path / "trapped").exists()


# -- what it says -------------------------------------------------------------------------------------------------


class Poisoned(toy.Drawn):
    """Pictures that are not numbers at one step."""

    def batches(self, start: int) -> Iterator[Any]:
        for step, batch in enumerate(super().batches(start), start):
            if step == 5:
                for domain in vars(batch).values():
                    domain.image = domain.image * float("nan")
            yield batch


@pytest.mark.parametrize(("name", "loss"), [("source_only", "task"), ("spigan", "D")])
def test_a_loss_that_is_no_number_is_named_with_its_step(name, loss, tmp_path, every_tick):
    run = toy.start(name, tmp_path)
    words = rf"^loss '{loss}' became nan at step 5; lower the learning rate .*checkpoint is .*/000000004\.pt$"
    with pytest.raises(UserError, match=words):
        train(run, Poisoned(name), name)
    assert run.checkpoints.newest()["step"] == 4  # nothing after it was kept


@pytest.mark.parametrize("name", toy.METHODS)
def test_the_curves_hold_a_row_a_tick_with_finite_means(name, tmp_path, undisturbed):
    run = undisturbed(name)
    write_curves(tmp_path / "curves.json", run, name, 0)
    curves = read_json(tmp_path / "curves.json")
    assert (curves["method"], curves["seed"]) == (name, 0)
    assert [row["step"] for row in curves["curves"]] == [2, 4, 6, 8]
    assert [row["kimg"] for row in curves["curves"]] == [0.004, 0.008, 0.012, 0.016]
    assert all(key.startswith("loss/") for row in curves["curves"] for key in list(row)[2:])


def test_a_row_is_the_mean_over_its_tick(tmp_path):
    rows = {}
    for tick in (1, 4):
        run = toy.start("source_only", tmp_path / str(tick), {"segment": {"tick": tick}})
        train(run, toy.Drawn("source_only"), "source_only")
        rows[tick] = [row[2] for row in run.rows]
    assert rows[4] == pytest.approx([sum(rows[1][:4]) / 4, sum(rows[1][4:]) / 4], rel=1e-6)


# -- rates and means ----------------------------------------------------------------------------------------------


def test_schedules():
    assert [factor("constant", step, 10) for step in (0, 5, 9)] == [1.0, 1.0, 1.0]
    assert [factor("linear", step, 10) for step in (0, 4, 5, 6, 9)] == pytest.approx([1.0, 1.0, 1.0, 0.8, 0.2])
    assert [factor("poly", step, 10) for step in (0, 5, 9)] == pytest.approx([1.0, 0.5**0.9, 0.1**0.9])


def test_every_group_follows_the_schedule_from_its_own_rate(tmp_path):
    run = toy.start("spigan", tmp_path)
    run.step = 6
    run.set_rates()
    rates = {name: [group["lr"] for group in o.param_groups] for name, o in run.optimizers.items()}
    assert rates == {"discriminator": pytest.approx([1e-4]), "generator": pytest.approx([1e-4, 5e-4])}


def test_the_moving_average():
    nets = nn.ModuleDict({"a": nn.BatchNorm1d(1)})
    ema = Ema(nets, decay=0.5)
    for step, value in enumerate((1.0, 2.0, 3.0)):
        nn.init.constant_(nets["a"].weight, value)
        nets["a"].running_mean.fill_(value)
        ema.update(nets, step)
    mean = 1.0  # its weight at first
    for decay, value in ((1 / 10, 1.0), (2 / 11, 2.0), (3 / 12, 3.0)):
        mean = decay * mean + (1 - decay) * value
    assert float(ema.nets["a"].weight) == pytest.approx(mean, rel=1e-6)
    assert float(ema.nets["a"].running_mean) == 3.0 and not ema.nets.training
    for step in range(100, 200):
        ema.update(nets, step)
    assert float(ema.nets["a"].weight) == pytest.approx(3.0, rel=1e-6)  # decay stays at 0.5


def test_what_is_kept_is_the_average_where_there_is_one(tmp_path):
    run = toy.start("source_only", tmp_path)
    assert run.nets is not run.method.nets
    plain = toy.start("source_only", tmp_path / "plain", {"segment": {"ema": 0.0}})
    assert plain.nets is plain.method.nets
