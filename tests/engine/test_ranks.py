"""Two processes that share a batch train as one process does."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.engine import step
from pipeline.files import read_json
from tests.commands import ROOT, contents, run_apart, run_here
from tests.engine import toy
from tests.engine.ranks import PASSED_ON, half
from tests.engine.ranks import trained as train_alone

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture(scope="module")
def shared(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two processes did all that ranks.py lists, the methods into two.pt: one start for all."""
    folder = tmp_path_factory.mktemp("ranks")
    shutil.copy(trained / "params.yaml", folder)
    for part in ("data/shards", "models"):
        shutil.copytree(trained / part, folder / part)
    with contextlib.chdir(trained):
        for name in PASSED_ON:
            half(name, toy.fabric(), folder / "half_one")
    begin, ranks = str(ROOT / "tests/begin.py"), str(ROOT / "tests/engine/ranks.py")
    ended = run_apart(trained, *TORCHRUN, begin, ranks, str(folder / "two.pt"), str(folder))
    assert ended.code == 0, ended.err
    assert ended.err.count("resumed at step 2 of 4") == 2 * len(PASSED_ON)
    return folder


@pytest.fixture(scope="module")
def together(shared: Path) -> dict[str, Any]:
    """What each method comes to on two processes, and on two that went on from a checkpoint of one."""
    loaded = torch.load(shared / "two.pt", weights_only=True)
    assert loaded["ranks"] == 2
    return loaded


def check_same(one: dict[str, Any], two: dict[str, Any]) -> None:
    for kind in ("nets", "ema"):
        assert list(one[kind]) == list(two[kind])
        for key, value in one[kind].items():
            torch.testing.assert_close(
                two[kind][key], value, rtol=1e-5, atol=1e-7, msg=lambda m, key=key: f"{key}: {m}"
            )
    assert one["columns"] == two["columns"]
    for a, b in zip(one["rows"], two["rows"], strict=True):
        assert b == pytest.approx(a, rel=1e-5)


@pytest.mark.parametrize("name", toy.METHODS)
def test_two_processes_train_as_one_does(name, together, tmp_path, in_world):
    check_same(train_alone(name, toy.fabric(), tmp_path), together["methods"][name])


@pytest.mark.parametrize("name", PASSED_ON)
def test_one_process_goes_on_from_the_checkpoint_of_two_and_two_from_that_of_one(
    name, together, shared, in_world, capsys
):
    undisturbed = together["methods"][name]
    check_same(undisturbed, together["continued"][name])
    check_same(undisturbed, train_alone(name, toy.fabric(), shared / "half_two"))
    assert "resumed at step 2 of 4" in capsys.readouterr().err


ADAPTED = [
    name
    for name in toy.METHODS
    if toy.method_module(name).ABILITY == "segmenter" and "target" in toy.method_module(name).DOMAINS
]


@pytest.mark.parametrize("name", ADAPTED)
def test_a_rank_whose_pictures_are_padded_asks_the_others_as_often(name, monkeypatch):
    """Otherwise they would wait for each other for ever."""
    asked: list[None] = []
    monkeypatch.setattr(step, "several_ranks", lambda: bool(asked.append(None)))
    counts = []
    for padded in (False, True):
        method = toy.build(name, {"cbst": {"warmup": 0.0}} if name == "cbst" else None)
        batch = next(toy.Drawn(name).batches(0))
        if padded:
            batch.target.inside = torch.ones(2, 1, 32, 32, dtype=torch.bool)
            batch.target.inside[:, :, 20:] = False
        asked.clear()
        step.run_step(method.step(batch), method.optimizers())
        counts.append(len(asked))
    assert counts[0] == counts[1] > 0


def test_a_training_stage_runs_under_torchrun(trained, shared):
    one, two = (read_json(root / "results/train/spigan/0/curves.json") for root in (trained, shared))
    for a, b in zip(one["curves"], two["curves"], strict=True):
        assert b == pytest.approx(a, rel=1e-4)  # single precision: see ranks.py
    assert "2 process(es)" in (shared / "models/translators/spigan/0/card.md").read_text()
    assert not contents(shared / ".scratch")


def test_two_processes_translate_and_evaluate_as_one_does(trained, shared):
    assert contents(shared / "data/translated/spigan") == contents(trained / "data/translated/spigan")
    assert [file.name for file in (shared / "data/translated/spigan").iterdir()] == ["0"]  # no scratch is left
    together = contents(shared / "results/evaluate")
    shutil.rmtree(shared / "results/evaluate")
    assert run_here(shared, "evaluate", "source_only", "none", "0").code == 0
    assert contents(shared / "results/evaluate") == together
