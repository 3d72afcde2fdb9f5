"""What the embedded world writes comes back through the readers as what it rendered."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets import open_dataset
from pipeline.world.frame import render
from pipeline.world.settings import Sequences, WorldSettings
from pipeline.world.writers import FIRST, write_part

SIZE = (64, 96)
SETTINGS = WorldSettings(size=SIZE, source=2, target_train=2, target_val=1, sequences=Sequences(count=1, length=2))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    for part in ("source", "target", "perfect", "sequences"):
        write_part(part, root / part, SETTINGS)
    return root


def test_source_comes_back_exactly(world: Path) -> None:
    data = open_dataset("synthia", world / "source", table="rand_cityscapes", labels="raw16", dev_share=0.0)
    sample = data.read(data.items()[1], {"image", "label", "instance", "depth"})
    frame = render(0, "source", 1, SIZE, flow=False)
    assert np.array_equal(sample.image, frame.image) and np.array_equal(sample.label, frame.label)
    assert np.array_equal(sample.instance, frame.instance)
    assert sample.depth is not None and np.array_equal(np.isinf(sample.depth), frame.depth > 655.345)
    near = frame.depth < 655
    assert np.abs(sample.depth[near] - frame.depth[near]).max() <= 0.0051  # half a centimetre
    perfect = open_dataset("folder", world / "perfect", dev_share=0.0)
    assert [item.key for item in perfect.items()] == [item.key for item in data.items()]


def test_target_comes_back_exactly(world: Path) -> None:
    data = open_dataset("cityscapes", world / "target")
    assert data.counts() == {"train": 1, "dev": 1, "val": 1}
    sample = data.read(data.items("val")[0], {"image", "label", "instance"})
    frame = render(0, "target", FIRST["val"], SIZE, flow=False)
    assert np.array_equal(sample.image, frame.image) and np.array_equal(sample.label, frame.label)
    assert sample.instance is not None
    assert np.array_equal(sample.instance >= 1000, (frame.instance > 0) & (frame.label >= 11))


def test_sequences_come_back_with_their_flow(world: Path) -> None:
    data = open_dataset("sequences", world / "sequences", dev_share=0.0)
    assert [item.sequence for item in data.items()] == ["source/000000"] * 2 + ["target/000000"] * 2
    first, second = data.items()[:2]
    frame = render(0, "source", FIRST["sequences"], SIZE, 0)
    sample = data.read(first, {"image", "label", "flow"})
    assert np.array_equal(sample.image, frame.image) and np.array_equal(sample.label, frame.label)
    assert sample.flow is not None and frame.flow is not None
    flow, valid = sample.flow
    assert np.array_equal(valid, frame.flow[1])
    assert np.abs(flow - frame.flow[0])[valid].max() <= 1 / 128 + 1e-6
    assert "flow" not in second.files and "flow_back" in second.files and "flow_back" not in first.files
