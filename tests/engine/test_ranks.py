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
def together(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each method comes to on two processes; `continued`, from the checkpoint of one; `left`: where theirs lie."""
    out = tmp_path_factory.mktemp("ranks") / "ranks.pt"
    with contextlib.chdir(world):
        for name in PASSED_ON:
            half(name, toy.fabric(), Path(f"{out}.one"))
    ended = run_apart(world, *TORCHRUN, str(ROOT / "tests/engine/ranks.py"), str(out))
    assert ended.code == 0, ended.err
    loaded = torch.load(out, weights_only=True)
    assert loaded["ranks"] == 2
    assert ended.err.count("resumed at step 2 of 4") == 2 * len(PASSED_ON)
    return loaded | {"left": Path(f"{out}.two")}


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
def test_one_process_goes_on_from_the_checkpoint_of_two_and_two_from_that_of_one(name, together, in_world, capsys):
    undisturbed = together["methods"][name]
    check_same(undisturbed, together["continued"][name])
    check_same(undisturbed, train_alone(name, toy.fabric(), together["left"]))
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


def test_a_training_stage_runs_under_torchrun(trained, copy):
    folder = copy(trained, "data/shards")
    ended = run_apart(folder, *TORCHRUN, "-m", "stages.train", "spigan", "0")
    assert ended.code == 0, ended.err
    one, two = (read_json(root / "results/train/spigan/0/curves.json") for root in (trained, folder))
    for a, b in zip(one["curves"], two["curves"], strict=True):
        assert b == pytest.approx(a, rel=1e-4)  # single precision: see ranks.py
    assert "2 process(es)" in (folder / "models/translators/spigan/0/card.md").read_text()
    assert not contents(folder / ".scratch")


def test_two_processes_translate_and_evaluate_as_one_does(trained, copy):
    folder = copy(trained, "data/shards", "models")
    for stage in (("translate", "spigan", "0"), ("evaluate", "source_only", "none", "0")):
        ended = run_apart(folder, *TORCHRUN, "-m", f"stages.{stage[0]}", *stage[1:])
        assert ended.code == 0, ended.err
    assert contents(folder / "data/translated/spigan") == contents(trained / "data/translated/spigan")
    assert [file.name for file in (folder / "data/translated/spigan").iterdir()] == ["0"]  # no scratch is left
    together = contents(folder / "results/evaluate")
    shutil.rmtree(folder / "results")
    assert run_here(folder, "evaluate", "source_only", "none", "0").code == 0
    assert contents(folder / "results/evaluate") == together
