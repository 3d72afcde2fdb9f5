"""Every output of a stage stands in MLflow exactly once, with its parameters, curves, scores and files."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import files
from pipeline.tracking import fill, sync
from pipeline.tracking.outputs import collect
from pipeline.tracking.store import opened, root

NAMES = [
    "shard source",
    "train spigan 0",
    "translate spigan 0",
    "measure spigan 0",
    "segment source_only none 0",
    "segment source_only spigan 0",
    "evaluate source_only none 0",
    "evaluate source_only spigan 0",
]
OF_SPIGAN = [name for name in NAMES if "spigan" in name]


def runs() -> list:
    with opened() as store:
        return list(store.client.search_runs([store.experiment]))


def children(parent: str | None = None) -> Counter:
    tags = [run.data.tags for run in runs()]
    own = [t for t in tags if parent in (None, t.get("mlflow.parentRunId")) and "mlflow.parentRunId" in t]
    return Counter(t["mlflow.runName"] for t in own)


def parents() -> dict:
    return {run.data.tags["mlflow.runName"]: run for run in runs() if "mlflow.parentRunId" not in run.data.tags}


def by_name(name: str):
    return next(run for run in runs() if run.info.run_name == name)


def test_every_output_once(stored: Path) -> None:
    assert sync() == len(NAMES) + 1
    assert children() == Counter(NAMES)
    assert {run.info.status for run in runs()} == {"FINISHED"}
    assert sync() == 0

    shutil.move("results", "elsewhere")
    assert sync() == 0  # what was deleted stays in MLflow
    shutil.copytree("elsewhere", "results")
    assert sync() == 0  # and what was restored is known, whatever its time
    assert children() == Counter(NAMES)


def test_changed_parameters_make_a_second_parent(stored: Path, rewrite: Callable[..., None]) -> None:
    rewrite(gamma=0.1)
    os.makedirs("presets")
    shutil.copy("params.yaml", "presets/default.yaml")
    sync()
    rewrite(gamma=0.5, score=45.0)
    assert sync() == len(OF_SPIGAN) + 1
    assert set(parents()) == {"default", "train.gamma=0.5"}
    second = parents()["train.gamma=0.5"]
    assert children(second.info.run_id) == Counter(OF_SPIGAN)  # what was not run again is not shown again
    assert second.data.metrics["source_only/none/miou"] == 30.0
    assert second.data.metrics["source_only/spigan/miou"] == 45.0
    assert parents()["default"].data.metrics["source_only/spigan/miou"] == 40.0

    rewrite(gamma=0.1)
    assert sync() == 0  # as after `dvc checkout`


def test_what_a_run_holds(stored: Path) -> None:
    sync()
    parent = by_name(next(iter(parents())))
    assert parent.data.params["train.gamma"] == "0.1" and parent.data.params["world.setting119"] == "119"
    assert parent.data.tags["data.source"] == "d0"

    train = by_name("train spigan 0")
    assert train.data.params == {
        "stage": "train", "translator": "spigan", "seed": "0", "method": "spigan", "train.gamma": "0.1",
    }  # fmt: skip
    assert train.data.metrics["cost/seconds"] == 100.0 and train.data.tags["device"] == "cpu"
    assert train.info.end_time - train.info.start_time == 100_000
    assert train.data.tags["model.path"] == "models/translators/spigan/0"
    assert train.data.tags["model.sha256"] == files.sha256_file("models/translators/spigan/0/weights.safetensors")
    with opened() as store:
        history = store.client.get_metric_history(train.info.run_id, "loss/G.gan")
        once = store.client.get_metric_history(train.info.run_id, "loss/once")
        files_in = {item.path for item in store.client.list_artifacts(train.info.run_id, "model")}
    assert [(m.step, m.value) for m in history] == [(step, 40.1 / (step + 1)) for step in range(400)]
    assert [m.timestamp for m in history] == sorted({m.timestamp for m in history})
    assert [m.step for m in once] == [0]  # null is no number
    assert files_in == {"model/fingerprint", "model/params.yaml", "model/weights.safetensors"}
    assert Path(stored, ".mlflow/artifacts", train.info.run_id).is_dir()  # though the store was made elsewhere

    scores = by_name("evaluate source_only spigan 0").data
    assert scores.metrics == {"pictures": 8, "miou": 40.0, "iou/road": 0.5} and scores.tags["split"] == "val"
    assert by_name("measure spigan 0").data.metrics == {"frechet_lite0_300": 10.1}


def test_large_models_are_named_and_not_copied(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "MODEL_BYTES", 5)
    sync()
    train = by_name("train spigan 0")
    assert "model.sha256" in train.data.tags
    assert not Path(".mlflow/artifacts", train.info.run_id, "artifacts/model").exists()


def test_killed_sync_is_completed(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish, calls = fill._Filler._commit_run, []

    def dying(*arguments) -> str:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return finish(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fill._Filler, "_commit_run", dying)
        sync()
    assert children() == Counter(NAMES[:2])
    sync()
    assert children() == Counter(NAMES) and len(parents()) == 1


def test_two_processes_at_once(tree: Path) -> None:
    """On a checkout without a store, where MLflow alone breaks its database; also: no telemetry, whatever is set."""
    hints = ("PYTEST", "CI", "GITHUB")  # MLflow sends none where it sees that it is being tested
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hints)}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[2]), "MLFLOW_DISABLE_TELEMETRY": "false"}
    code = (
        "from pipeline.tracking import sync; print(sync());"
        "from mlflow.telemetry import get_telemetry_client; print(get_telemetry_client())"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=120) for process in both]
    assert [error for _, error in answers] == [b"", b""]
    assert sorted(out.decode().split() for out, _ in answers) == [["0", "None"], [str(len(NAMES) + 1), "None"]]
    assert children() == Counter(NAMES)
    assert Path(".mlflow/.gitignore").read_text() == "*\n"


def test_outputs_of_other_parameters_are_left_out(tree: Path) -> None:
    """Parameters were edited and nothing was run yet: the old results must not be shown as those of the new ones."""
    lock = {
        "train_spigan@0": {
            "params": {"params.yaml": {"train.gamma": 0.5}},
            "outs": [{"path": "models/translators/spigan/0", "md5": "m1"}, {"path": "results/train/spigan/0"}],
        },
        "translate_spigan@0": {
            "deps": [{"path": "models/translators/spigan/0", "md5": "m1"}],
            "outs": [{"path": "data/translated/spigan/0", "md5": "t1"}],
        },
        "segment_source_only@spigan-0": {
            "deps": [{"path": "data/translated/spigan/0", "md5": "t0"}],  # translated anew since
            "outs": [{"path": "models/segmenters/source_only/spigan/0", "md5": "s1"}],
        },
        "evaluate_source_only@none-0": {
            "params": {"params.yaml": {"seeds": [0]}},
            "deps": [{"path": "data/shards/target_val", "md5": "v"}, {"path": "pipeline/files.py", "md5": "c"}],
            "outs": [{"path": "results/evaluate/source_only/none/0", "md5": "e"}],
        },
    }
    files.write_json("dvc.lock", {"schema": "2.0", "stages": lock})  # JSON is YAML
    outputs, others = collect({"seeds": [0], "cells": {"source_only": ["none", "spigan"]}, "train": {"gamma": 0.1}})
    assert others == {"train spigan 0": "train.gamma", "translate spigan 0": "train.gamma"}
    evaluated = next(output for output in outputs if output.name == "evaluate source_only none 0")
    assert evaluated.params == {"seeds": [0]}
    assert evaluated.digests == {
        "input.data/shards/target_val": "v",
        "output.results/evaluate/source_only/none/0": "e",
    }
    outputs, others = collect({"seeds": [0], "cells": {"source_only": ["spigan"]}, "train": {"gamma": 0.5}})
    assert others == {}


def test_a_dropped_cell_does_not_come_back(tree: Path) -> None:
    outputs, _ = collect({"seeds": [0], "cells": {"source_only": ["none"]}})
    assert [output.name for output in outputs if output.stage != "shard"] == [
        "segment source_only none 0",
        "evaluate source_only none 0",
    ]
    outputs, _ = collect({"seeds": [1], "cells": {"source_only": ["none"]}})
    assert [output.name for output in outputs] == ["shard source"]


def test_temporary_experiment_copies_fill_the_store_they_come_from(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tree / ".dvc/tmp/exps/tmpabc"
    (copy / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert root() == tree


def test_nothing_imports_mlflow_early() -> None:
    code = "import sys, pipeline.tracking; print([name for name in ('mlflow', 'torch', 'dvc') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "[]"
