"""Aligned pairs: both layouts, splits, and what is wrong with a folder in a sentence."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets import Dataset, open_dataset
from pipeline.files import UserError
from pipeline.world.frame import render
from pipeline.world.settings import WorldSettings
from pipeline.world.writers import FIRST, write_part

Put = Callable[..., Path]
BOTH = np.concatenate([np.full((8, 6, 3), 10, np.uint8), np.full((8, 6, 3), 200, np.uint8)], 1)


def folders(root: Path, **options: object) -> Dataset:
    return open_dataset("pairs", root, layout="folders", **options)


@pytest.mark.parametrize(("half", "values"), [("left", (10, 200)), ("right", (200, 10))])
def test_halves_of_one_picture(put: Put, tmp_path: Path, half: str, values: tuple[int, int]) -> None:
    for name in ("train/1", "train/2", "val/1", "test/1"):
        put(f"facades/{name}.png", BOTH)
    data = open_dataset("pairs", tmp_path, layout="side_by_side", image_half=half)
    assert data.counts() == {"train": 2, "test": 1, "val": 1}
    sample = data.read(data.items("val")[0], ("image", "paired"))
    assert sample.key == "val_1" and sample.image.shape == sample.paired.shape == (8, 6, 3)
    assert (sample.image.mean(), sample.paired.mean()) == values


def test_partners_in_two_folders_have_the_same_name_whatever_their_ending(put: Put, tmp_path: Path) -> None:
    for number in (1, 2, 10):
        put(f"day/frame.{number}.png", np.full((8, 12, 3), number, np.uint8))
        put(f"night/frame.{number}.jpg", np.full((8, 12, 3), 200, np.uint8))
    data = folders(tmp_path, val_share=0.34)
    assert [(item.key, item.split) for item in data.items()] == [
        ("frame_1", "train"), ("frame_2", "train"), ("frame_10", "val"),
    ]  # fmt: skip
    sample = data.read(data.items("val")[0], ("image", "paired"))
    assert sample.image.mean() == 10 and sample.paired.mean() == 200
    turned = folders(tmp_path, folders=["night", "day"])
    assert turned.read(turned.items("val")[0], ("image",)).image.mean() == 200


@pytest.mark.parametrize("name", ["{split}/{folder}/a.png", "{folder}/{split}/a.png"])
def test_folders_that_are_called_train_and_val_are_the_splits(put: Put, tmp_path: Path, name: str) -> None:
    for split in ("train", "val"):
        for folder in ("day", "night"):
            put(f"set/{name.format(split=split, folder=folder)}")
    assert {item.key: item.split for item in folders(tmp_path).items()} == {"train_a": "train", "val_a": "val"}


def test_pictures_without_a_partner_are_counted_and_named(put: Put, tmp_path: Path) -> None:
    for name in ("day/1", "night/1", "day/2", "night/3", "day/4", "day/5"):
        put(f"{name}.png")
    with pytest.raises(UserError, match=r": 4 of 6 pictures have no partner .* in day/ or night/ \(.*day/2") as caught:
        folders(tmp_path)
    assert "\n" not in str(caught.value) and ", ...)" in str(caught.value)


def test_what_else_is_no_pair_is_a_sentence(put: Put, tmp_path: Path) -> None:
    put("a/day/1.png"), put("a/night/1.png", np.zeros((8, 10, 3), np.uint8))
    data = folders(tmp_path / "a")
    with pytest.raises(UserError, match=r"(?s)the sizes of 1 differ.*day/1\.png is 12 x 8.*night/1\.png is 10 x 8"):
        data.read(data.items()[0], ("image", "paired"))
    put("b/day/1.png"), put("b/day/1.jpg"), put("b/night/1.png")
    with pytest.raises(UserError, match="have the same name; take one of them away"):
        folders(tmp_path / "b")
    put("c/odd.png", np.zeros((8, 7, 3), np.uint8))
    odd = open_dataset("pairs", tmp_path / "c", layout="side_by_side")
    with pytest.raises(UserError, match=r"odd\.png is 7 pixels wide, so it has no two equal halves"):
        odd.read(odd.items()[0], ("image",))
    with pytest.raises(UserError, match="expected pairs of pictures in day/ and night/, found odd.png"):
        folders(tmp_path / "c")


def test_the_night_of_the_world_comes_back_exactly(tmp_path: Path) -> None:
    write_part("night", tmp_path / "night", WorldSettings(size=(64, 96), night=3))
    data = folders(tmp_path / "night")
    assert data.counts() == {"train": 2, "val": 1}
    sample = data.read(data.items("val")[0], ("image", "paired"))
    for part, domain in (("image", "target"), ("paired", "target_at_night")):
        frame = render(0, domain, FIRST["night"] + 2, (64, 96), flow=False)
        assert np.array_equal(getattr(sample, part), frame.image)
