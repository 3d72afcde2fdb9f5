"""Sheets that show what a translator with style does with it: many codes for one label map, one style on many."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch

from pipeline.classes import TABLES
from pipeline.engine.model import Model
from pipeline.judging import spread_out
from pipeline.sample import Sample
from pipeline.shards.index import ShardSet
from pipeline.translation import drawn, style_code, takes_style


def style_sheets(model: Model, shards: ShardSet, rows: int = 4, columns: int = 5) -> Iterator[tuple[str, np.ndarray]]:
    """ "codes" and "styles", each a sheet with `rows` label maps on the left; nothing where the model has no style.

    codes: a column for each of a few codes from the prior. styles: a column for each of a few real pictures, which stand
    above, drawn with their codes.
    """
    if not takes_style(model):
        return
    G: Any = model.nets["G"]
    samples = [shards.read(i) for i in spread_out(len(shards), rows)]
    maps = [_painted(sample, shards.classes) for sample in samples]
    pictures = [_fitted(shards.read(i, ("image",)).image, maps[0]) for i in spread_out(len(shards), columns)]
    prior = torch.randn(columns, 1, G.z_dim, generator=torch.Generator().manual_seed(0))
    theirs = [style_code(model, picture) for picture in pictures]
    for name, codes, above in (("codes", prior, []), ("styles", theirs, [[np.full_like(maps[0], 255), *pictures]])):
        below = [[left, *(drawn(model, s, z) for z in codes)] for left, s in zip(maps, samples, strict=True)]
        yield name, _sheet([*above, *below])


def _painted(sample: Sample, classes: str) -> np.ndarray:
    assert sample.label is not None
    return TABLES[classes].paint(sample.label)


def _fitted(picture: np.ndarray | None, like: np.ndarray) -> np.ndarray:
    assert picture is not None
    return cv2.resize(picture, (like.shape[1], like.shape[0]), interpolation=cv2.INTER_AREA)


def _sheet(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Rows of pictures -> one; all are brought to the first one's size."""
    return np.vstack([np.hstack([_fitted(picture, rows[0][0]) for picture in row]) for row in rows])
