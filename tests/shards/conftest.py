"""Small sets of samples with every part, and shards made of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.sample import Sample
from pipeline.shards.index import ShardSet
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards

HEIGHT, WIDTH = 24, 40


@pytest.fixture(scope="session")
def make() -> Callable[[int], Sample]:
    """Item i -> sample i: 24 x 40 pixels, all parts."""
    height, width = HEIGHT, WIDTH

    def one(i: int) -> Sample:  # nested, so that worker processes get it by value
        draw = np.random.default_rng(i)
        depth = draw.integers(100, 9000, (height, width)).astype(np.float32) / 100
        depth[:3] = np.inf
        flow = draw.integers(-640, 640, (height, width, 2)).astype(np.float32) / 64
        valid = draw.random((height, width)) < 0.9
        flow[~valid] = 0
        return Sample(
            f"drive{i // 4}_{i:06d}",
            image=draw.integers(0, 256, (height, width, 3), dtype=np.uint8),
            paired=draw.integers(0, 256, (height, width, 3), dtype=np.uint8),
            label=draw.choice([0, 3, 10, 18, 255], (height, width)).astype(np.uint8),
            instance=draw.integers(0, 3000, (height, width)).astype(np.uint16),
            depth=depth,
            flow=(flow, valid),
            meta={"sequence": f"drive{i // 4}", "frame": i},
        )

    return one


@pytest.fixture(scope="session")
def written(make: Callable[[int], Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 11 lossless samples in shards of 4; never changed by a test."""
    out = tmp_path_factory.mktemp("shards") / "set"
    settings = ShardSettings(samples_per_shard=4, image_format="png")
    write_shards(make, range(11), out, classes="cityscapes19", split="train", settings=settings)
    return out


@pytest.fixture
def opened(written: Path) -> ShardSet:
    return ShardSet.open(written)


@pytest.fixture(scope="session")
def folder_bytes() -> Callable[[Path], dict[str, bytes]]:
    """A folder's files and their content."""
    return lambda folder: {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
