"""A set at a URL: streamed in pure order over ranks and threads, taken up anywhere, whatever the connection does."""

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pipeline.files import UserError
from pipeline.sample import Sample
from pipeline.shards import download, stream
from pipeline.shards.index import ShardSet
from pipeline.shards.loader import GlobalBatches, in_order
from pipeline.shards.remote import take
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards
from tests.commands import ROOT, contents, run_here

N = 23  # samples, in shards of 4


class Server:
    """Serves a folder from this machine; `drop`: every so-manieth request for a shard is cut in its middle."""

    def __init__(self, folder: Path):
        self.asked: list[str] = []  # names of files, as they were asked for
        self.drop, self.ranges, self.code = 0, True, 0
        outer = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                name = Path(self.path).name
                outer.asked.append(name)
                if outer.code:
                    self.send_error(outer.code)
                    return
                file, begin = folder / self.path.lstrip("/"), 0
                if not file.is_file():
                    self.send_error(404)
                    return
                data, told = file.read_bytes(), self.headers.get("Range")
                if told and outer.ranges:
                    begin = int(told.removeprefix("bytes=").removesuffix("-"))
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(len(data) - begin))
                self.end_headers()
                cut = outer.drop and name.endswith(".tar") and len(outer.asked) % outer.drop == 0
                self.wfile.write(data[begin : begin + (len(data) - begin) // 2] if cut else data[begin:])

            def log_message(self, *told: object) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/set"
        threading.Thread(target=partial(self.http.serve_forever, 0.01), daemon=True).start()

    @property
    def shards(self) -> list[str]:
        return [name for name in self.asked if name.endswith(".tar")]


@pytest.fixture(scope="module")
def local(make: Callable[[int], Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("served") / "set"
    settings = ShardSettings(samples_per_shard=4, image_format="png")
    write_shards(make, range(N), out, classes="cityscapes19", split="train", settings=settings)
    return out


@pytest.fixture
def server(local: Path, tmp_path: Path) -> Iterator[Server]:
    served = Server(shutil.copytree(local, tmp_path / "served" / "set").parent)
    yield served
    served.http.shutdown()
    served.http.server_close()


@pytest.fixture
def taken(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShardSet:
    monkeypatch.setattr(download, "WAIT", 0.001)
    monkeypatch.setattr(stream, "BLOCK", 2)  # shards that are shuffled together
    return take(server.url, tmp_path / "here")


def keys(opened: ShardSet, batch: int, steps: int, start: int = 0, **more) -> list[list[str]]:
    """Keys of a rank's batches."""
    batches = GlobalBatches({"source": opened}, batch, 1, parts={"source": ("label",)}, **more).batches(start)
    found = [step["source"].keys for step in islice(batches, steps)]
    batches.close()
    return found


def test_the_folder_holds_all_but_the_shards(local, server, taken):
    assert server.asked == ["set.json", "index.parquet"]
    assert contents(taken.path).keys() == {"set.json", "index.parquet", "url"}
    here = ShardSet.open(local)
    assert (taken.keys, taken.digest, taken.parts, taken.size) == (here.keys, here.digest, here.parts, here.size)
    np.testing.assert_array_equal(taken.histograms(), here.histograms())


@pytest.mark.parametrize("world, threads", [(1, 3), (3, 2)])
def test_every_sample_once_an_epoch_over_all_ranks_and_threads(taken, server, world, threads):
    batch, steps = 6, 8  # two epochs, and two samples of the third
    ranks = [keys(taken, batch, steps, rank=rank, world=world, threads=threads) for rank in range(world)]
    fetched = len(server.shards)
    laid = [key for step in zip(*ranks, strict=True) for slice_ in step for key in slice_]
    one, other = laid[:N], laid[N : 2 * N]
    assert sorted(one) == sorted(other) == taken.keys and one != other
    # of 6 shards a rank reads its own, and one more at its border with a neighbour; two more epochs begin ahead
    assert fetched <= 4 * (6 + world - 1)
    assert ranks == [keys(taken, batch, steps, rank=rank, world=world, threads=1) for rank in range(world)]


def test_what_is_streamed_is_what_the_index_says_and_what_the_shards_hold(make, taken):
    loader = GlobalBatches({"source": taken}, 4, 1, rank=1, world=2)
    for step, batch in enumerate(islice(loader.batches(), 4)):
        indices = loader.indices("source", step)
        assert batch["source"].keys == [taken.keys[i] for i in indices]
        depth, label = batch["source"].depth, batch["source"].label
        np.testing.assert_array_equal(depth.numpy()[:, 0], np.stack([make(int(i)).depth for i in indices]))
        np.testing.assert_array_equal(label.numpy(), np.stack([make(int(i)).label for i in indices]))


def test_a_restart_neither_fetches_nor_decodes_what_it_passes_over(taken, server, monkeypatch):
    """Step 4 of batches of 2: 8 samples on, in the second of three blocks of two shards; what is read ahead is of this epoch."""
    straight = keys(taken, 2, 5)
    server.asked.clear()
    decoded = []
    kept = stream.decode
    monkeypatch.setattr(stream, "decode", lambda key, *rest: decoded.append(key) or kept(key, *rest))
    monkeypatch.setattr(stream.ShardStream, "_fetch", counted := Counted(stream.ShardStream._fetch))
    assert keys(taken, 2, 1, start=4) == straight[4:]
    passed = {key for step in straight[:4] for key in step}
    assert len(passed) == 8 and not passed & set(decoded) and not passed & set(counted.keys)
    first = {taken.row(taken.keys.index(key))["shard"] for step in straight[:3] for key in step}  # of the first block
    assert len(first) == 2 and len(server.shards) == 4 and not first & set(server.shards)


class Counted:
    """_fetch, noting the keys of what it is asked for."""

    def __init__(self, fetch):
        self.fetch, self.keys = fetch, []

    def __get__(self, held, kind):
        def one(rows, *rest):
            self.keys += [held.opened.keys[row] for row in rows if len(self.keys) < N - 14]
            return self.fetch(held, rows, *rest)

        return one


@pytest.mark.parametrize("ranges", [True, False])
def test_dropped_connections_cost_retries_and_no_samples(taken, server, ranges):
    undisturbed, server.ranges, server.drop = keys(taken, 4, 12), ranges, 3
    server.asked.clear()
    assert keys(taken, 4, 12) == undisturbed
    assert len(server.shards) > 12 * 4 / N * 6  # shards were asked for again


def test_a_server_that_always_drops_is_a_sentence(taken, server):
    server.drop = 1
    server.ranges = False  # so that no try brings more than the one before
    with pytest.raises(
        UserError, match=r"/set/00000\d.tar cannot be fetched: the connection was closed after .*6 times"
    ):
        keys(taken, 4, 1)


def test_a_server_that_is_gone_or_busy_is_a_sentence(taken, server, tmp_path):
    server.code = 503
    with pytest.raises(UserError, match="the server says 503 Service Unavailable, 6 times in a row"):
        keys(taken, 4, 1)
    server.http.server_close()
    server.http.shutdown()
    with pytest.raises(
        UserError, match=r"set.json cannot be fetched: .*refused, 6 times in a row; check network and server"
    ):
        take(server.url, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_missing_a_longer_and_an_edited_shard_are_sentences(taken, server, tmp_path):
    shards = sorted((tmp_path / "served/set").glob("*.tar"))
    member = taken.row(0)["members"][2]
    assert member["extension"] == "label.png"
    data = shards[0].read_bytes()
    at = member["offset"] + 40
    for changed, sentence in (
        (data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], "drive0_000000.label.png is not what was written"),
        (bytes(2000) + data[2000:], r"000000.tar(: .*label.png)? is not what was written"),
        (data + bytes(512), "000000.tar cannot be fetched: it has .* bytes instead of"),
        (None, "000000.tar cannot be fetched: the server says 404 .*; check the address"),
    ):
        shards[0].unlink()
        if changed:
            shards[0].write_bytes(changed)
        server.asked.clear()
        with pytest.raises(UserError, match=sentence) as caught:
            keys(taken, 4, 8)
        assert "\n" not in str(caught.value)
        shards[0].touch()
        assert (
            server.shards.count("000000.tar") <= 2
        )  # for two epochs: nothing is tried again that cannot become better


def test_what_is_no_set_is_not_taken(server, tmp_path):
    def refused(url: str, sentence: str) -> None:
        with pytest.raises(UserError, match=sentence):
            take(url, tmp_path / "here")
        assert not (tmp_path / "here").exists()

    refused("ftp://host/set", "ftp://host/set is no address of a set")
    refused(server.url + "s", r"/sets/set.json cannot be fetched: the server says 404 .*; check the address")
    with open(tmp_path / "served/set/index.parquet", "ab") as file:
        file.write(b"x")
    refused(
        server.url, r"^http://[\d.:]+/set/index.parquet is missing or is not what was written .*put the whole set there"
    )


def test_what_needs_any_order_is_refused(taken):
    for use in (
        lambda: ShardSet.open(taken.path),
        lambda: taken.read(0),
        lambda: next(in_order(taken, 1)),
        lambda: GlobalBatches({"source": taken}, 2, 0, orders={"source": lambda positions: positions}),
    ):
        with pytest.raises(UserError, match="URL|only streamed"):
            use()


def test_streamed_and_stored_sets_feed_a_step_together(taken, opened):
    step = next(GlobalBatches({"source": taken, "target": opened}, 2, 0, parts={"target": ("image",)}).batches(3))
    assert step["source"].label is not None and step["target"].image is not None and step["target"].label is None


def test_the_stage_takes_a_set(server, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    ended = run_here(folder, "shard", "source", "--url", server.url)
    assert (
        ended.code == 0 and ended.out == f"23 samples of {server.url} are streamed by what reads data/shards/source\n"
    )
    assert ShardSet.open(folder / "data/shards/source", stream=True).url == server.url
    shutil.copy(ROOT / "params.yaml", folder)
    refused = run_here(folder, "translate", "histogram_matching", "0").sentence
    assert f"stays at {server.url} and is only streamed" in refused and "\n" not in refused
    assert "set 'sauce' is unknown" in run_here(folder, "shard", "sauce", "--url", server.url).sentence
