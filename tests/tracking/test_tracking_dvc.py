"""What DVC makes of a stage (killed, forced, cached, restored, run as an experiment) is one run an output in MLflow."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc.repo import Repo

from pipeline.tracking import sync
from pipeline.tracking.fill import STAGE
from pipeline.tracking.store import opened

PARAMS = "train: {gamma: 0.1}\nseeds: [0]\ntranslators: {spigan: [0]}\ncells: {source_only: [spigan]}\n"
GRAPH = f"""
stages:
  train_spigan:
    matrix:
      seed: [0]
    cmd: '"{sys.executable}" stage.py train ${{train.gamma}}'
    outs: [models/translators/spigan/0, results/costs/train/spigan/0.json, results/train/spigan/0/curves.json]
    params: [train.gamma]
  measure:
    matrix:
      translator: [spigan]
      seed: [0]
    cmd: '"{sys.executable}" stage.py measure'
    deps: [models/translators/spigan/0]
    outs: [results/measure/spigan/0.json]
"""
# what a training leaves behind, the same at every call but for its costs; it can be told to stand still in the middle
STAGE_FILE = """
import json, os, sys, time
from pathlib import Path

def write(path, value):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(value))

model = Path("models/translators/spigan/0")
if sys.argv[1] == "train":
    gamma = float(sys.argv[2])
    write(model / "params.yaml", {"method": "spigan", "params": {"train": {"gamma": gamma}}})
    write(model / "fingerprint", str(gamma))
    if "STAND" in os.environ:
        write("stands", os.getpid())
        time.sleep(60)
    write("results/train/spigan/0/curves.json", {"curves": [{"step": 1, "loss/D": gamma}]})
    write("results/costs/train/spigan/0.json", {"seconds": time.time() % 100})
else:
    write("results/measure/spigan/0.json", {"distances": {"kid": float((model / "fingerprint").read_text()[1:-1])}})
"""


@pytest.fixture
def project(tmp_path: Path, made_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A git repository with two stages under DVC and nothing run yet; the working folder."""
    for name, value in {"MLFLOW_TRACKING_URI": "", "DVC_NO_ANALYTICS": "true"}.items():
        monkeypatch.setenv(name, value)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@localhost")
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    contents = {"params.yaml": PARAMS, "dvc.yaml": GRAPH, "stage.py": STAGE_FILE, "presets/default.yaml": PARAMS}
    contents[".gitignore"] = "/models\n/results\n/stands\n/.mlflow\n"
    for name, text in contents.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    git("init", "-q")
    Repo.init().close()
    git("add", "-A")
    git("commit", "-q", "-m", "start")
    shutil.copytree(made_store, ".mlflow")
    yield folder


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def repro(**options) -> None:
    with Repo() as repo:
        repo.reproduce(**options)


def experiment(gamma: float, **options) -> str:
    """Run an experiment; its name."""
    with Repo() as repo:
        (revision,) = repo.experiments.run(params=[f"train.gamma={gamma}"], **options)
        return repo.experiments.get_exact_name([revision])[revision]


def shown() -> Counter:
    """Stage and the parameter that it ran with -> how many runs."""
    with opened() as store:
        found = store.client.search_runs([store.experiment])
    numbers = [(run.data.tags.get(STAGE), {**run.data.metrics, **run.data.params}) for run in found]
    return Counter((stage or "parent", float(n.get("train.gamma", n.get("kid")))) for stage, n in numbers)


def once(*gammas: float) -> Counter:
    return Counter((name, gamma) for gamma in gammas for name in ("parent", "train_spigan@0", "measure@spigan-0"))


def kill_in_the_middle() -> None:
    """`dvc repro`, and `kill -9` of it and of its stage when that has written a part of its outputs."""
    dvc = subprocess.Popen([sys.executable, "-m", "dvc", "repro", "-q"], env=os.environ | {"STAND": "1"})
    until = time.monotonic() + 60
    while not Path("stands").exists() or not Path("stands").read_text():
        assert dvc.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    dvc.kill()
    dvc.wait()
    os.kill(int(Path("stands").read_text()), signal.SIGKILL)
    Path("stands").unlink()


def test_killed_forced_cached_and_restored(project: Path) -> None:
    kill_in_the_middle()
    assert Path("models/translators/spigan/0").exists() and sync() == 0  # half an output is none
    repro()
    assert sync() == 3
    assert sync() == 0 and shown() == once(0.1)

    repro(force=True)  # run again, with other costs
    assert sync() == 0 and shown() == once(0.1)

    Path("params.yaml").write_text(PARAMS.replace("0.1", "0.5"))
    assert sync() == 0 and shown() == once(0.1)  # the outputs are still those of 0.1
    repro()
    assert sync() == 3 and shown() == once(0.1, 0.5)

    Path("params.yaml").write_text(PARAMS)
    repro()  # from DVC's run cache
    assert sync() == 0 and shown() == once(0.1, 0.5)

    shutil.rmtree("models")
    shutil.rmtree("results")
    assert sync() == 0
    with Repo() as repo:
        repo.checkout()
    assert sync() == 0 and shown() == once(0.1, 0.5)


def test_experiments(project: Path) -> None:
    repro()
    git("add", "-A")
    git("commit", "-q", "-m", "run")
    sync()
    experiment(0.5)
    assert sync() == 3 and shown() == once(0.1, 0.5)
    name = experiment(0.7, tmp_dir=True)  # in a copy, as --queue does
    assert sync() == 0 and shown() == once(0.1, 0.5)
    with Repo() as repo:
        repo.experiments.apply(name)
    assert sync() == 3 and shown() == once(0.1, 0.5, 0.7)
    experiment(0.5, force=True)
    assert sync() == 0 and shown() == once(0.1, 0.5, 0.7)
