"""Judging a translator by its pictures: how near they come to the target's, how well they keep their labels, and, on
the embedded world, how far they are from the exact translation."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.classes import TABLES
from pipeline.engine.model import Model
from pipeline.files import UserError, progress
from pipeline.metrics import distribution
from pipeline.metrics.paired import feature_distance, figures, means, psnr, ssim
from pipeline.metrics.segmentation import confusion, iou, mean, pixel_accuracy
from pipeline.nets.perceptual import FeatureNet, feature_net
from pipeline.scoring import predict
from pipeline.shards.index import ShardSet
from pipeline.translation import to_tensor

WORST = 20


def spread_out(count: int, most: int) -> list[int]:
    """At most `most` indices, evenly over 0 .. count - 1."""
    return sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))


def _pictures(shards: ShardSet, most: int, label: str) -> Iterator[np.ndarray]:
    for i in progress(spread_out(len(shards), most), label):
        image = shards.read(i, ("image",)).image
        assert image is not None
        yield image


def check_count(shards: ShardSet, what: str = "picture", hint: str = "") -> None:
    """Distances between sets need two of each."""
    if len(shards) < 2:
        raise UserError(f"{shards.path} holds one {what}; distances need two or more{hint}")


def descriptors(net: FeatureNet, shards: ShardSet, most: int) -> np.ndarray:
    """Pooled features, float64 (n, D), of at most `most` pictures."""
    return np.stack([descriptor(net, picture) for picture in _pictures(shards, most, str(shards.path))])


def descriptor(net: FeatureNet, picture: np.ndarray) -> np.ndarray:
    """Pooled features of a picture uint8 (H, W, 3): float64 (D,)."""
    with torch.inference_mode():
        image = to_tensor(picture, next(net.parameters()).device)
        return net.descriptor(image)[0].double().cpu().numpy()


def likeness(
    net: FeatureNet, picture: np.ndarray, truth: np.ndarray, lpips: nn.Module | None = None
) -> dict[str, float]:
    """How near a picture uint8 (H, W, 3) comes to the one that it should be; see `metrics.paired.figures`."""
    with torch.inference_mode():
        device = next(net.parameters()).device
        return figures(net, to_tensor(picture, device), to_tensor(truth, device), lpips)


def distances(translated: ShardSet, target: ShardSet, net: FeatureNet, most: int) -> dict[str, float]:
    """Frechet and kernel distance between translated and target pictures; the names carry network and counts."""
    check_count(translated)
    check_count(target)
    return distribution.distances(descriptors(net, translated, most), descriptors(net, target, most), net.name)


def preservation(judge: Model, source: ShardSet, translated: ShardSet, most: int) -> dict[str, Any]:
    """What a segmenter trained on the source sees in original and translated pictures, against the labels.

    miou and pixel_accuracy on the translated pictures, the same on the originals beside them, and the worst pictures:
    [key, pixel accuracy].
    """
    classes = judge.classes
    totals = {
        "translated": np.zeros((len(classes),) * 2, np.int64),
        "original": np.zeros((len(classes),) * 2, np.int64),
    }
    single = []
    for i in progress(spread_out(len(source), most), "label preservation"):
        original, changed = source.read(i, ("image", "label")), translated.read(i, ("image",))
        if original.key != changed.key:
            raise UserError(f"{translated.path} does not hold the source's samples; translate again (dvc repro)")
        assert original.image is not None and original.label is not None and changed.image is not None
        own = confusion(predict(judge, changed.image), original.label, len(classes))
        totals["translated"] += own
        totals["original"] += confusion(predict(judge, original.image), original.label, len(classes))
        single.append([original.key, pixel_accuracy(own)])
    worst = sorted((row for row in single if row[1] is not None), key=lambda row: (row[1], row[0]))[:WORST]
    seen = {name: {"miou": mean(iou(total)), "pixel_accuracy": pixel_accuracy(total)} for name, total in totals.items()}
    return {**seen["translated"], "original": seen["original"], "classes": TABLES[classes.name].name, "worst": worst}


def exactness(translated: ShardSet, perfect: ShardSet, network: str, file: str | None, most: int) -> dict[str, Any]:
    """PSNR (dB), SSIM and feature distance (sum over layers of mean absolute differences) to the exact translation."""
    net, rows = feature_net(network, file), []
    named: dict[str, Callable[..., torch.Tensor]] = {
        "psnr": psnr,
        "ssim": ssim,
        f"feature_distance_{network}": partial(feature_distance, net),
    }
    with torch.inference_mode():
        for i in progress(spread_out(len(perfect), most), "exactness"):
            ours, exact = translated.read(i, ("image",)), perfect.read(i, ("image",))
            if ours.key != exact.key:
                raise UserError(
                    f"{translated.path} and {perfect.path} hold different samples; translate both again (dvc repro)"
                )
            a, b = to_tensor(ours.image), to_tensor(exact.image)  # type: ignore[arg-type]
            rows.append({name: float(figure(a, b)) for name, figure in named.items()})
    return {"pictures": len(rows), **means(rows)}
