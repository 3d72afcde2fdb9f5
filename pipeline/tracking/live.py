"""Watching a training on a tracking server while it runs.

Speaks the server's REST interface itself instead of importing mlflow: an import of two seconds in a thread beside the
training would steal its time, and a loader that forks in that moment could hang.
"""

import base64
import json
import math
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Self

from pipeline.tracking.outputs import flatten
from pipeline.tracking.store import (
    EXPERIMENT,
    FOLDER,
    LIVE,
    METRICS,
    PARAMS,
    TIMEOUT,
    brief,
    key,
    place,
    server,
    shown,
    text,
    warn,
)

PERIOD = 3.0  # seconds between two batches


class Live:
    """Sends a training's curves in the background while it runs, if MLFLOW_TRACKING_URI names a tracking server.

        with Live("train_spigan@0", parameters) as live:
            live.log(step, {"loss/D": 0.7})

    The name is DVC's of the stage, so that `sync` replaces the run by the complete one when the stage is done. Never
    raises; leaving the block takes two seconds at most, whatever the server does. For one process of several (rank 0).
    """

    def __init__(self, name: str, params: Mapping[str, Any]) -> None:
        self._name, self._params = name, dict(params)
        self._points: SimpleQueue[tuple[int, int, dict[str, float]]] = SimpleQueue()
        self._closing = threading.Event()
        self._status = "FINISHED"
        self._warned = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        uri = server()
        if uri:
            self._thread = threading.Thread(target=self._guarded, args=(uri,), daemon=True, name="live tracking")
            self._thread.start()
        return self

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Queue numbers (plain floats, not tensors on a device) for the next batch."""
        if self._thread and self._thread.is_alive():
            now = int(time.time() * 1000)
            self._points.put((step, now, dict(metrics)))

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if self._thread is None:
            return
        self._status = "FAILED" if kind else "FINISHED"
        self._closing.set()
        self._thread.join(TIMEOUT)
        if self._thread.is_alive():
            self._fail("no answer in time")

    def _guarded(self, uri: str) -> None:
        try:
            self._send(uri)
        except Exception as error:  # nothing that happens here may reach the training
            self._fail(brief(error))

    def _fail(self, reason: str) -> None:
        """Warn once; never from the thread after the block, when the interpreter may be ending."""
        if not self._warned:
            self._warned = True
            where = f"'{self._name}' cannot be watched live on {shown(server() or '')}"
            warn(f"{where} ({reason}); the training is not affected, and sync sends its curves")

    def _send(self, uri: str) -> None:
        post = _Poster(uri)
        experiment = post.experiment()
        tags = {LIVE: self._name, FOLDER: place(Path.cwd()), "mlflow.runName": f"{self._name} (live)"}
        body = {
            "experiment_id": experiment,
            "start_time": int(time.time() * 1000),
            "run_name": tags["mlflow.runName"],
            "tags": [{"key": name, "value": value} for name, value in tags.items()],
        }
        run = post("runs/create", body)["run"]["info"]["run_id"]
        parameters = [{"key": key(name), "value": text(value)} for name, value in flatten(self._params).items()]
        for at in range(0, len(parameters), PARAMS):
            post("runs/log-batch", {"run_id": run, "params": parameters[at : at + PARAMS]})
        while True:
            closing = self._closing.wait(PERIOD)
            for batch in self._batches():
                post("runs/log-batch", {"run_id": run, "metrics": batch})
            if closing:
                break
        post("runs/update", {"run_id": run, "status": self._status, "end_time": int(time.time() * 1000)})

    def _batches(self) -> list[list[dict[str, Any]]]:
        points: list[dict[str, Any]] = []
        try:
            while True:
                step, now, metrics = self._points.get_nowait()
                named = {key(name): float(value) for name, value in metrics.items() if math.isfinite(value)}
                points += [{"key": n, "value": v, "timestamp": now, "step": step} for n, v in named.items()]
        except Empty:
            return [points[at : at + METRICS] for at in range(0, len(points), METRICS)]


class _Poster:
    """Calls of one server's REST interface, version 2.0."""

    def __init__(self, uri: str) -> None:
        self._base = f"{shown(uri)}/api/2.0/mlflow/"
        self._headers = {"Content-Type": "application/json"} | _authorization(uri)

    def __call__(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(self._base + call, json.dumps(body).encode(), self._headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return json.load(answer)

    def experiment(self) -> str:
        """The experiment's id; made if it is missing."""
        request = urllib.request.Request(
            f"{self._base}experiments/get-by-name?experiment_name={EXPERIMENT}", headers=self._headers
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                return json.load(answer)["experiment"]["experiment_id"]
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
        return self("experiments/create", {"name": EXPERIMENT})["experiment_id"]


def _authorization(uri: str) -> dict[str, str]:
    """The header for a user and password, from the address or MLflow's variables, or for its token."""
    parts = urllib.parse.urlsplit(uri)
    user = parts.username or os.environ.get("MLFLOW_TRACKING_USERNAME")
    password = parts.password or os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if user:
        return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
    return {"Authorization": f"Bearer {token}"} if token else {}
