"""What a killed DVC leaves half-written is mended before the next `dvc repro`, and two at once are told apart."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.files import UserError
from pipeline.mend import mend
from tests.commands import ROOT, environment, run_apart

WAITING = "import time; print('here', flush=True); time.sleep(100)"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # DVC's own


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., int]]:
    """start(NAME, ARGUMENTS): a process that stands in the folder under the command line `python NAME ARGUMENTS`."""
    started = []

    def go(name: str, *arguments: str, **variables: str) -> int:
        script = folder.parent / f"{folder.name}-bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(WAITING)
        command = ["-m", name.removesuffix(".py")] if name.startswith("stages") else [str(script)]
        process = subprocess.Popen(
            [sys.executable, *command, *arguments],
            cwd=folder,
            env=environment() | variables | {"PYTHONPATH": str(script.parent)},
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout and process.stdout.readline()
        return process.pid

    yield go
    for process in started:
        process.kill()
        process.communicate()


def lock(number: int) -> str:
    return json.dumps({"write": {"/a/b": {"pid": number, "cmd": "dvc repro"}}, "read": {}})


# -- locks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", '{"write": {"/a', "{}", lock(os.getpid())], ids=["empty", "cut", "free", "reused"]
)
def test_locks_that_nobody_holds_go(folder, text):
    (folder / ".dvc/tmp/rwlock").write_text(text)
    mend()
    assert not (folder / ".dvc/tmp/rwlock").exists()


def test_a_lock_that_another_dvc_holds_stays(folder, start):
    (folder / ".dvc/tmp/rwlock").write_text(lock(start("dvc", "pull")))
    mend()
    assert (folder / ".dvc/tmp/rwlock").exists()


# -- dvc.lock -----------------------------------------------------------------------------------------------------


def whole_lock() -> str:
    """A few stages of the committed dvc.lock."""
    content = YAML(typ="safe").load(ROOT / "dvc.lock")
    names = ("validate", "train_spigan@0", "report")
    kept = {"schema": content["schema"], "stages": {name: content["stages"][name] for name in names}}
    yaml, text = YAML(), io.StringIO()
    yaml.default_flow_style = False  # as DVC writes it
    yaml.dump(kept, text)
    return text.getvalue()


def test_a_dvc_lock_that_was_cut_anywhere_is_one_that_dvc_reads(folder, capsys):
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA

    text = whole_lock()
    whole: dict[str, Any] = YAML(typ="safe").load(text)["stages"]
    for cut in range(0, len(text), 61):
        (folder / "dvc.lock").write_text(text[:cut])
        mend()
        if not (folder / "dvc.lock").exists():
            continue
        left = COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe").load(folder / "dvc.lock"))["stages"]
        assert list(left) == list(whole)[: len(left)]
        assert all(left[name] == whole[name] for name in list(left)[:-1])
    assert "dvc.lock was cut short when DVC was killed: 1 stages are kept" in capsys.readouterr().err


def test_a_whole_dvc_lock_stays_as_it_is(folder, capsys):
    for text in (whole_lock(), (ROOT / "dvc.lock").read_text()):
        (folder / "dvc.lock").write_text(text)
        mend()
        assert (folder / "dvc.lock").read_text() == text
    assert not capsys.readouterr().err


# -- two at once --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("repro",), ("exp", "run", "-S", "train.gamma=0.5")])
def test_a_second_run_beside_another_is_refused_in_a_sentence(folder, start, arguments):
    number = start("dvc", *arguments)
    ended = run_apart(folder, "-m", "pipeline.mend")
    assert ended.sentence == (
        f"error: `dvc {' '.join(arguments)}` (process {number}) is at work in this folder; "
        "wait for it or end it, then run the same command again"
    )


def test_a_stage_that_outlived_its_dvc_is_named(folder, start):
    number = start("stages.py", DVC_STAGE="train_spigan@0")
    with pytest.raises(UserError, match=rf"^stage train_spigan@0 of a DVC that was killed \(process {number}\)"):
        mend()


def test_others_do_not_matter(folder, start, tmp_path_factory, monkeypatch):
    start("stages.py")  # by hand
    start("dvc", "status")
    mend()
    start("dvc", "repro")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    mend()
