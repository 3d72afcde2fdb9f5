"""A tracking server: filled when it is there, and in nobody's way when it is not."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest import CaptureFixture as Capture
from pytest import MonkeyPatch as Patch

from pipeline.tracking import Live, sync
from pipeline.tracking import live as live_module
from pipeline.tracking.fill import FILES, STAGE
from pipeline.tracking.store import EXPERIMENT, FOLDER, LIVE, place
from tests.tracking.conftest import Gate

REPOSITORY = Path(__file__).parents[2]


def on_server(uri: str) -> list:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


@pytest.mark.parametrize("kind", ["refused", "dropped", "silent"])
def test_an_unreachable_server_costs_little(
    kind: str, tree: Path, dead_port: Callable[[str], str], monkeypatch: Patch, capfd: Capture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dead_port(kind).replace("//", "//user:secret@"))
    start = time.monotonic()
    assert sync() == 0
    assert time.monotonic() - start < 3
    warning = capfd.readouterr().err
    assert warning.count("\n") == 1 and "sync again later" in warning and "secret" not in warning


def test_a_name_that_is_looked_up_for_ever_costs_little(tree: Path, monkeypatch: Patch, capfd: Capture) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: time.sleep(20))
    start = time.monotonic()
    assert sync() == 0
    assert time.monotonic() - start < 3
    assert "TimeoutError: no answer within 2 s" in capfd.readouterr().err


def test_a_server_that_falls_silent_in_the_middle(
    tree: Path, server: str, gate: Gate, monkeypatch: Patch, capfd: Capture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "6")  # a busy machine's server is not taken for a silent one
    gate.left = 30
    assert sync() == 0
    assert gate.stopped == 2  # the file that waited for its time-out, and the question whether the server is there
    warning = capfd.readouterr().err
    assert "sync again later" in warning and warning.count("\n") <= 2  # of a file too, where that was the first
    gate.open.set()
    gate.reset()
    sync()
    assert once(server) and sync() == 0
    assert capfd.readouterr().err == ""


def test_files_that_could_not_be_stored_are_sent_later(
    tree: Path, server: str, gate: Gate, monkeypatch: Patch, capfd: Capture
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    gate.prefix = "/api/2.0/mlflow-artifacts/"
    assert sync() == 10
    assert gate.stopped == 1  # the first file waits for its time-out; the others are not tried
    assert capfd.readouterr().err.count("tracking: files, such as those of") == 1
    assert once(server)
    gate.open.set()
    gate.reset()
    assert sync() == 0
    assert capfd.readouterr().err == ""
    (train,) = [run for run in on_server(server) if run.data.tags.get(STAGE) == "train_spigan@0"]
    assert [item.path for item in MlflowClient(server).list_artifacts(train.info.run_id)] == ["curves.json", "model"]
    assert FILES not in train.data.tags


def once(uri: str) -> bool:
    """Whether this checkout's parent and its nine stages stand on the server, each once and finished."""
    own = [run for run in on_server(uri) if run.data.tags[FOLDER] == place(Path.cwd())]
    names = [run.data.tags.get(STAGE) for run in own]
    return len(names) == len(set(names)) == 10 and {run.info.status for run in own} == {"FINISHED"}


def test_the_command_warns_and_exits_with_0(tree: Path, dead_port: Callable[[str], str]) -> None:
    environment = os.environ | {"MLFLOW_TRACKING_URI": dead_port("dropped"), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "pipeline.tracking", "sync"]
    start = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert time.monotonic() - start < 5
    assert done.returncode == 0 and done.stderr.startswith("tracking: ") and "Traceback" not in done.stderr


def test_a_mistake_in_params_is_a_sentence(tree: Path) -> None:
    Path("params.yaml").write_text("seeds: [")
    command = [sys.executable, "-m", "pipeline.tracking", "sync"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True)
    assert done.returncode == 2 and "params.yaml is not valid YAML" in done.stderr and "Traceback" not in done.stderr


def test_what_was_missed_is_sent_later_and_live_runs_are_replaced(
    tree: Path, server: str, dead_port: Callable[[str], str], monkeypatch: Patch, capfd: Capture
) -> None:
    monkeypatch.setattr(live_module, "PERIOD", 0.1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    with Live("train_spigan@0", {"train": {"gamma": 0.1}}) as live:
        live.log(1, {"loss/D": 0.5, "loss/bad": float("nan")})
        wait_for(lambda: [run.data.metrics for run in on_server(server)] == [{"loss/D": 0.5}])
        (watched,) = on_server(server)
        assert watched.info.status == "RUNNING" and watched.data.params == {"train.gamma": "0.1"}
        live.log(2, {"loss/D": 0.4})
    assert on_server(server)[0].data.metrics == {"loss/D": 0.4}
    assert on_server(server)[0].info.status == "FINISHED"
    with pytest.raises(RuntimeError), Live("train_another@0", {}):
        raise RuntimeError
    assert sorted(run.info.status for run in on_server(server)) == ["FAILED", "FINISHED"]

    os.utime("results/train/spigan/0/curves.json")  # the training has just written its curves
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dead_port("refused"))
    assert sync() == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    assert sync() == 10
    assert sync() == 0
    found = on_server(server)
    assert [run.data.tags[LIVE] for run in found if LIVE in run.data.tags] == ["train_another@0"]
    (train,) = [run for run in found if run.data.params.get("stage") == "train"]
    assert train.data.metrics["loss/D"] == -40.1 and len(found) == 11
    assert not Path(".mlflow/mlflow.db").exists()
    said = capfd.readouterr()
    assert "could not be stored" not in said.err and "View run" not in said.out


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not within the time"
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["refused", "dropped", "silent"])
def test_live_never_holds_a_training_up(
    kind: str, dead_port: Callable[[str], str], monkeypatch: Patch, capfd: Capture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dead_port(kind))
    start = time.monotonic()
    with Live("train_spigan@0", {}) as live:
        for step in range(1000):
            live.log(step, {"loss": 1.0})
        assert time.monotonic() - start < 0.5
    assert time.monotonic() - start < 3
    time.sleep(0.3)
    assert capfd.readouterr().err.count("tracking: 'train_spigan@0' cannot be watched live") == 1


def test_live_is_silent_without_a_server(tree: Path, monkeypatch: Patch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///somewhere.db")
    with Live("train_spigan@0", {}) as live:
        live.log(1, {"loss": 1.0})
        assert live._thread is None
