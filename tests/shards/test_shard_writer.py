"""Shards are the same bytes every time, and anybody's tools read them."""

import hashlib
import io
import json
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.cluster import ClusterSettings
from pipeline.files import UserError, decode_image
from pipeline.params import parse
from pipeline.ranks import Ranks
from pipeline.sample import KEYS, Sample
from pipeline.shards.index import ShardSet
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards

SETTINGS = ShardSettings(samples_per_shard=4, image_format="png")


def write(make, items, out, settings=SETTINGS, **more):
    return write_shards(make, items, out, classes="cityscapes19", split="train", settings=settings, **more)


def test_written_twice_by_any_number_of_workers_is_the_same_bytes(make, written, tmp_path, folder_bytes):
    for name, workers in (("again", 1), ("two", 2)):
        write(make, range(11), tmp_path / name, cluster=ClusterSettings(workers=workers))
        assert folder_bytes(tmp_path / name) == folder_bytes(written)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["again", "two"]  # no scratch is left


def test_headers_hold_nothing_of_this_machine(written):
    with tarfile.open(written / "000000.tar") as tar:
        for info in tar:
            assert (info.mtime, info.uid, info.gid, info.uname, info.gname, info.mode) == (0, 0, 0, "", "", 0o644)


def test_the_stock_library_reads_them(make, written):
    webdataset = pytest.importorskip("webdataset")
    urls = [str(file) for file in sorted(written.glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == [make(i).key for i in range(11)]
    for i in (0, 10):
        assert set(KEYS) - {"image.jpg", "paired.jpg", "flow_back.png"} <= set(samples[i])
        np.testing.assert_array_equal(decode_image(samples[i]["image.png"], "image"), make(i).image)
        assert json.loads(samples[i]["meta.json"]) == {"sequence": f"drive{i // 4}", "frame": i, "split": "train"}


def test_the_index_says_where_every_member_lies(make, written):
    rows = pq.read_table(written / "index.parquet").to_pylist()
    assert [row["shard"] for row in rows] == ["000000.tar"] * 4 + ["000001.tar"] * 4 + ["000002.tar"] * 3
    for i, row in enumerate(rows):
        shard = (written / row["shard"]).read_bytes()
        found = [shard[m["offset"] : m["offset"] + m["size"]] for m in row["members"]]
        assert [hashlib.sha256(data).hexdigest() for data in found] == [m["sha256"] for m in row["members"]]
        with tarfile.open(fileobj=io.BytesIO(shard)) as tar:
            named = [tar.extractfile(f"{row['key']}.{m['extension']}").read() for m in row["members"]]
        assert found == named
        listed = "".join(f"{m['sha256']}  {row['key']}.{m['extension']}\n" for m in row["members"])
        assert row["digest"] == hashlib.sha256(listed.encode()).hexdigest()  # what `sha256sum` prints
        assert (row["sequence"], row["frame"], row["split"]) == (f"drive{i // 4}", i, "train")
        counts = np.bincount(make(i).label.ravel(), minlength=256)
        assert row["class_histogram"] == [*counts[:19], counts[255]]


def test_the_description_and_a_digest_free_of_the_shards_size(make, written, tmp_path):
    one = json.loads((written / "set.json").read_text())
    assert (one["classes"], one["split"], one["pictures"], one["size"]) == ("cityscapes19", "train", 11, [24, 40])
    assert one["members"] == {e: 11 for e in KEYS if e not in ("image.jpg", "paired.jpg", "flow_back.png")}
    other = write(make, range(11), tmp_path / "set", ShardSettings(samples_per_shard=100, image_format="png"))
    assert other["digest"] == one["digest"] and len(other["shards"]) == 1


def test_resizing_keeps_classes_and_scales_flow(make, tmp_path):
    settings = ShardSettings(image_format="png", height=12, width=80)
    write(make, range(2), tmp_path / "set", settings)
    small, full = ShardSet.open(tmp_path / "set").read(1), make(1)
    assert small.image.shape == (12, 80, 3) and small.meta["original_size"] == [24, 40]
    assert small.paired.shape == (12, 80, 3)
    rows, columns = 2 * np.arange(12) + 1, np.arange(80) // 2
    np.testing.assert_array_equal(small.label, full.label[rows[:, None], columns])
    np.testing.assert_array_equal(small.instance, full.instance[rows[:, None], columns])
    np.testing.assert_array_equal(small.depth, full.depth[rows[:, None], columns])
    vectors, valid = (plane[rows[:, None], columns] for plane in full.flow)
    np.testing.assert_array_equal(small.flow[1], valid)
    np.testing.assert_array_equal(small.flow[0], np.rint(vectors * [2, 0.5] * 64) / 64)  # stored in 1/64 pixel


def test_shrinking_averages_the_picture(tmp_path):
    image = np.zeros((8, 8, 3), np.uint8)
    image[::2] = 200
    write(
        lambda i: Sample("a", image=image, paired=image),
        [0],
        tmp_path / "set",
        SETTINGS.model_copy(update={"height": 4, "width": 4}),
    )
    small = ShardSet.open(tmp_path / "set").read(0)
    np.testing.assert_array_equal(small.image, 100)
    np.testing.assert_array_equal(small.paired, 100)


@pytest.mark.parametrize(
    ("key", "label", "words"),
    [("a.b", 0, "sample key 'a.b' cannot be stored"), ("k" * 99, 0, "80 characters"), ("a", 19, "label holds 19")],
)
def test_what_cannot_be_stored_is_a_sentence(tmp_path, key, label, words):
    with pytest.raises(UserError, match=words):
        write(lambda i: Sample(key, label=np.full((4, 4), label, np.uint8)), [0], tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_items_are_listed_together_and_nothing_is_left(make, tmp_path, workers):
    def some(i):
        if i in (2, 9):
            raise UserError(f"raw/{i}.png: the PNG is cut short; fetch the file again")
        return make(i)

    with pytest.raises(UserError) as caught:
        write(some, range(11), tmp_path / "set", cluster=ClusterSettings(workers=workers))
    assert len(str(caught.value).splitlines()) == 3
    assert "2 of the 11" in str(caught.value) and "raw/2.png" in str(caught.value) and "raw/9.png" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_stands_for_two_samples_is_named(make, tmp_path):
    with pytest.raises(UserError, match="several samples(.|\n)*drive0_000001"):
        write(make, [0, 1, 1], tmp_path / "set")


def test_nothing_to_write_and_foreign_folders(make, tmp_path):
    with pytest.raises(UserError, match="nothing to write"):
        write(make, [], tmp_path / "set")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.png").write_bytes(b"dear")
    with pytest.raises(UserError, match="is not a shard set"):
        write(make, [0], tmp_path / "photos")
    assert (tmp_path / "photos" / "mine.png").read_bytes() == b"dear"


def test_an_older_set_is_replaced_whole(make, written, tmp_path, folder_bytes):
    write(make, range(3), tmp_path / "set")
    write(make, range(11), tmp_path / "set")
    assert folder_bytes(tmp_path / "set") == folder_bytes(written)


def test_settings_refuse_half_a_size():
    with pytest.raises(UserError, match="shard: height and width are given together"):
        parse(ShardSettings, {"height": 128}, "shard")


def test_what_a_net_draws_in_this_process_is_coded_in_order(make, tmp_path, folder_bytes):
    def bright(sample):
        drawn_in.add(threading.get_ident())
        return replace(sample, image=255 - sample.image)

    drawn_in = set()
    write(make, range(11), tmp_path / "beside", draw=bright, cluster=ClusterSettings(workers=3))
    write(lambda i: bright(make(i)), range(11), tmp_path / "alone")
    assert folder_bytes(tmp_path / "beside") == folder_bytes(tmp_path / "alone")
    assert drawn_in == {threading.get_ident()}


def test_ranks_share_the_shards_and_the_faults(make, written, tmp_path, folder_bytes):
    def some(i):
        if i in (2, 9):
            raise UserError(f"raw/{i}.png: the PNG is cut short; fetch the file again")
        return make(i)

    together(make, tmp_path / "set")
    assert folder_bytes(tmp_path / "set") == folder_bytes(written)
    for error in together(some, tmp_path / "bad"):
        assert "2 of the 11" in str(error) and "raw/2.png" in str(error) and "raw/9.png" in str(error)
    assert not (tmp_path / "bad").exists()


def together(make, out):
    """What two ranks, here threads, come to."""
    barrier, told = threading.Barrier(2), [None, None]

    def one(rank):
        def gather(value):
            told[rank] = value
            barrier.wait(20)
            everyone = list(told)
            barrier.wait(20)
            return everyone

        try:
            return write(make, range(11), out, ranks=Ranks(rank, 2, gather))
        except UserError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, range(2)))
