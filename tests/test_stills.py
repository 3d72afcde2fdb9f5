"""Scans and digits: what is learnt from, chosen on and judged never overlaps, and nothing is lost on the way."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.settings import DigitSettings, ScanSettings
from pipeline.files import UserError
from pipeline.stills import digit_samples, scan_samples

DRAW = np.random.default_rng(0)


def write(root: Path, name: str, **labels: list[int]) -> None:
    """data/raw/NAME/a.npz with pictures for the labels of each split."""
    arrays = {f"{split}_labels": np.array(own) for split, own in labels.items()}
    arrays |= {f"{s}_images": DRAW.integers(0, 256, (len(own), 8, 8), dtype=np.uint8) for s, own in labels.items()}
    (root / name).mkdir()
    np.savez(root / name / "a.npz", **arrays)


def test_scans_are_learnt_from_where_normal_and_chosen_on_the_rest(tmp_path: Path) -> None:
    write(tmp_path, "scans", train=[3, 0, 0, 7, 0, 0, 0], val=[0, 3])
    scans = ScanSettings(name="scans", judged="val")
    made = {name: scan_samples(scans, tmp_path, name) for name in ("scans_train", "scans_dev", "scans_judged")}
    assert [item.frame for item in made["scans_train"].items] == ["00001", "00002", "00004", "00005"]
    told = [(item.frame, item.meta["abnormal"]) for item in made["scans_dev"].items]
    assert told == [("00006", False), ("00000", True), ("00003", True)]
    assert [item.meta["abnormal"] for item in made["scans_judged"].items] == [False, True]
    stored = np.load(tmp_path / "scans/a.npz")["train_images"][6]
    sample = made["scans_dev"].make(made["scans_dev"].items[0])
    assert sample.image is not None and (sample.image == stored[..., None]).all() and sample.meta["abnormal"] is False
    other = scan_samples(ScanSettings(name="scans", judged="val", normal=3), tmp_path, "scans_judged")
    assert [item.meta["abnormal"] for item in other.items] == [True, False] and other.digest != made[
        "scans_judged"
    ].digest


def test_scans_without_normal_ones_or_without_a_judged_split_are_sentences(tmp_path: Path) -> None:
    write(tmp_path, "scans", train=[1, 1, 0])
    with pytest.raises(
        UserError, match="1 pictures of category 0 in train, which holds the categories 0, 1; set scans.normal"
    ):
        scan_samples(ScanSettings(name="scans"), tmp_path, "scans_train")
    with pytest.raises(UserError, match="test"):
        scan_samples(ScanSettings(name="scans"), tmp_path, "scans_judged")


def test_digits_of_train_are_all_learnt_from(tmp_path: Path) -> None:
    write(tmp_path, "digits", train=[4, 2, 9], test=[1])
    digits = DigitSettings(name="digits")
    made = {name: digit_samples(digits, tmp_path, name) for name in ("digits_train", "digits_judged")}
    assert {name: [i.meta["category"] for i in one.items] for name, one in made.items()} == {
        "digits_train": [4, 2, 9],
        "digits_judged": [1],
    }
