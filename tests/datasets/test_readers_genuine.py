"""Readers on genuine files, where SIM2STREET_DATA names a folder that has them."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets import open_dataset
from pipeline.datasets.flow_pairs import find_pairs
from pipeline.datasets.ucsd_ped import disagreement
from pipeline.files import UserError

Genuine = Callable[[str], Path]


def test_camvid(genuine: Genuine) -> None:
    data = open_dataset("camvid", genuine("camvid/camvid.tar"))
    assert data.counts() == {"train": 312, "dev": 55, "val": 101}
    drives = {item.sequence: 0 for item in data.items()}
    for item in data.items("dev"):
        drives[item.sequence] += 1
    assert drives == {"0001TP": 9, "0006R0": 15, "0016E5": 31}
    total = np.zeros(256, np.int64)
    for item in [*data.items("train"), *data.items("dev")]:
        sample = data.read(item, {"label"})
        assert sample.label is not None and sample.label.shape == (240, 320)
        total += np.bincount(sample.label.ravel(), minlength=256)
    share = np.round(100 * total / total.sum(), 1)
    assert share[:11].tolist() == [16.9, 23.3, 1.0, 31.5, 4.5, 9.7, 1.2, 1.1, 5.9, 0.6, 0.3] and share[255] == 3.9


def test_synthia_seqs(genuine: Genuine) -> None:
    """The 16-bit file: read by Pillow it is all zeros, read rightly it has nine classes and eight cars."""
    archive = genuine("synthia_samples/synthia_samples.tar")
    data = open_dataset("synthia", archive, table="seqs", labels="raw16", dev_share=0.0)
    (item,) = data.items()
    sample = data.read(item, {"image", "label", "instance"})
    assert sample.image is not None and sample.image.shape == (760, 1280, 3)
    assert sample.label is not None and sample.instance is not None
    assert sorted(np.unique(sample.label)) == [0, 2, 4, 5, 7, 8, 10, 13, 255]
    assert sorted(np.unique(sample.instance)) == [0, 193, 194, 196, 197, 198, 201, 204, 205]
    assert set(np.unique(sample.label[sample.instance > 0])) == {13}
    with Image.open(io.BytesIO(item.files["label"].read())) as picture:
        assert np.asarray(picture).max() == 0  # the trap
    with pytest.raises(UserError, match="is 16-bit, but labels: parsed_ids means 8-bit"):
        other = open_dataset("synthia", archive, table="seqs", labels="parsed_ids")
        other.read(other.items()[0], {"label"})
    with pytest.raises(UserError, match="has no labels"):
        open_dataset("synthia", archive, table="seqs", labels="raw16", label_folder="GT/COLOR")


def test_cityscapes_full_and_reduced(genuine: Genuine) -> None:
    archive = genuine("cityscapes_samples/cityscapes_samples.tar")
    with pytest.raises(UserError, match=r"several folders \('cityscapes_512x256', 'cityscapes_full'\)"):
        open_dataset("cityscapes", archive)
    full = open_dataset("cityscapes", archive, inside="cityscapes_full", dev_share=0.0)
    small = open_dataset("cityscapes", archive, inside="cityscapes_512x256")
    assert small.counts() == {"train": 7, "dev": 1} and small.check(("image", "label", "instance"))["stray"] == 15
    parts = {"image", "label", "instance"}
    big, little = (data.read(data.items("train")[0], parts) for data in (full, small))
    assert big.key == little.key == "aachen_000000_000019"
    assert big.label is not None and little.label is not None and big.instance is not None
    assert big.label.shape == (1024, 2048) and little.label.shape == (256, 512)
    assert sorted(np.unique(big.label)) == [0, 1, 2, 5, 7, 8, 9, 10, 11, 12, 13, 18, 255]
    assert (big.label[2::4, 2::4] == little.label).mean() > 0.97
    assert set(np.unique(big.label[big.instance // 1000 == 26])) == {13}


def test_kitti(genuine: Genuine) -> None:
    data = open_dataset("kitti", genuine("kitti_semantics_samples/kitti_semantics_samples.tar"), dev_share=0.0)
    (item,) = data.items()
    sample = data.read(item, {"image", "label", "instance"})
    assert sample.image is not None and sample.image.shape == (375, 1242, 3)
    assert sample.label is not None and sample.instance is not None
    assert (sample.label[sample.instance // 256 == 26] == 13).all() and (sample.instance // 256 == 26).any()


def test_idd_lite(genuine: Genuine) -> None:
    data = open_dataset("idd_lite", genuine("idd_lite/idd_lite_train.tar"))
    assert sum(data.counts().values()) == 220 and len({item.sequence for item in data.items()}) == 174
    total = np.zeros(256, np.int64)
    for item in data.items():
        label = data.read(item, {"label"}).label
        assert label is not None
        total += np.bincount(label.ravel(), minlength=256)
    assert np.round(100 * total / total.sum(), 1)[:7].tolist() == [32.6, 2.1, 1.2, 7.6, 11.1, 26.2, 19.1]
    item = data.items("train")[0]
    assert data.read(item, {"image", "label"}).meta["size"] == [227, 320]


def test_drives_without_truth(genuine: Genuine) -> None:
    kitti = open_dataset("sequences", genuine("flow/kitti_sequences.tar"), dev_share=0.0)
    assert {i.sequence for i in kitti.items()} == {"KITTI_sequence_1/image_l", "KITTI_sequence_2/image_l"}
    assert len(kitti.items()) == 102
    highway = open_dataset("sequences", genuine("flow/highway_sequence.tar"), dev_share=0.0)
    assert len(highway.items()) == 60 and highway.items()[0].sequence == "highway"


def test_flow_pairs(genuine: Genuine) -> None:
    pairs = {pair.name: pair for pair in find_pairs(genuine("flow/flow_pairs.tar"))}
    assert sorted(pairs) == ["kitti_000000", "middlebury_RubberWhale"]
    first, _, (flow, valid) = pairs["middlebury_RubberWhale"].read()
    assert first.shape == (388, 584, 3) and (~valid).sum() == 3622
    assert np.abs(flow).max() == pytest.approx(4.58, abs=0.01)
    _, _, (flow, valid) = pairs["kitti_000000"].read()
    assert valid.mean() == pytest.approx(0.162, abs=0.001)
    assert round(float(flow[..., 0].min())) == -184 and round(float(flow[..., 1].max())) == 53


def test_facades(genuine: Genuine) -> None:
    data = open_dataset("pairs", genuine("facades/facades.tar"), layout="side_by_side")
    assert data.counts() == {"train": 100, "test": 53, "val": 30}
    sample = data.read(data.items("train")[0], {"image", "paired"})
    assert sample.image is not None and sample.paired is not None
    assert sample.image.shape == sample.paired.shape == (256, 256, 3)
    photo, drawing = (np.ptp(half.astype(int), axis=-1).mean() for half in (sample.image, sample.paired))
    assert photo < 50 and drawing > 150  # the drawing is in pure colours


def test_ped2(genuine: Genuine) -> None:
    data = open_dataset("ucsd_ped", genuine("ped2/ped2.tar"), dev_share=0.0)
    assert data.counts() == {"train": 2550, "test": 1020} and not data.stray
    assert data.check(("image", "label"), "test")["parts"] == {"image": 1020, "label": 1020}
    test = data.items("test")
    clips = [len({item.sequence for item in data.items(split)}) for split in ("train", "test")]
    assert clips == [16, 6] and sum(item.meta["abnormal"] for item in test) == 790
    assert [item.key for item in test if item.key.startswith("Test006") and not item.meta["abnormal"]][
        0
    ] == "Test006_160"
    edges = [i for i, (a, b) in enumerate(zip(test, test[1:], strict=False)) if a.meta != b.meta]
    for item in [test[i + step] for i in edges for step in (0, 1)]:  # where an interval begins or ends
        sample = data.read(item, ("image", "label"))
        assert sample.image is not None and sample.image.shape == (240, 360, 3) and disagreement(sample) is None


def test_mnist(genuine: Genuine) -> None:
    data = open_dataset("idx", genuine("mnist"))
    assert data.counts() == {"train": 8500, "dev": 1500, "test": 10000}
    test = data.items("test")
    assert [item.meta["category"] for item in test[:5]] == [7, 2, 1, 0, 4]
    counts = np.bincount([item.meta["category"] for item in test])
    assert counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # as published
    sample = data.read(test[0])
    assert sample.image is not None and sample.image.shape == (28, 28, 3) and not sample.image[:4].any()


def test_pneumoniamnist(genuine: Genuine) -> None:
    data = open_dataset("npz", genuine("pneumoniamnist/pneumoniamnist.npz"), dev_share=0.0)
    assert data.counts() == {"train": 2419, "val": 524}
    for split, counts in (("train", [1213, 1206]), ("val", [135, 389])):
        assert np.bincount([item.meta["category"] for item in data.items(split)]).tolist() == counts
    sample = data.read(data.items("val")[-1])
    assert sample.image is not None and sample.image.shape == (28, 28, 3) and sample.image.std() > 10
