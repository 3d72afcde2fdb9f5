"""What holds for every input, tried on inputs that hypothesis makes up; the same ones every time."""

import copy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from benchmarks import fuzz_seeds
from pipeline.classes import TABLES
from pipeline.datasets import open_dataset
from pipeline.files import UserError, decode_image, encode_png
from pipeline.planes import look_up, plane8
from pipeline.presets import _overlay
from pipeline.sample import FLOW_STEPS, Sample, decode, decode_depth, decode_flow, encode, encode_depth, encode_flow
from pipeline.shards.index import ShardSet
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards
from pipeline.tracking.outputs import flatten

few = settings(max_examples=40, derandomize=True, deadline=None, database=None)
fewer = settings(few, max_examples=8)
sizes = some.tuples(some.integers(1, 9), some.integers(1, 9))
keys = some.text(some.characters(blacklist_categories=["C", "Z"], blacklist_characters="./"), min_size=1, max_size=20)
json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@few
@given(arrays(np.uint16, sizes))
def test_stored_depth_comes_back(centimetres):
    assert (encode_depth(decode_depth(centimetres)) == centimetres).all()


@few
@given(arrays(np.float32, sizes, elements=some.floats(0, 1e6, width=32)))
def test_depth_is_right_to_half_a_centimetre(metres):
    got = decode_depth(encode_depth(metres))
    assert np.isinf(got[metres > 655.4]).all()
    near = metres < 655.3
    assert np.abs(got[near] - metres[near]).max(initial=0) <= 0.0051


@few
@given(sizes.flatmap(lambda size: arrays(np.float32, (*size, 2), elements=some.floats(-2000, 2000, width=32))))
def test_flow_is_right_to_half_a_step_or_invalid(flow):
    got, valid = decode_flow(encode_flow(flow, np.ones(flow.shape[:2], bool)))
    assert (valid == (np.abs(flow) < 511.98).all(-1))[(np.abs(np.abs(flow) - 512) > 0.1).all(-1)].all()
    assert np.abs(got - flow)[valid].max(initial=0) <= 0.5 / FLOW_STEPS
    assert not got[~valid].any()


@few
@given(some.sampled_from([np.uint8, np.uint16]).flatmap(lambda kind: arrays(kind, sizes)))
def test_planes_come_back_from_png(plane):
    got = decode_image(encode_png(plane), "a.png", kind="unchanged")
    assert got.dtype == plane.dtype and (got == plane).all()


@few
@given(arrays(np.uint8, sizes), some.frozensets(some.integers(0, 255), min_size=1))
def test_ids_are_looked_up_or_named(ids, known):
    table = np.random.RandomState(0).permutation(256).astype(np.uint8)
    unknown = sorted(set(ids.ravel().tolist()) - known)
    if not unknown:
        assert (look_up(ids, table, known, "a.png") == table[ids]).all()
        return
    with pytest.raises(UserError, match=f"holds unknown ids: {', '.join(map(str, unknown[:12]))}"):
        look_up(ids, table, known, "a.png")


blocks = some.fixed_dictionaries({"x": some.integers(), "y": some.fixed_dictionaries({"z": some.integers()})})
changes = some.fixed_dictionaries(
    {}, optional={"x": some.integers(), "y": some.fixed_dictionaries({}, optional={"z": some.integers()})}
)


@few
@given(blocks, changes, some.sampled_from(["x", "y", "yy"]))
def test_a_preset_changes_what_it_names_and_nothing_else(block, change, name):
    content = {"a": copy.deepcopy(block)}
    _overlay(content, {"a": change}, "own", "")
    named = {key: value for key, value in flatten({"a": change}).items() if value != {}}
    assert flatten(content) == flatten({"a": block}) | named
    with pytest.raises(UserError, match=f"'a.{name}n' is unknown"):
        _overlay(content, {"a": {f"{name}n": 1}}, "own", "")


@fewer
@given(
    some.lists(some.tuples(keys, arrays(np.uint8, (3, 4)), some.dictionaries(some.text(max_size=5), json_values, max_size=3)),
               min_size=1, max_size=4, unique_by=lambda one: one[0]),
    some.integers(1, 3),
)  # fmt: skip
def test_shards_hold_what_was_written(made, per_shard):
    """Keys and what is known of a picture in any script; the order stays."""
    known = len(TABLES["cityscapes19"])

    def make(one: Any) -> Sample:
        key, picture, meta = one
        return Sample(key, image=np.stack([picture] * 3, -1), label=picture % known, meta={"own": meta})

    with TemporaryDirectory() as folder:
        own = ShardSettings(image_format="png", samples_per_shard=per_shard)
        write_shards(make, made, Path(folder) / "set", classes="cityscapes19", split="train", settings=own)
        opened = ShardSet.open(Path(folder) / "set")
        opened.verify()
        assert opened.keys == [key for key, _, _ in made]
        for i, one in enumerate(made):
            got, truth = opened.read(i), make(one)
            assert (got.image == truth.image).all() and (got.label == truth.label).all()
            assert got.meta["own"] == truth.meta["own"]


# -- damaged bytes ------------------------------------------------------------------------------------------------

damages = some.lists(some.tuples(some.integers(0, 2**16), some.integers(0, 255)), max_size=4)


def damaged(data: bytes, damage: list[tuple[int, int]], cut: int) -> bytes:
    """Some bytes changed, some cut away at the end; the check sums of a PNG are right again."""
    out = bytearray(data)
    for place, value in damage:
        out[place % len(out)] = value
    return fuzz_seeds.mended_png(bytes(out[: len(out) - cut % (len(out) + 1)]))


@cache
def world(layout: str) -> dict[str, bytes]:
    return fuzz_seeds.worlds()[layout]


@pytest.mark.parametrize("layout", sorted(fuzz_seeds.worlds()))
@fewer
@given(some.data())
def test_a_damaged_file_of_any_layout_ends_in_a_sentence(layout, data):
    with TemporaryDirectory() as folder:
        hostile = data.draw(some.sampled_from(sorted(world(layout))))
        for name, content in world(layout).items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(
                damaged(content, data.draw(damages), data.draw(some.integers(0, 9))) if name == hostile else content
            )
        try:
            dataset = open_dataset(layout, folder, **fuzz_seeds.LAYOUT_OPTIONS.get(layout, {}))
            for item in dataset.all_items:
                dataset.read(item, [part for part in item.files if part in dataset.read.decoders])
        except UserError as error:
            assert str(error).strip()


@few
@given(some.sampled_from(fuzz_seeds.pictures()), damages, some.integers(0, 9))
def test_a_damaged_picture_ends_in_a_sentence(picture, damage, cut):
    for read in (lambda data: decode_image(data, "a.png", kind="unchanged"), lambda data: plane8(data, "a.png")):
        try:
            assert read(damaged(picture, damage, cut)).size
        except UserError as error:
            assert str(error).startswith("a.png")


@few
@given(damages, some.integers(0, 9))
def test_a_damaged_sample_ends_in_a_sentence(damage, cut):
    whole = Sample(
        "a", image=fuzz_seeds.RGB, label=fuzz_seeds.GREY, depth=np.ones((3, 4), np.float32), meta={"frame": 1}
    )
    for name, data in encode(whole, "png").items():
        try:
            decode("a", {name: damaged(data, damage, cut)})
        except UserError as error:
            assert "a." in str(error) or "a:" in str(error)
