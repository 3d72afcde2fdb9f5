"""What is read is what was written, or a sentence says that it is not."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.files import UserError
from pipeline.sample import Sample
from pipeline.shards.index import ShardSet
from pipeline.shards.joined import Joined
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards


@pytest.fixture
def copy(written, tmp_path):
    return shutil.copytree(written, tmp_path / "set")


def flip_byte(file, offset):
    data = bytearray(file.read_bytes())
    data[offset] ^= 1
    file.write_bytes(data)


def test_every_part_comes_back(make, opened):
    assert (len(opened), opened.size, opened.classes, opened.split) == (11, (24, 40), "cityscapes19", "train")
    assert opened.parts == ("image", "paired", "label", "instance", "depth", "flow", "meta")
    for i in (0, 7, 10):
        got, truth = opened.read(i), make(i)
        assert got.key == truth.key == opened.keys[i] and got.flow_back is None
        for name in ("image", "paired", "label", "instance", "depth"):
            np.testing.assert_array_equal(getattr(got, name), getattr(truth, name))
            assert getattr(got, name).dtype == getattr(truth, name).dtype
        np.testing.assert_array_equal(got.flow[0], truth.flow[0])
        np.testing.assert_array_equal(got.flow[1], truth.flow[1])


def test_only_what_is_asked_for_is_read(opened):
    sample = opened.read(2, ("label",))
    assert sample.label is not None and sample.image is None and sample.depth is None and sample.meta == {}
    with pytest.raises(UserError, match="drive0_000002 has no flow_back"):
        opened.read(2, ("image", "flow_back"))


def test_threads_share_a_set(opened):
    indices = [i % 11 for i in range(200)]
    with ThreadPoolExecutor(8) as pool:
        keys = [sample.key for sample in pool.map(opened.read, indices)]
    assert keys == [opened.keys[i] for i in indices]


def test_histograms_count_pixels(make, opened):
    counts = opened.histograms()
    assert counts.shape == (11, 20) and (counts.sum(1) == 24 * 40).all()
    assert counts[3, 18] == (make(3).label == 18).sum() and counts[3, 19] == (make(3).label == 255).sum()


def test_an_edited_index_is_a_sentence(copy):
    table = pq.read_table(copy / "index.parquet").to_pylist()
    table[0]["class_histogram"][0] += 1
    pq.write_table(pa.Table.from_pylist(table, pq.read_schema(copy / "index.parquet")), copy / "index.parquet")
    with pytest.raises(UserError, match=r"index.parquet is missing or is not what was written") as caught:
        ShardSet.open(copy)
    assert "\n" not in str(caught.value)


def test_an_index_and_a_description_edited_together_are_found(copy):
    from pipeline.files import sha256_file

    rows = pq.read_table(copy / "index.parquet").to_pylist()
    rows[0]["digest"] = "0" * 64
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(copy / "index.parquet")), copy / "index.parquet")
    description = json.loads((copy / "set.json").read_text())
    description["index"] = sha256_file(copy / "index.parquet")
    (copy / "set.json").write_text(json.dumps(description))
    with pytest.raises(UserError, match="does not describe the index"):
        ShardSet.open(copy)


def test_truncated_and_missing_shards_are_listed(copy):
    with open(copy / "000001.tar", "r+b") as file:
        file.truncate(5000)
    with pytest.raises(UserError, match=r"set: 000001.tar has 5,000 bytes instead of [\d,]+; make the set again"):
        ShardSet.open(copy)
    (copy / "000002.tar").unlink()
    with pytest.raises(UserError, match="000001.tar has(.|\n)*000002.tar is missing"):
        ShardSet.open(copy)


def test_an_edited_shard_is_found_when_its_sample_is_read(copy):
    opened = ShardSet.open(copy)
    flip_byte(copy / "000001.tar", opened.row(5)["members"][2]["offset"] + 40)
    opened.read(4)
    opened.read(5, ("image",))
    with pytest.raises(UserError, match=r"000001.tar: drive1_000005.label.png is not what was written"):
        opened.read(5)


def test_verify_finds_what_no_sample_shows(copy):
    ShardSet.open(copy).verify()
    flip_byte(copy / "000000.tar", 0)  # a name in a tar header
    with pytest.raises(UserError, match="1 shards are not what was written(.|\n)*000000.tar"):
        ShardSet.open(copy).verify()


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": 1}', '{"format": 99}'])
def test_a_damaged_description_is_a_sentence(copy, damage):
    (copy / "set.json").write_text(damage)
    with pytest.raises(UserError, match="set.json"):
        ShardSet.open(copy)


def test_no_set_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match="there is no shard set at .*run the stage"):
        ShardSet.open(tmp_path / "nothing")


def test_pictures_and_labels_join(make, opened, tmp_path):
    def only(*parts):
        def made(i):
            sample = make(i)
            return Sample(sample.key, **{part: getattr(sample, part) for part in parts}, meta=sample.meta)

        return made

    sets = []
    for name, parts, count in (("pictures", ("image",), 5), ("labels", ("label",), 5), ("fewer", ("label",), 4)):
        settings = ShardSettings(image_format="png")
        write_shards(
            only(*parts), range(count), tmp_path / name, classes="cityscapes19", split="train", settings=settings
        )
        sets.append(ShardSet.open(tmp_path / name))
    joined = Joined(sets[0], sets[1])
    assert len(joined) == 5 and set(joined.parts) == {"image", "label", "meta"}
    for parts in (None, ("image", "label")):
        sample = joined.read(3, parts)
        np.testing.assert_array_equal(sample.image, make(3).image)
        np.testing.assert_array_equal(sample.label, make(3).label)
    assert joined.read(3, ("label",)).image is None
    with pytest.raises(UserError, match="hold different pictures"):
        Joined(sets[0], sets[2])
