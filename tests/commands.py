"""Running the project's commands in a folder, as a process or inside this one, and what they leave there."""

import contextlib
import io
import json
import os
import runpy
import signal
import socket
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """What a failed command said, after checking that it is one plain error, listed files below it."""
        told = self.err[self.err.find("error: ") :].splitlines()
        assert self.code == 2 and told and told[0].startswith("error: "), f"exit code {self.code}\n{self.err}"
        assert "Traceback" not in self.err and all(line.startswith("  ") for line in told[1:]), self.err
        return "\n".join(told)


def environment() -> dict[str, str]:
    """The environment of a stage in another folder: this repository's code, this Python, one thread."""
    outer = ("SIM2STREET_", "MLFLOW_", "WORLD_SIZE", "RANK", "LOCAL_RANK", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return kept | {"PYTHONPATH": str(ROOT), "PATH": path, "OMP_NUM_THREADS": "1", "DVC_NO_ANALYTICS": "true"}


class Process:
    """python COMMAND in `folder`, as a process of its own in a session of its own; forks.py begins it."""

    def __init__(self, folder: Path, *command: str, under: dict[str, str] | None = None) -> None:
        self._told = [tempfile.NamedTemporaryFile("r") for _ in range(2)]  # noqa: SIM115
        told = [file.name for file in self._told]
        asked = {"words": command, "folder": str(folder), "environment": under or environment(), "told": told}
        self.pid: int = _ask(asked)
        self.code: int | None = None

    def ended(self) -> bool:
        if self.code is None:
            self.code = _ask({"ended": self.pid})
        return self.code is not None

    def wait(self, seconds: float = 300) -> Ended:  # machines differ
        until = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > until:
                os.killpg(self.pid, signal.SIGKILL)
                raise TimeoutError(f"{self.err}\nstill running after {seconds} s")
            time.sleep(0.01)
        assert self.code is not None
        return Ended(self.code, self._told[0].read(), self.err)

    @property
    def err(self) -> str:
        """What it has said on its standard error so far."""
        return Path(self._told[1].name).read_text()


def _ask(request: dict[str, Any]) -> Any:
    with socket.socket(socket.AF_UNIX) as talk:
        talk.connect(os.environ["FORKS"])
        talk.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(talk.makefile().readline())


def run_apart(folder: Path, *command: str, under: dict[str, str] | None = None) -> Ended:
    """python COMMAND in `folder`, as a process of its own."""
    return Process(folder, *command, under=under).wait()


def run_here(folder: Path, stage: str, *arguments: str) -> Ended:
    """python -m stages.STAGE ARGUMENTS in `folder`, inside this process: the same command line without its start."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", [f"stages/{stage}.py", *arguments]),
        mock.patch.dict(os.environ, clear=False),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # runpy: the stage was imported before
        os.environ.pop("SIM2STREET_PARAMS", None)
        _workers_follow(folder)
        try:
            runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Ended(code, out.getvalue(), err.getvalue())


_workers_stand_in: Path | None = None


def _workers_follow(folder: Path) -> None:
    """joblib keeps its processes; they stand in the folder where they were started, so another one needs new ones."""
    from joblib.externals.loky import get_reusable_executor

    global _workers_stand_in
    if _workers_stand_in != folder:
        get_reusable_executor().shutdown(wait=True)
    _workers_stand_in = folder


def merge(params: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """params with nested changes."""
    merged = dict(params)
    for key, value in changes.items():
        merged[key] = merge(merged[key], value) if isinstance(value, dict) else value
    return merged


def write_params(folder: Path, params: dict[str, Any]) -> None:
    from ruamel.yaml import YAML

    YAML(typ="safe", pure=True).dump(params, folder / "params.yaml")


def contents(folder: Path, *without: str) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, but those whose path begins with one of `without`."""
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(without)}
