"""Judging pictures drawn from label maps: what a segmenter finds of the labels, and how near they come to real ones."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import nn

from pipeline.classes import TABLES
from pipeline.engine.model import Model
from pipeline.files import progress
from pipeline.judging import check_count, descriptor, likeness, spread_out
from pipeline.metrics import distribution
from pipeline.metrics.paired import means
from pipeline.metrics.segmentation import class_accuracy, confusion, iou, mean, pixel_accuracy
from pipeline.nets.perceptual import FeatureNet
from pipeline.scoring import predictor
from pipeline.shards.index import ShardSet
from pipeline.translation import drawn


def judge(
    model: Model, oracle: Model, shards: ShardSet, net: FeatureNet, lpips: nn.Module | None, most: int
) -> dict[str, Any]:
    """Scores of at most `most` pictures drawn from the labels of `shards`.

    fcn: mIoU, pixel and class accuracy of the oracle on the drawn pictures; fcn_real: the same on the real ones, the
    ceiling. distances: between the drawn and the real pictures as sets. pairs: means over pictures of the L1 distance (in
    [-1, 1]), PSNR in dB, SSIM, the feature distance and, given its net, LPIPS; a good picture of other colours scores badly there.
    """
    check_count(shards)
    predict_one, n = predictor(oracle, shards.classes), len(TABLES[shards.classes])
    totals = {name: np.zeros((n, n), np.int64) for name in ("fcn", "fcn_real")}
    features: dict[str, list[np.ndarray]] = {"drawn": [], "real": []}
    pairs = []
    places = spread_out(len(shards), most)
    for i in progress(places, f"generation by {model.name}"):
        sample = shards.read(i)
        assert sample.image is not None and sample.label is not None
        real, picture = sample.image, drawn(model, sample)
        totals["fcn"] += confusion(predict_one(picture), sample.label, n)
        totals["fcn_real"] += confusion(predict_one(real), sample.label, n)
        features["drawn"].append(descriptor(net, picture))
        features["real"].append(descriptor(net, real))
        pairs.append(likeness(net, picture, real, lpips))
    return {
        "pictures": len(places),
        **{name: _scores(total) for name, total in totals.items()},
        "distances": distribution.distances(np.stack(features["drawn"]), np.stack(features["real"]), net.name),
        "pairs": means(pairs),
    }


def _scores(total: np.ndarray) -> dict[str, float | None]:
    return {
        "miou": mean(iou(total)), "pixel_accuracy": pixel_accuracy(total), "class_accuracy": mean(class_accuracy(total)),
    }  # fmt: skip


def gallery(model: Model, shards: ShardSet, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Keys and drawn pictures of `count` samples, evenly over the set."""
    for i in spread_out(len(shards), count) if count else ():
        sample = shards.read(i)
        yield sample.key, drawn(model, sample)
