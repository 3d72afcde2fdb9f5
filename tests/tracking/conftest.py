"""A small tree of result files, a store that is made once, a tracking server inside the test process, dead ports."""

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline import files
from pipeline.tracking.store import EXPERIMENT, opened


def params(gamma: float = 0.1) -> dict:
    many = {f"setting{n}": n for n in range(120)}  # more than one batch of 100
    translators = {"none": [0], "spigan": [0]}
    cells = {"source_only": ["none", "spigan"]}
    own = {"train": {"gamma": gamma}, "world": many}
    return {"seeds": [0], "translators": translators, "cells": cells, "exactness": ["spigan"], **own}


def write_tree(gamma: float = 0.1, score: float = 40.0) -> None:
    """What a run leaves behind in the working folder; only SPIGAN's outputs depend on gamma and score."""
    with open("params.yaml", "w") as file:
        YAML().dump(params(gamma), file)
    files.write_json("data/shards/source/set.json", {"classes": "cityscapes19", "pictures": 8, "digest": "d0"})
    spigan = gamma + score
    write_model("models/translators/spigan/0", {"method": "spigan", "params": {"train": {"gamma": gamma}}}, spigan)
    write_curves("results/train/spigan/0/curves.json", spigan, steps=400)  # with four columns more than a batch
    costs = {"stage": "train", "seconds": 100.0, "peak_mb": 500.0, "device": "cpu"}
    files.write_json("results/costs/train/spigan/0.json", costs)
    files.write_json("data/translated/spigan/0/set.json", {"pictures": 8, "digest": f"t{spigan}"})
    distances = {"frechet_lite0_300": 10.0 + gamma, "kid_lite0_300": None}
    files.write_json("results/measure/spigan/0.json", {"translator": "spigan", "distances": distances})
    files.write_json("results/exactness/spigan/0.json", {"translator": "spigan", "seed": 0, "psnr": 20.0 + gamma})
    for translator, value in (("none", 30.0), ("spigan", score)):
        write_model(f"models/segmenters/source_only/{translator}/0", {"method": "source_only"}, value)
        write_curves(f"results/segment/source_only/{translator}/0/curves.json", value)
        scores = {"seed": 0, "split": "val", "pictures": 8, "miou": value, "miou19": None, "iou": {"road": 0.5}}
        files.write_json(f"results/evaluate/source_only/{translator}/0/scores.json", scores)


def write_model(folder: str, resolved: dict, weights: float) -> None:
    files.write_atomic(f"{folder}/weights.safetensors", str(weights))
    files.write_atomic(f"{folder}/fingerprint", str(weights))
    with open(f"{folder}/params.yaml", "w") as file:
        YAML().dump(resolved, file)


def write_curves(path: str, value: float, steps: int = 3) -> None:
    rows: list[dict[str, float | None]] = []
    for step in range(steps):
        once = None if step else 1.0
        rows.append(
            {"step": step, "kimg": step / 100, "loss/G.gan": value / (step + 1), "loss/D": -value, "loss/once": once}
        )
    files.write_json(path, {"method": "spigan", "seed": 0, "curves": rows})


@pytest.fixture(scope="session")
def made_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store, made once: creating the database takes seconds."""
    folder = tmp_path_factory.mktemp("template")
    (folder / ".dvc").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with opened():
            pass
    return folder / ".mlflow"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with result files, and with a space in its name; the working folder of the test."""
    folder = tmp_path / "a checkout"
    (folder / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.delenv("SIM2STREET_PARAMS", raising=False)
    write_tree()
    (folder / "presets").mkdir()
    shutil.copy("params.yaml", "presets/default.yaml")
    return folder


@pytest.fixture
def rewrite() -> Callable[..., None]:
    """rewrite(gamma, score): the tree of a run with other parameters."""
    return write_tree


@pytest.fixture
def stored(tree: Path, made_store: Path) -> Path:
    """The same with a store; copied from another folder, so that every test also shows that a store can be moved."""
    shutil.copytree(made_store, tree / ".mlflow")
    return tree


@pytest.fixture
def server(running_server: str) -> Iterator[str]:
    """The address of a tracking server without runs."""
    yield running_server
    from mlflow import MlflowClient

    client = MlflowClient(running_server)
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            client.delete_run(run.info.run_id)


@pytest.fixture(scope="session")
def running_server(made_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's own server application, with a store of its own."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(made_store / "mlflow.db", folder / "mlflow.db")
    settings = {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder / 'mlflow.db'}",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        from mlflow import MlflowClient, set_tracking_uri
        from mlflow.server import app
        from werkzeug.serving import make_server

        # the copied experiment's artifacts lie elsewhere; the server shall make its own
        client = MlflowClient(settings["_MLFLOW_SERVER_FILE_STORE"])
        copied = client.get_experiment_by_name(EXPERIMENT)
        assert copied is not None
        client.rename_experiment(copied.experiment_id, "another")
        running = make_server("127.0.0.1", 0, gated(app), threaded=True)
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        uri = f"http://127.0.0.1:{running.server_port}"
        patch.setenv("MLFLOW_TRACKING_URI", "")  # at its first request the application sets it, for its whole process
        MlflowClient(uri).search_experiments()
        set_tracking_uri(None)  # or that address would be everybody's in this process
        yield uri
        running.shutdown()
        thread.join()
        running.server_close()


class Gate:
    """Makes the server fall silent: after some requests, or for all whose path begins in some way."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.left, self.prefix, self.open, self.stopped = 1_000_000, None, threading.Event(), 0

    def stops(self, path: str) -> bool:
        self.left -= 1
        stops = self.left < 0 or bool(self.prefix and path.startswith(self.prefix))
        self.stopped += stops
        return stops


GATE = Gate()


def gated(app: Callable) -> Callable:
    def application(environ: dict, start_response: Callable):
        if GATE.stops(environ["PATH_INFO"]):
            GATE.open.wait(20)
            start_response("503 Service Unavailable", [])
            return []
        return app(environ, start_response)

    return application


@pytest.fixture
def gate() -> Iterator[Gate]:
    """The server's gate, open again after the test."""
    GATE.reset()
    yield GATE
    GATE.open.set()
    GATE.reset()


@pytest.fixture
def dead_port() -> Iterator[Callable[[str], str]]:
    """dead_port(kind) -> an address where nobody answers: "refused", "dropped" or "silent"."""
    held: list[socket.socket] = []

    def make(kind: str) -> str:
        listener = socket.socket()
        held.append(listener)
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        if kind == "silent":
            listener.listen(8)
        elif kind == "dropped":
            listener.listen(0)
            fill_queue(port, held)
        return f"http://127.0.0.1:{port}"

    yield make
    for one in held:
        one.close()


def fill_queue(port: int, held: list[socket.socket]) -> None:
    """Connect until the listener's queue is full: from then on Linux drops what comes, as a firewall does."""
    for _ in range(8):
        client = socket.socket()
        held.append(client)
        client.settimeout(0.3)
        try:
            client.connect(("127.0.0.1", port))
        except TimeoutError:
            return
    pytest.skip("this system does not drop connections beyond a listener's queue")
