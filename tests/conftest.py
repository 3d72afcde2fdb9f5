"""A small world in a folder of its own, made once a session by the stages as a user runs them."""

import contextlib
import copy as copying
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from stages.common import keep_memory
from stages.shard_clips import CLIP_SPLITS
from stages.shard_stills import DIGIT_SETS, SCAN_SETS
from tests.commands import ROOT, environment, merge, run_apart, run_here, write_params

CHANGES: dict[str, Any] = {  # of presets/tiny.yaml
    "world": {
        "size": [32, 64],
        "source": 8,
        "target_train": 8,
        "target_val": 3,
        "night": 4,
        "anomaly": {"train": 3, "test": 2, "length": 4},
    },
    "cluster": {"workers": 1},
    "shard": {"samples_per_shard": 3},
    "device": {"accelerator": "cpu", "threads": 1},
    "train": {"steps": 8, "tick": 2, "batch": 2, "crop": [32, 32], "lr": 2e-4, "delta": 0.33},
    "spigan": {"discriminator_norm": "instance", "discriminator_lr": None},
    "segment": {"steps": 6, "tick": 2, "batch": 2, "crop": [32, 64]},
    "flow_anomaly": {
        "levels": 5, "generator_width": 4, "discriminator_width": 8, "discriminator_layers": 2, "window": 3,
        "train": {"steps": 8, "batch": 2, "crop": [32, 32], "lr": 2e-4},
    },
    "scans": {"name": "drawn_scans", "size": 32},
    "anogan": {
        "latent": 4, "generator_width": 4, "discriminator_width": 4, "search_steps": 3,
        "train": {"steps": 4, "tick": 2, "batch": 2, "crop": [32, 32], "lr": 2e-4},
    },
    "digits": {"size": 32},
    "infogan": {"noise": 6, "width": 4, "train": {"steps": 8, "batch": 4, "crop": [32, 32], "flip": 0.0, "lr": 2e-4}},
}  # fmt: skip
LONGEST = [  # begun first, so that none is left alone at the end; no second one waits for the small world at the start
    "engine/test_loop.py", "parity/test_parity_spade.py", "engine/test_stored_losses.py", "engine/test_ranks.py",
    "faults/test_kill.py", "stages/test_import_weights.py", "parity/test_parity_adaptsegnet.py",
    "tracking/test_sync.py", "parity/test_parity_nets.py", "test_presets.py", "tracking/test_registry.py",
    "parity/test_parity_pix2pix.py", "engine/test_model.py", "engine/test_step.py", "faults/test_faults.py",
]  # fmt: skip
keep_memory()  # as the stages that run in this process do
COMMANDS = (  # what makes the small world
    ("validate",),
    *(("simulate", part) for part in ("source", "target", "perfect", "night", "anomaly")),
    ("fix_labels",),
    *(("shard", name) for name in ("source", "target_train", "target_train_labels", "target_val", "pairs_train")),
    *(("shard_clips", name) for name in CLIP_SPLITS),
    *(("shard_stills", name) for name in (*SCAN_SETS, *DIGIT_SETS)),
    ("translate", "none", "0"),
)
FORKS = pytest.StashKey[tempfile.TemporaryDirectory]()
SERVER = pytest.StashKey[subprocess.Popen]()
SCANS = {"train": (8, 3), "test": (3, 4)}  # normal and abnormal ones


def pytest_configure(config: pytest.Config) -> None:
    """One process that begins others, for all workers; they find it by what their environment says."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        folder = config.stash[FORKS] = tempfile.TemporaryDirectory(prefix="forks-")
        os.environ["FORKS"] = f"{folder.name}/socket"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.environ["FORKS"])
            listener.listen()
            number = listener.fileno()
            command = [sys.executable, str(ROOT / "tests/forks.py"), str(number)]
            config.stash[SERVER] = subprocess.Popen(
                command, stdin=subprocess.PIPE, env=environment(), pass_fds=[number]
            )


def pytest_unconfigure(config: pytest.Config) -> None:
    if server := config.stash.get(SERVER, None):
        server.communicate()
        config.stash[FORKS].cleanup()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


def write_scans(file: Path, labels: bool = True) -> Path:
    """Grey pictures of 40 pixels a side, the abnormal ones with a bright square, in the layout `npz`."""
    random, arrays = np.random.RandomState(0), {}
    for split, (normal, abnormal) in SCANS.items():
        images = random.randint(60, 120, (normal + abnormal, 40, 40)).astype(np.uint8)
        masks = np.zeros_like(images)
        masks[normal:, 12:22, 8:18] = 1
        images[masks == 1] = 250
        arrays[f"{split}_images"] = images
        if labels:
            arrays |= {f"{split}_masks": masks, f"{split}_labels": np.arange(len(images)) >= normal}
            arrays[f"{split}_labels"] = arrays[f"{split}_labels"].astype(np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **arrays)
    return file


@pytest.fixture(scope="session", autouse=True)
def the_same_text_is_parsed_once() -> Iterator[None]:
    """params.yaml takes ruamel a tenth of a second, and hundreds of tests read the same one."""
    from ruamel.yaml import YAML

    load, known = YAML.load, {}

    def remembered(self: YAML, stream: Any) -> Any:
        if self.typ != ["safe"] or not isinstance(stream, str):
            return load(self, stream)
        if (stream, self.pure) not in known:
            known[stream, self.pure] = load(self, stream)
        return copying.deepcopy(known[stream, self.pure])

    with mock.patch.object(YAML, "load", remembered):
        yield


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """The parameters of the small world."""
    from ruamel.yaml import YAML

    from pipeline.presets import merged

    with contextlib.chdir(ROOT):
        return merge(YAML(typ="safe", pure=True).load(merged("tiny")), CHANGES)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is made by the first worker that needs it, and shared by all."""
    root = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    with open(root / f"{name}.lock", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if lock.read() != "made":
            shutil.rmtree(root / name, ignore_errors=True)
            make(root / name)
            lock.write("made")
    return root / name


@pytest.fixture(scope="session")
def world(tiny: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small world's raw data, mended labels, shards and pictures of `none`; never changed by a test."""

    def make(folder: Path) -> None:
        folder.mkdir()
        write_params(folder, tiny)
        write_scans(folder / "data/raw/drawn_scans/scans.npz")
        write_digits(folder / "data/raw/world_digits/digits.npz")
        for command in COMMANDS:
            ended = run_here(folder, *command)
            assert ended.code == 0, f"{command}\n{ended.err}"

    return once(tmp_path_factory, "world", make)


def write_digits(path: Path) -> None:
    """Bars, bright on noisy black, whose place from left to right is their digit: 20 to learn from, 10 to be judged."""
    random, arrays = np.random.RandomState(0), {}
    for split, count in (("train", 20), ("test", 10)):
        digit = np.arange(count) % 10
        image = random.randint(0, 30, (count, 28, 28)).astype(np.uint8)
        for one, place in zip(image, digit, strict=True):
            one[4:24, 4 + 2 * place : 6 + 2 * place] = 255
        arrays |= {f"{split}_images": image, f"{split}_labels": digit}
    path.parent.mkdir(parents=True)
    np.savez(path, **arrays)


@pytest.fixture(scope="session")
def trained(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`world` with a trained spigan, its pictures, and a trained segmenter, each made by a process of its own."""

    def make(folder: Path) -> None:
        shutil.copytree(world, folder)
        for command in (("train", "spigan"), ("translate", "spigan"), ("segment", "source_only", "none")):
            ended = run_apart(folder, "-m", f"stages.{command[0]}", *command[1:], "0")
            assert ended.code == 0, f"{command}\n{ended.err}"

    return once(tmp_path_factory, "trained", make)


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """copy(world, "data/raw", ...): a folder with the parameters and these parts of another, for a test to spoil."""

    def make(origin: Path, *parts: str) -> Path:
        folder = tmp_path / "copy"
        for part in ("params.yaml", *parts):
            goal = folder / part
            goal.parent.mkdir(parents=True, exist_ok=True)
            copied = shutil.copytree if (origin / part).is_dir() else shutil.copy2
            copied(origin / part, goal)
        return folder

    yield make
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
