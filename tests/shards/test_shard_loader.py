"""Rule of the pure order: batches depend on the seed and the step, not on ranks, threads or restarts."""

from itertools import islice

import numpy as np
import pytest
import torch

from pipeline.files import UserError
from pipeline.sample import Sample
from pipeline.shards.index import ShardSet
from pipeline.shards.loader import GlobalBatches, in_order
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards

FIELDS = ("image", "paired", "label", "instance", "depth", "flow", "flow_valid")


def steps(loader, count, start=0):
    return list(islice(loader.batches(start), count))


def same(a, b):
    for name in FIELDS:
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    return a.keys == b.keys and np.array_equal(a.positions, b.positions)


def test_a_batch_holds_what_the_design_says(make, opened):
    batch = steps(GlobalBatches({"source": opened}, 3, 0), 1)[0]["source"]
    assert len(batch) == 3 and batch.domain == "source" and batch.positions.tolist() == [0, 1, 2]
    truth = [make(opened.keys.index(key)) for key in batch.keys]
    assert batch.image.shape == (3, 3, 24, 40) and batch.image.dtype == torch.float32
    restored = ((batch.image + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(restored, np.stack([sample.image for sample in truth]))
    restored = ((batch.paired + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(restored, np.stack([sample.paired for sample in truth]))
    assert batch.label.shape == (3, 24, 40) and batch.label.dtype == batch.instance.dtype == torch.int64
    np.testing.assert_array_equal(batch.label.numpy(), np.stack([sample.label for sample in truth]))
    np.testing.assert_array_equal(batch.instance.numpy(), np.stack([sample.instance for sample in truth]))
    np.testing.assert_array_equal(batch.depth.numpy()[:, 0], np.stack([sample.depth for sample in truth]))
    np.testing.assert_array_equal(batch.flow.numpy(), np.stack([s.flow[0] for s in truth]).transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(batch.flow_valid.numpy()[:, 0], np.stack([sample.flow[1] for sample in truth]))


def test_every_key_once_an_epoch(opened):
    loader = GlobalBatches({"source": opened}, 4, 3, parts={"source": ("label",)})
    keys = [key for step in steps(loader, 11) for key in step["source"].keys]
    for epoch in range(4):
        assert sorted(keys[11 * epoch : 11 * epoch + 11]) == opened.keys
    assert keys[:11] != keys[11:22]


def test_a_batch_larger_than_the_set(opened):
    keys = steps(GlobalBatches({"source": opened}, 22, 3), 1)[0]["source"].keys
    assert sorted(keys[:11]) == sorted(keys[11:]) == opened.keys


def test_any_start_threads_and_prefetch_give_the_same_batches(opened):
    straight = steps(GlobalBatches({"source": opened, "target": opened}, 4, 1), 6)
    later = steps(GlobalBatches({"source": opened, "target": opened}, 4, 1, threads=5, ahead=1), 3, start=3)
    for one, other in zip(straight[3:], later, strict=True):
        assert same(one["source"], other["source"]) and same(one["target"], other["target"])
    assert straight[0]["source"].keys != straight[0]["target"].keys


@pytest.mark.parametrize("world", [2, 4])
def test_the_ranks_slices_make_the_global_batch(opened, world):
    whole = steps(GlobalBatches({"source": opened}, 4, 1), 4)
    ranks = [steps(GlobalBatches({"source": opened}, 4, 1, rank=r, world=world), 4) for r in range(world)]
    for k, step in enumerate(whole):
        parts = [rank[k]["source"] for rank in ranks]
        assert [key for part in parts for key in part.keys] == step["source"].keys
        assert torch.equal(torch.cat([part.image for part in parts]), step["source"].image)
        assert np.array_equal(np.concatenate([part.positions for part in parts]), step["source"].positions)


def test_only_a_few_steps_are_decoded_in_advance(opened):
    read = []

    class Counted:
        parts, size, path = opened.parts, opened.size, opened.path
        __len__ = lambda self: len(opened)  # noqa: E731

        def read(self, i, parts=None):
            read.append(i)
            return opened.read(i, parts)

    batches = GlobalBatches({"source": Counted()}, 2, 0, ahead=3).batches()
    for _ in range(5):
        next(batches)
    batches.close()
    assert 10 <= len(read) <= 2 * (5 + 3)


def test_only_the_wanted_parts_are_decoded(opened):
    batch = steps(GlobalBatches({"target": opened}, 2, 0, parts={"target": ("image",)}), 1)[0]["target"]
    assert batch.image is not None and batch.label is None and batch.depth is None and batch.flow is None
    with pytest.raises(UserError, match="has no flow_back for every sample"):
        GlobalBatches({"target": opened}, 2, 0, parts={"target": ("image", "flow_back")})


def test_waiting_is_counted(opened):
    loader = GlobalBatches({"source": opened}, 2, 0)
    steps(loader, 2)
    assert 0 < loader.waited < 5


def test_a_batch_that_ranks_cannot_share_is_a_sentence(opened):
    with pytest.raises(UserError, match="a batch of 3 cannot be split evenly over 2 ranks"):
        GlobalBatches({"source": opened}, 3, 0, world=2)


def test_a_damaged_sample_stops_training_with_its_sentence(written, tmp_path):
    import shutil

    copy = shutil.copytree(written, tmp_path / "set")
    opened = ShardSet.open(copy)
    data = bytearray((copy / "000000.tar").read_bytes())
    data[opened.row(1)["members"][0]["offset"] + 30] ^= 1
    (copy / "000000.tar").write_bytes(data)
    with pytest.raises(UserError, match="drive0_000001.image.png is not what was written"):
        steps(GlobalBatches({"source": opened}, 4, 0), 3)


def test_pictures_of_different_sizes(tmp_path):
    def make(i):
        return Sample(f"a{i}", image=np.zeros((8 + i, 8, 3), np.uint8))

    settings = ShardSettings(image_format="png")
    write_shards(make, range(3), tmp_path / "set", classes="cityscapes19", split="val", settings=settings)
    opened = ShardSet.open(tmp_path / "set")
    assert opened.size is None
    with pytest.raises(UserError, match="set differ in size; set its shard height and width"):
        GlobalBatches({"source": opened}, 2, 0)
    assert [batch.image.shape[2] for batch in in_order(opened, 1)] == [8, 9, 10]


def test_in_order_gives_every_sample_once(opened):
    batches = list(in_order(opened, 4, parts=("label",)))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    assert [key for batch in batches for key in batch.keys] == opened.keys


def test_a_thread_that_fails_in_a_way_nobody_foresaw_names_the_sample(opened, monkeypatch):
    def odd(*_: object, **__: object) -> None:
        raise ValueError("odd")

    monkeypatch.setattr("pipeline.shards.index.decode", odd)
    words = rf"^{opened.keys[0]} of .* cannot be decoded \(ValueError: odd\); delete the set and run its stage again"
    with pytest.raises(UserError, match=words):
        next(in_order(opened, 1))
