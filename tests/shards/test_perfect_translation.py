"""The exact pictures are scaled with the source, and refused where they are not of its scenes' size."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.files import UserError, encode_png
from pipeline.sample import Sample
from pipeline.shards.index import ShardSet
from pipeline.shards.resize import resize
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards
from pipeline.translation import rendered


@pytest.fixture
def picture(tmp_path: Path) -> np.ndarray:
    """One rendered picture of 32 x 64 pixels, in its folder."""
    made = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    (tmp_path / "perfect/RGB").mkdir(parents=True)
    (tmp_path / "perfect/RGB/a.png").write_bytes(encode_png(made))
    return made


def source(folder: Path, size: tuple[int, int], **scaled: int) -> ShardSet:
    sample = Sample("a", np.zeros((*size, 3), np.uint8), label=np.ones(size, np.uint8))
    settings = ShardSettings(image_format="png", **scaled)
    write_shards(lambda i: sample, range(1), folder / "set", classes="cityscapes19", split="train", settings=settings)
    return ShardSet.open(folder / "set")


@pytest.mark.parametrize("scaled", [{}, {"height": 16, "width": 24}])
def test_it_is_scaled_as_the_source_is(tmp_path, picture, scaled):
    shards = source(tmp_path, (32, 64), **scaled)
    sample = rendered(shards, tmp_path / "perfect", 0)
    size = (16, 24) if scaled else (32, 64)
    assert np.array_equal(sample.image, resize(Sample("a", picture), *size).image)
    assert sample.label.shape == size and sample.label.all()


@pytest.mark.parametrize("scaled", [{}, {"height": 32, "width": 64}])
def test_another_scenes_size_is_refused(tmp_path, picture, scaled):
    shards = source(tmp_path, (16, 32), **scaled)
    with pytest.raises(UserError, match=r"RGB/a\.png has another size than its source; simulate both again"):
        rendered(shards, tmp_path / "perfect", 0)
