"""Filling MLflow from the result files, as often as one likes."""

import os
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from pipeline import files, params
from pipeline.tracking.outputs import Output, collect, flatten, numbers
from pipeline.tracking.pictures import pictures
from pipeline.tracking.store import (
    FOLDER,
    IDENTITY,
    LIVE,
    METRICS,
    PARAMS,
    Store,
    brief,
    key,
    opened,
    place,
    reach,
    server,
    shown,
    text,
    warn,
)
from pipeline.tracking.words import child_title, description, title

if TYPE_CHECKING:
    from mlflow.entities import Run

NOTE = "mlflow.note.content"  # MLflow shows it as a run's description
STAGE = "sim2street.stage"
FILES = "sim2street.files"  # on a run whose files were not sent yet
MODEL_BYTES = 50_000_000  # a larger model directory is named, not copied
PAGE = 50  # runs in one answer: a server takes about 10 ms for each, and must answer within the time-out
AGAIN = 0.5  # seconds that a server has to show that it lives after a file could not be sent

Point = tuple[str, float, int, int]  # name, value, milliseconds since 1970, step


def sync() -> int:
    """Make MLflow show the result files of the working folder; returns the number of new runs.

    Whatever is wrong with MLflow is a warning: the results are complete in their files, and the next call sends what is
    missing. Raises UserError for a params.yaml or a result file that cannot be read.
    """
    everything = params.load()
    try:
        return _sync(everything)
    except files.UserError:
        raise
    except Exception as error:  # of many libraries; a view must not fail the run that it shows
        where = shown(server() or "the local store .mlflow")
        warn(
            f"{where} could not be filled ({brief(error)}); the results are safe in their files, call sync again later"
        )
        return 0


def _sync(everything: dict[str, Any]) -> int:
    outputs, others = collect(everything)
    if others:
        names = sorted(set(others.values()))
        warn(
            f"{len(others)} outputs were made with other parameters or inputs than the present ones"
            f" ({', '.join(names[:3])}) and are left out, such as '{next(iter(others))}'; run dvc repro"
        )
    if not outputs:
        return 0
    with opened() as store:
        return _fill(store, everything, outputs)


def _fill(store: Store, everything: dict[str, Any], outputs: list[Output]) -> int:
    runs = _runs(store)
    known = _known(store, runs)
    here = place(Path.cwd())
    for run in runs:
        if run.data.tags.get(FOLDER) == here and not {IDENTITY, LIVE} & set(run.data.tags):
            store.client.delete_run(run.info.run_id)  # of a sync that was killed; the lock says that it is not alive
    filler = _Filler(store, here)
    before = len(known)
    digest = files.digest(everything)
    identities = [output.identity() for output in outputs]
    if digest not in known:
        new = [output for output, identity in zip(outputs, identities, strict=True) if identity not in known]
        known[digest] = filler.parent(digest, everything, outputs, new or outputs)
    without_files = {run.info.run_id for run in runs if FILES in run.data.tags}
    for output, identity in zip(outputs, identities, strict=True):
        if identity not in known:
            known[identity] = filler.child(identity, output, known[digest], title(everything))
        elif known[identity] in without_files:
            filler.files(known[identity], output)
    filler.summary(known[digest], everything, outputs)
    _replace_live(store, runs, here, outputs)
    return len(known) - before


def _runs(store: Store) -> list["Run"]:
    found: list[Run] = []
    token = None
    while True:
        page = store.client.search_runs([store.experiment], max_results=PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _known(store: Store, runs: Iterable["Run"]) -> dict[str, str]:
    """Identity -> run. Two machines that filled one server at the same moment leave twins: the smaller name stays."""
    known: dict[str, str] = {}
    for run in sorted(runs, key=lambda run: run.info.run_id):
        identity = run.data.tags.get(IDENTITY)
        if identity is not None and known.setdefault(identity, run.info.run_id) != run.info.run_id:
            store.client.delete_run(run.info.run_id)
    return known


def _replace_live(store: Store, runs: Iterable["Run"], here: str, outputs: Iterable[Output]) -> None:
    """Remove what `Live` sent of stages that are now complete; what trains at this moment started after its output."""
    finished = {output.name: output.finished() * 1000 for output in outputs}
    for run in runs:
        name = run.data.tags.get(LIVE)
        if run.data.tags.get(FOLDER) == here and name in finished and run.info.start_time <= finished[name]:
            store.client.delete_run(run.info.run_id)


class _Filler:
    """Writes runs into an open store."""

    def __init__(self, store: Store, here: str) -> None:
        self.client, self.experiment = store
        self.here = here
        self.common = {FOLDER: here} | _commit()
        self.storage = True  # as far as is known

    def parent(
        self, identity: str, everything: dict[str, Any], outputs: Sequence[Output], new: Sequence[Output]
    ) -> str:
        """The run of a set of parameters; it lasts from the first to the last of its `new` outputs."""
        tags = {"sim2street.parameters": identity}
        if "DVC_EXP_NAME" in os.environ:
            tags["dvc.experiment"] = os.environ["DVC_EXP_NAME"]
        shards = [output for output in outputs if output.stage.startswith("shard")]
        tags |= {f"data.{output.record.parent.name}": output.content().get("digest", "") for output in shards}
        run = self._create(title(everything), min(output.started() for output in new), tags)
        self._log(run, flatten(everything), [])
        return self._commit_run(run, identity, max(output.finished() for output in new))

    def child(self, identity: str, output: Output, parent: str, experiment: str) -> str:
        """The run of one output of a stage."""
        content, costs = output.content(), output.costs()
        start, end = output.started(), output.finished()
        facts = (costs | content).items()
        texts = {name: text(value) for name, value in facts if isinstance(value, str | bool) or name == "pictures"}
        tags = texts | output.digests | _model_tags(output.model)
        tags |= {"mlflow.parentRunId": parent, STAGE: output.name, FILES: "missing"}
        run = self._create(child_title(output.name, experiment), start, tags)
        final = numbers(content) | {f"resources/{name}": value for name, value in numbers(costs).items()}
        points = [(name, value, int(end * 1000), 0) for name, value in final.items()]
        self._log(run, {"stage": output.stage} | output.cell | output.params, points + _curve(output, start, end))
        self.files(run, output)
        return self._commit_run(run, identity, end)

    def files(self, run: str, output: Output) -> None:
        """Send the files of a run, unless others could not be sent: a storage that does not answer costs its time once."""
        if not self.storage:
            return
        try:
            self._artifacts(run, output)
        except Exception as error:  # a server may take numbers and no files; what kind of error depends on its storage
            self.storage = False
            warn(
                f"files, such as those of '{output.name}', cannot be stored ({brief(error)}); sync tries again next time"
            )
            uri = server()
            if uri:
                reach(uri, AGAIN)  # a server that has fallen silent altogether costs no second time-out
        else:
            self.client.delete_tag(run, FILES)

    def summary(self, run: str, everything: dict[str, Any], outputs: Iterable[Output]) -> None:
        """The parent's metrics and description: means over seeds of scores and distances, written where they changed."""
        values: dict[str, list[float]] = defaultdict(list)
        for output in outputs:
            if output.stage in ("evaluate", "measure", "exactness", "generation", "evaluate_pairs", "score", "codes"):
                cell = "/".join(str(word) for name, word in output.cell.items() if name != "seed")
                for name, value in numbers(output.content()).items():
                    if not name.startswith("iou/"):
                        values[f"{cell}/{name}"].append(value)
        old = self.client.get_run(run).data
        now = int(time.time() * 1000)
        means = {key(name): fmean(several) for name, several in values.items()}
        self._log(run, {}, [(name, value, now, 0) for name, value in means.items() if old.metrics.get(name) != value])
        about = description(everything, means)
        if old.tags.get(NOTE) != about:
            self.client.set_tag(run, NOTE, about)

    def _create(self, name: str, start: float, tags: dict[str, str]) -> str:
        tags = {key(name): value for name, value in (self.common | tags).items()}
        return self.client.create_run(self.experiment, int(start * 1000), tags, name).info.run_id

    def _commit_run(self, run: str, identity: str, end: float) -> str:
        self.client.set_terminated(run, end_time=int(end * 1000))
        self.client.set_tag(run, IDENTITY, identity)
        return run

    def _log(self, run: str, parameters: dict[str, Any], points: Sequence[Point]) -> None:
        from mlflow.entities import Metric, Param

        entries = [Param(key(name), text(value)) for name, value in parameters.items()]
        for at in range(0, len(entries), PARAMS):
            self.client.log_batch(run, params=entries[at : at + PARAMS])
        for at in range(0, len(points), METRICS):
            batch = [Metric(key(name), value, when, step) for name, value, when, step in points[at : at + METRICS]]
            self.client.log_batch(run, metrics=batch)

    def _artifacts(self, run: str, output: Output) -> None:
        self.client.log_artifact(run, str(output.record))
        if output.model and _size(output.model) < MODEL_BYTES:
            self.client.log_artifacts(run, str(output.model), "model")
        shown = pictures(output)
        if shown:
            with tempfile.TemporaryDirectory() as folder:
                for name, content in shown.items():
                    Path(folder, name).write_bytes(content)
                self.client.log_artifacts(run, folder, "pictures")


def _curve(output: Output, start: float, end: float) -> list[Point]:
    """Curves carry no times; they are spread over the training, so that the UI's time axis means something."""
    points = list(output.curves())
    last = max((step for _, step, _ in points), default=0) or 1
    return [(name, value, int(1000 * (start + (end - start) * step / last)), step) for name, step, value in points]


def _model_tags(model: Path | None) -> dict[str, str]:
    weights = model / "weights.safetensors" if model else None
    card = model / "card.md" if model else None
    digest = {"model.sha256": files.sha256_file(weights)} if weights and weights.exists() else {}
    about = {NOTE: text(card.read_text())} if card and card.exists() else {}
    return {"model.path": str(model)} | digest | about if model else {}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _commit() -> dict[str, str]:
    """The commit that is checked out; nothing in a downloaded archive."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return {"mlflow.source.git.commit": done.stdout.strip()} if done.returncode == 0 else {}
