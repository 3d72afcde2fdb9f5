"""Where items are mapped changes no byte, and a killed worker costs a retry: on this machine, on Dask, on Ray."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from pipeline.cluster import ClusterSettings, in_threads, map_items
from pipeline.files import UserError, encode_png, read_json
from pipeline.labels import fix_labels
from pipeline.params import parse
from pipeline.sample import Sample
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards
from tests.commands import ROOT, contents, environment
from tests.test_labels import RAW, H, W, raw_label

TWO = ClusterSettings(workers=2)
needs_dask = pytest.mark.skipif(not find_spec("distributed"), reason='Dask is not installed (pip install ".[dask]")')
needs_ray = pytest.mark.skipif(not find_spec("ray"), reason='Ray is not installed (pip install ".[ray]")')


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSettings]:
    """A scheduler and two workers as a user starts them, in a folder that is not the stage's."""
    folder = tmp_path_factory.mktemp("dask")
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", "where.json"]
    worker = ["worker", "--scheduler-file", "where.json", "--nworkers", "2", "--nthreads", "1", "--no-dashboard"]
    own = environment() | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    run = partial(subprocess.Popen, cwd=folder, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    processes = [run([sys.executable, "-m", "dask", *scheduler])]
    try:
        until = time.monotonic() + 60
        while not (folder / "where.json").exists() and time.monotonic() < until:
            time.sleep(0.1)
        processes.append(run([sys.executable, "-m", "dask", *worker, "--local-directory", str(folder)]))
        address = read_json(folder / "where.json")["address"]
        yield ClusterSettings(backend="dask", address=address)
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(30)


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> ClusterSettings:
    if request.param == "dask":
        return request.getfixturevalue("dask")
    return TWO.model_copy(update={"backend": request.param})


everywhere = pytest.mark.parametrize(
    "cluster", ["loky", pytest.param("dask", marks=needs_dask), pytest.param("ray", marks=needs_ray)], indirect=True
)


def killing(make: Callable[[int], Sample], marker: Path) -> Callable[[int], Sample]:
    """`make`, which once ends the process that runs it, without a word."""

    def one(i: int) -> Sample:
        if i == 5 and not marker.exists():
            marker.touch()
            os._exit(1)
        return make(i)

    return one


@pytest.fixture
def make() -> Callable[[int], Sample]:
    def one(i: int) -> Sample:  # nested, so that workers get it by value
        draw = np.random.default_rng(i)
        image = draw.integers(0, 256, (24, 40, 3), dtype=np.uint8)
        return Sample(f"drive_{i:06d}", image=image, label=draw.choice([0, 10, 255], (24, 40)).astype(np.uint8))

    return one


@everywhere
def test_shards_are_the_same_bytes_though_a_worker_is_killed(cluster, make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = {"classes": "cityscapes19", "split": "train", "settings": ShardSettings(samples_per_shard=4)}
    write_shards(make, range(11), "alone", **kept)
    write_shards(killing(make, Path("killed")), range(11), "shared", **kept, cluster=cluster)
    assert Path("killed").exists()  # here: the workers' relative paths are the stage's
    assert contents(Path("shared")) == contents(Path("alone"))


@everywhere
def test_labels_are_the_same_bytes(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        for folder, content in (("RGB", np.full((H, W, 3), number, np.uint8)), ("GT/LABELS", raw_label(number))):
            Path("synthia", folder).mkdir(parents=True, exist_ok=True)
            Path("synthia", folder, f"{number:07d}.png").write_bytes(encode_png(content))
    settings = RAW.model_copy(update={"depth": "none"})
    fix_labels("synthia", "alone", settings)
    fix_labels("synthia", "shared", settings, cluster)
    assert contents(Path("shared")) == contents(Path("alone"))


@everywhere
def test_what_is_wrong_with_an_item_is_said_as_it_is_here(cluster):
    def bad(i: int) -> int:
        if i == 3:
            raise UserError("raw/3.png: the PNG is cut short; fetch the file again")
        return i

    with pytest.raises(UserError, match="^raw/3.png: the PNG is cut short; fetch the file again$"):
        map_items(bad, range(8), cluster)


def test_an_item_that_kills_every_process_ends_in_a_sentence(monkeypatch):
    monkeypatch.setattr("pipeline.cluster.RETRIES", 0)
    with pytest.raises(UserError, match="are killed over the same items again and again.*cluster.workers"):
        map_items(lambda i: os._exit(1), range(2), TWO)


@needs_dask
def test_a_scheduler_that_does_not_answer_is_a_sentence(monkeypatch):
    monkeypatch.setattr("pipeline.cluster.PATIENCE", 1)
    with pytest.raises(UserError, match="no Dask scheduler answers at tcp://127.0.0.1:9"):
        map_items(abs, range(4), ClusterSettings(backend="dask", address="tcp://127.0.0.1:9"))


def test_items_keep_their_order_in_any_number_of_processes():
    assert map_items(abs, [-3, 1, -2]) == map_items(abs, [-3, 1, -2], TWO) == [3, 1, 2]


def test_threads_keep_the_order_and_take_no_more_than_they_can_use():
    taken: list[int] = []
    items = (taken.append(i) or i for i in range(100))
    results = in_threads(lambda i: time.sleep(0.01 * (i % 3)) or i, items, 2)
    assert [next(results) for _ in range(10)] == list(range(10))
    assert len(taken) < 16
    results.close()


def test_where_to_run_is_checked(monkeypatch):
    with pytest.raises(UserError, match="cluster.* loky has no address"):
        parse(ClusterSettings, {"address": "tcp://10.0.0.1:8786"}, "cluster")
    monkeypatch.setattr("pipeline.cluster.find_spec", lambda name: None)
    for name in ("dask", "ray"):
        with pytest.raises(
            UserError, match=rf"cluster.backend is '{name}'; it is not installed; run pip install .*\[{name}\]"
        ):
            parse(ClusterSettings, {"backend": name}, "cluster")
