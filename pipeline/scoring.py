"""Scoring a segmenter: one confusion matrix over a split, and everything that is read off it."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from pipeline.classes import TABLES, merge_table
from pipeline.engine.model import Model
from pipeline.files import UserError
from pipeline.metrics.segmentation import confusion, scores
from pipeline.ranks import ONE, Ranks
from pipeline.sample import Sample
from pipeline.translation import to_tensor


def predict(model: Model, picture: np.ndarray) -> np.ndarray:
    """trainIds (H, W) uint8 of the model's own table for a picture (H, W, 3) uint8."""
    with torch.inference_mode():
        device = next(model.nets.parameters()).device
        return model.module.logits(model.nets, to_tensor(picture, device))[0].argmax(0).byte().cpu().numpy()


def predictor(model: Model, classes: str) -> Callable[[np.ndarray], np.ndarray]:
    """predict, merged to the classes of a data set; a UserError where the model's classes cannot be expressed in it."""
    try:
        table = merge_table(model.classes.name, classes)
    except ValueError as error:
        raise UserError(f"this model cannot be scored there: {error}") from None
    return lambda picture: table[predict(model, picture)]


def score(
    predict_one: Callable[[np.ndarray], np.ndarray], samples: Iterable[Sample], classes: str, ranks: Ranks = ONE
) -> dict[str, Any]:
    """Scores of a predictor over labelled samples of one class table, with the confusion matrix: of all ranks' samples."""
    total, pictures = np.zeros((len(TABLES[classes]),) * 2, np.int64), 0
    for sample in samples:
        assert sample.image is not None and sample.label is not None
        total += confusion(predict_one(sample.image), sample.label, len(TABLES[classes]))
        pictures += 1
    total, pictures = (sum(parts) for parts in zip(*ranks.gather((total, pictures)), strict=True))
    if not total.sum():
        raise UserError("no labelled pixel was found: every label is void, or the split has no labels")
    return {"pictures": pictures, "protocol": classes, "classes": list(TABLES[classes].names), **scores(total, classes),
            "confusion": total.tolist()}  # fmt: skip
