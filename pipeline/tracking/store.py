"""Opening the MLflow store: SQLite under the DVC root, or whatever MLFLOW_TRACKING_URI names."""

import contextlib
import os
import re
import socket
import ssl
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import files

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "sim2street"
IDENTITY = "sim2street.identity"  # set last: a run without it is unfinished
FOLDER = "sim2street.folder"  # whose run it is, see `place`
LIVE = "sim2street.live"  # a run that `Live` sent; replaced by the one made from the files
METRICS, PARAMS, VALUE = 1000, 100, 6000  # MLflow's limits: of a batch twice, of a parameter's length
TIMEOUT = 2  # seconds for one answer of a server
LOCK_TIMEOUT = 120  # seconds to wait for another sync of this checkout

# Read by mlflow when it is imported. Telemetry is off, whatever the user's environment says.
_FORCED = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
# With MLflow's own settings (7 retries, 120 s) one call to a dropped port hangs for minutes.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(TIMEOUT),
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines for every run on a server
}
# The experiment opens in the UI's "Model training" view instead of the one for language models.
_VIEW = {"mlflow.experimentKind": "custom_model_development"}


class Store(NamedTuple):
    """An open store."""

    client: "MlflowClient"
    experiment: str


def warn(text: str) -> None:
    """One plain line on stderr."""
    print(f"tracking: {text}", file=sys.stderr, flush=True)


def key(name: str) -> str:
    """A name as MLflow accepts it."""
    return re.sub(r"[^\w\-. :/]", "_", re.sub("/+", "/", name)).strip("/")[:250]


def text(value: Any) -> str:
    """A value as MLflow accepts it."""
    full = str(value)
    return full if len(full) <= VALUE else f"{full[: VALUE - 1]}…"


def brief(error: Exception) -> str:
    """An error's kind and message in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def set_environment() -> None:
    """Telemetry off, short time-outs; must come before mlflow is imported."""
    os.environ.update(_FORCED)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)


def root() -> Path:
    """The DVC root around the working folder; for DVC's temporary copies (`exp run --queue`) the one they come from."""
    here = Path.cwd()
    around = next((path for path in (here, *here.parents) if (path / ".dvc").is_dir()), here)
    return Path(str(around).partition(f"{os.sep}.dvc{os.sep}tmp{os.sep}")[0])


def place(folder: Path) -> str:
    """A short name for this folder on this machine, so that no checkout touches what another one is writing."""
    return files.digest([socket.gethostname(), str(folder)])[:16]


def server() -> str | None:
    """The address of the tracking server, if MLFLOW_TRACKING_URI names one."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").rstrip("/")
    return uri if uri.startswith(("http://", "https://")) else None


def shown(uri: str) -> str:
    """An address without the user and password that may be in it."""
    return re.sub(r"//[^/@]*@", "//", uri)


def reach(uri: str, seconds: float = TIMEOUT) -> None:
    """Raise OSError unless a server answers within this time; asked before mlflow (2 s) is imported in vain.

    In a thread: the look-up of a name has no time-out, and one of several addresses may be dead.
    """
    answers: SimpleQueue[Exception | None] = SimpleQueue()
    threading.Thread(target=lambda: answers.put(_ask(uri)), daemon=True).start()
    try:
        error = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer within {seconds} s") from None
    if error:
        raise error


def _ask(uri: str) -> Exception | None:
    """Why a server cannot be used."""
    try:
        urllib.request.urlopen(f"{shown(uri)}/health", timeout=TIMEOUT).close()
    except urllib.error.HTTPError:
        return None  # it answered; whether we may come in is mlflow's business
    except urllib.error.URLError as error:
        return None if isinstance(error.reason, ssl.SSLError) else error  # mlflow may know its certificate
    except Exception as error:  # such as an answer that is no HTTP
        return error
    return None


def address(store: Path) -> str:
    """The URI that mlflow shall use."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{store / 'mlflow.db'}"


def folder() -> Path:
    """`.mlflow` under the DVC root, made if it is missing; it ignores itself in git."""
    store = root() / ".mlflow"
    store.mkdir(exist_ok=True)
    if not (store / ".gitignore").exists():
        files.write_atomic(store / ".gitignore", "*\n")
    return store


@contextlib.contextmanager
def opened() -> Iterator[Store]:
    """The store, under a lock: one process at a time creates or fills it. OSError when a server does not answer."""
    from filelock import FileLock

    uri = server()
    if uri:
        reach(uri)
    set_environment()
    store = folder()
    with FileLock(store / "lock", timeout=LOCK_TIMEOUT):
        yield _open(store)


def _open(store: Path) -> Store:
    import logging

    from mlflow import MlflowClient

    for name in ("alembic", "mlflow"):  # dozens of lines at the creation of a database
        logging.getLogger(name).setLevel(logging.WARNING)
    local = not os.environ.get("MLFLOW_TRACKING_URI")
    artifacts = (store / "artifacts").as_uri() if local else None
    if local:
        _prepare(store / "mlflow.db", str(artifacts))
    client = MlflowClient(address(store))
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return Store(client, client.create_experiment(EXPERIMENT, artifacts, tags=_VIEW))
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return Store(client, experiment.experiment_id)


def _prepare(database: Path, artifacts: str) -> None:
    """Make the database, which takes seconds, under a temporary name: a killed process leaves none half made."""
    from mlflow import MlflowClient

    if database.exists():
        return _follow_move(database, artifacts)
    temporary = database.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    MlflowClient(f"sqlite:///{temporary}").create_experiment(EXPERIMENT, artifacts, tags=_VIEW)
    temporary.rename(database)


def _follow_move(database: Path, artifacts: str) -> None:
    """MLflow stores absolute artifact paths: after the folder was moved or copied, say where they lie now."""
    import sqlite3

    stored = [("runs", "artifact_uri"), ("logged_models", "artifact_location"), ("model_versions", "storage_location")]
    with contextlib.closing(sqlite3.connect(database, timeout=TIMEOUT)) as connection, connection:
        query = "SELECT artifact_location FROM experiments WHERE name = ? AND artifact_location != ?"
        for (old,) in connection.execute(query, (EXPERIMENT, artifacts)).fetchall():
            for table, column in stored:
                change = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?"
                connection.execute(change, (artifacts, len(old) + 1, len(old), old))
            connection.execute("UPDATE experiments SET artifact_location = ? WHERE name = ?", (artifacts, EXPERIMENT))
