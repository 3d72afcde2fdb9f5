"""A finished experiment by its name: a report folder, a DVC experiment, or any git revision.

report/ is in neither git nor DVC's cache, so the table of a revision is made anew of its params.yaml and of the small
result files that its dvc.lock names and DVC's cache holds.
"""

from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.files import UserError, read_json
from pipeline.params import read_yaml
from pipeline.report import results, tables
from pipeline.report.tables import Table


@dataclass(frozen=True)
class Experiment:
    name: str
    params: dict[str, Any]
    table: Table
    warning: str = ""  # why its numbers may not be those of its parameters


def find(name: str) -> Experiment:
    """The experiment of that name. Raises UserError where there is none, or where its results are not at hand."""
    folder = Path(name)
    if (folder / "table.json").is_file():
        return Experiment(name, read_json(folder / "params.json"), read_json(folder / "table.json"))
    if folder.is_dir():
        raise UserError(f"{folder} is not a report: it has no table.json; name a folder like report/, or an experiment")
    return _revision(name)


def _revision(name: str) -> Experiment:
    commit = _resolve(name)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            _fetch(commit, root)
            params = read_yaml(root / "params.yaml")
            table = tables.rows(results.load(params, root))
        except UserError as error:
            raise UserError(f"{name}: {str(error).replace(f'{root}/', '')}") from None
        return Experiment(f"{name} (commit {commit[:7]})", params, table, _stale(root))


def _resolve(name: str) -> str:
    """The commit of an experiment, branch, tag or revision; a wrong name is told with the experiments there are."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            return _commit(repo, name)
    except DvcException:
        raise UserError(f"{name} is not a report folder, and there is no DVC project here to look it up in") from None


def _commit(repo: Any, name: str) -> str:
    from dvc.scm import NoSCM, SCMError, resolve_rev

    if isinstance(repo.scm, NoSCM):
        raise UserError(f"{name} is not a report folder, and this DVC project has no git that could hold experiments")
    try:
        return resolve_rev(repo.scm, name)
    except SCMError:
        known = sorted(own for found in repo.experiments.ls(all_commits=True).values() for own, _ in found)
        listed = f"known experiments are {', '.join(known)}" if known else "there are no experiments yet (dvc exp run)"
        raise UserError(f"{name} is neither a report folder nor an experiment nor a git revision; {listed}") from None


def _fetch(commit: str, root: Path) -> None:
    """Copy params.yaml, dvc.lock and all small result files of a commit below `root`."""
    from dvc.api import DVCFileSystem
    from dvc_data.index import DataIndexDirError

    revision = DVCFileSystem(rev=commit)
    for file in ("params.yaml", "dvc.lock"):
        if not revision.exists(f"/{file}"):
            raise UserError(f"it has no {file}, so no results; name one whose dvc.lock is committed")
    try:
        results_there = [file for file in revision.find("/results") if file.endswith(".json")]
        for file in ("/params.yaml", "/dvc.lock", *results_there):
            copy = root / file.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(revision.read_bytes(file))
    except (FileNotFoundError, DataIndexDirError):
        raise UserError("its results are not in DVC's cache; dvc fetch brings them, or run it again") from None


def _stale(root: Path) -> str:
    """A warning where the report of a commit was not made with the commit's params.yaml."""
    stages = read_yaml(root / "dvc.lock").get("stages") or {}
    lock = {dep["path"]: dep.get("md5") for dep in (stages.get("report") or {}).get("deps", [])}
    if lock.get("params.yaml") == md5((root / "params.yaml").read_bytes(), usedforsecurity=False).hexdigest():
        return ""
    return "not run to its end with these parameters: numbers may be older than they are"
