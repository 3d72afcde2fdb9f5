"""Every output of a stage stands in MLflow exactly once, with its parameters, curves, scores and files."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline import files
from pipeline.params import read_yaml
from pipeline.tracking import fill, sync
from pipeline.tracking.fill import NOTE, STAGE
from pipeline.tracking.outputs import KINDS, Output, cells, collect
from pipeline.tracking.store import opened, root
from pipeline.tracking.words import title

REPOSITORY = Path(__file__).parents[2]
NAMES = [
    "shard_source",
    "train_spigan@0",
    "translate_spigan@0",
    "segment_source_only@none-0",
    "evaluate_source_only@none-0",
    "segment_source_only@spigan-0",
    "evaluate_source_only@spigan-0",
    "measure@spigan-0",
    "exactness@spigan-0",
]
OF_SPIGAN = [name for name in NAMES if "spigan" in name]


def runs() -> list:
    with opened() as store:
        return list(store.client.search_runs([store.experiment]))


def children(parent: str | None = None) -> Counter:
    tags = [run.data.tags for run in runs()]
    own = [t for t in tags if parent in (None, t.get("mlflow.parentRunId")) and "mlflow.parentRunId" in t]
    return Counter(t[STAGE] for t in own)


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
    sync()
    rewrite(gamma=0.5, score=45.0)
    assert sync() == len(OF_SPIGAN) + 1
    assert set(parents()) == {"default", "train.gamma=0.5"}
    second = parents()["train.gamma=0.5"]
    assert children(second.info.run_id) == Counter(OF_SPIGAN)  # what was not run again is not shown again
    assert second.data.metrics["source_only/none/miou"] == 30.0
    assert second.data.metrics["source_only/spigan/miou"] == 45.0
    assert parents()["default"].data.metrics["source_only/spigan/miou"] == 40.0
    about = second.data.tags[NOTE]
    assert "- `train.gamma=0.5`" in about and "| source_only | spigan | 45.000 |" in about
    # in a chart of both, one can tell which is which
    assert {run.info.run_name for run in runs() if run.data.tags.get(STAGE) == "train_spigan@0"} == {
        "train_spigan@0", "train_spigan@0, train.gamma=0.5",
    }  # fmt: skip

    rewrite(gamma=0.1)
    assert sync() == 0  # as after `dvc checkout`


def test_parents_are_named_after_the_preset_and_what_differs_from_it(tree: Path) -> None:
    Path("presets/other.yaml").write_text("train:\n  gamma: 0.7\nseeds: [0, 1]\n")
    default = read_yaml("params.yaml")
    preset = default | {"train": {"gamma": 0.7}, "seeds": [0, 1]}
    assert title(default) == "default"
    assert title(preset) == "other"
    assert title(preset | {"exactness": []}) == "exactness=[] (other)"
    assert title(default | {"train": {"gamma": 0.7}}) == "train.gamma=0.7"
    changed = {"seeds": [1], "exactness": [], "train": {"gamma": 0.8}}
    assert title(default | changed) == "train.gamma=0.8, seeds=[1], exactness=[]"  # what tells runs apart comes first


def test_what_a_run_holds(stored: Path) -> None:
    sync()
    parent = by_name(next(iter(parents())))
    assert parent.data.params["train.gamma"] == "0.1" and parent.data.params["world.setting119"] == "119"
    assert parent.data.tags["data.source"] == "d0"

    train = by_name("train_spigan@0")
    assert train.data.params == {
        "stage": "train", "translator": "spigan", "seed": "0", "method": "spigan", "train.gamma": "0.1",
    }  # fmt: skip
    assert train.data.metrics["resources/seconds"] == 100.0 and train.data.tags["device"] == "cpu"
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

    scores = by_name("evaluate_source_only@spigan-0").data
    segment = by_name("segment_source_only@none-0").data
    assert segment.metrics["loss/D"] == -30.0 and segment.metrics["loss/G.gan"] == 10.0
    assert scores.metrics == {"miou": 40.0, "iou/road": 0.5}
    assert scores.tags["split"] == "val" and scores.tags["pictures"] == "8"
    assert by_name("measure@spigan-0").data.metrics == {"frechet_lite0_300": 10.1}


def test_large_models_are_named_and_not_copied(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "MODEL_BYTES", 5)
    sync()
    train = by_name("train_spigan@0")
    assert "model.sha256" in train.data.tags
    assert not Path(".mlflow/artifacts", train.info.run_id, "artifacts/model").exists()


def test_killed_sync_is_completed(stored: Path) -> None:
    dying = (
        "import os, signal; from pipeline.tracking import fill, sync; finish, calls = fill._Filler._commit_run, []\n"
        "def dying(*arguments):\n"
        "    calls.append(arguments)\n"
        "    return finish(*arguments) if len(calls) < 3 else os.kill(os.getpid(), signal.SIGKILL)\n"
        "fill._Filler._commit_run = dying; sync()"
    )
    done = subprocess.run([sys.executable, "-c", dying], env=os.environ | {"PYTHONPATH": str(REPOSITORY)})
    assert done.returncode == -signal.SIGKILL
    assert len(runs()) == 3 and "RUNNING" in {run.info.status for run in runs()}  # the third was being written
    sync()
    assert children() == Counter(NAMES) and len(parents()) == 1


def test_two_processes_at_once(tree: Path) -> None:
    """On a checkout without a store, where MLflow alone breaks its database; also: no telemetry, whatever is set."""
    hints = ("PYTEST", "CI", "GITHUB")  # MLflow sends none where it sees that it is being tested
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hints)}
    environment |= {"PYTHONPATH": str(REPOSITORY), "MLFLOW_DISABLE_TELEMETRY": "false"}
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
            "outs": [{"path": "models/translators/spigan/0", "md5": "m1"}, out("results/train/spigan/0/curves.json")],
        },
        "translate_spigan@0": {
            "deps": [{"path": "models/translators/spigan/0", "md5": "m1"}],
            "outs": [{"path": "data/translated/spigan/0", "md5": "t1"}],
        },
        "segment_source_only@spigan-0": {
            "deps": [{"path": "data/translated/spigan/0", "md5": "t0"}],  # translated anew since
            "outs": [out("results/segment/source_only/spigan/0/curves.json")],
        },
        "evaluate_source_only@none-0": {
            "params": {"params.yaml": {"seeds": [0]}},
            "deps": [{"path": "data/shards/target_val", "md5": "v"}, {"path": "pipeline/files.py", "md5": "c"}],
            "outs": [{"path": "results/evaluate/source_only/none/0", "md5": "e"}],
        },
    }
    files.write_json("dvc.lock", {"schema": "2.0", "stages": lock})  # JSON is YAML
    present = read_yaml("params.yaml")
    outputs, others = collect(present)
    assert others == {
        "train_spigan@0": "train.gamma",
        "translate_spigan@0": "train.gamma",
        "segment_source_only@spigan-0": "data/translated/spigan/0",
    }
    evaluated = next(output for output in outputs if output.name == "evaluate_source_only@none-0")
    assert evaluated.params == {"seeds": [0]}
    assert evaluated.digests == {
        "input.data/shards/target_val": "v",
        "output.results/evaluate/source_only/none/0": "e",
    }
    _, others = collect(present | {"train": {"gamma": 0.5}})
    assert set(others) == {"segment_source_only@spigan-0"}


def out(path: str) -> dict:
    return {"path": path, "md5": files.sha256_file(path)}


def test_a_dropped_cell_does_not_come_back(tree: Path) -> None:
    asked = {"seeds": [0], "translators": {"none": [0]}, "cells": {"source_only": ["none"]}}
    names = [output.name for output in collect(asked)[0]]
    assert names == ["shard_source", "segment_source_only@none-0", "evaluate_source_only@none-0"]
    assert [output.name for output in collect(asked | {"seeds": [1]})[0]] == ["shard_source"]


def test_the_graph_makes_what_is_looked_for() -> None:
    """Every stage of dvc.yaml that leaves results has its kind here, and that kind looks where the stage writes."""
    graph = read_yaml(REPOSITORY / "dvc.yaml")["stages"]
    params = read_yaml(REPOSITORY / "presets/default.yaml")
    everything = params | {name: ["something"] for name, value in params.items() if value == []}
    everything |= {
        block: {name: own or [0] for name, own in params[block].items()}
        for block in ("translators", "paired", "scorers", "samplers")
    }
    everything["cells"] = {name: own or ["none"] for name, own in params["cells"].items()}
    looked_for = set()
    for stage, cell in cells(everything):
        output = Output(stage, cell)
        declared = graph.get(output.name.partition("@")[0])
        if declared is None:
            assert stage == "train", f"dvc.yaml has no stage for {output.name}"  # some translators need no training
            continue
        looked_for.add(output.name.partition("@")[0])
        made = outs_of(declared, cell)
        kind = KINDS[stage]
        for pattern in (kind.record, kind.model, kind.costs, kind.pictures):
            path = pattern.format(**cell)
            assert not path or any(path == one or path.startswith(f"{one}/") for one in made), f"{output.name}: {path}"
    assert set(graph) - looked_for == {"validate", "code", "simulate", "report"}


def outs_of(declared: dict, cell: dict) -> list[str]:
    entries = [entry for part in ("outs", "metrics", "plots") for entry in declared.get(part, [])]
    paths = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]
    for key, value in cell.items():
        paths = [path.replace(f"${{item.{key}}}", str(value)) for path in paths]
    return paths


def test_the_curves_that_the_engine_writes_are_read(tree: Path) -> None:
    from pipeline.engine.loop import write_curves

    run: Any = SimpleNamespace(columns=["step", "kimg", "loss/D"], rows=[[20, 0.04, 0.5], [40, 0.08, 0.25]])
    write_curves(Path("results/train/spigan/0/curves.json"), run, "spigan", 0)
    points = list(Output("train", {"translator": "spigan", "seed": 0}).curves())
    assert points == [("loss/D", 20, 0.5), ("loss/D", 40, 0.25)]


def test_curves_in_an_unknown_form_are_not_passed_over(stored: Path, capfd: pytest.CaptureFixture) -> None:
    files.write_json("results/train/spigan/0/curves.json", {"method": "spigan", "rows": []})
    assert sync() == 0
    assert "KeyError: 'curves'" in capfd.readouterr().err


def test_temporary_experiment_copies_fill_the_store_they_come_from(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tree / ".dvc/tmp/exps/tmpabc"
    (copy / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert root() == tree


def test_nothing_imports_mlflow_early() -> None:
    code = "import sys, pipeline.tracking; print([name for name in ('mlflow', 'torch', 'dvc') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.stdout.strip() == "[]"
