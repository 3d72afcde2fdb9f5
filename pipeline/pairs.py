"""Judging a translator on held-out pairs, beside its untouched input: what it does not beat it has not learned."""

from typing import Any

import numpy as np
from torch import nn

from pipeline.engine.model import Model
from pipeline.files import progress
from pipeline.judging import check_count, descriptor, likeness, spread_out
from pipeline.metrics import distribution
from pipeline.metrics.paired import means
from pipeline.nets.perceptual import FeatureNet
from pipeline.sample import Sample
from pipeline.shards.index import ShardSet
from pipeline.translation import drawn

GAP = 4  # pixels between the pictures of a sheet

Triple = tuple[np.ndarray, np.ndarray, np.ndarray]


def triple(model: Model, shards: ShardSet, i: int) -> Triple:
    """What is given, what the model draws from it, and what it should have drawn: uint8 (H, W, 3) each."""
    sample, (given, wanted) = shards.read(i, ("image", "paired")), model.module.sides(model.params)
    picture = getattr(sample, given)
    return picture, drawn(model, Sample(sample.key, picture)), getattr(sample, wanted)


def judge(model: Model, shards: ShardSet, net: FeatureNet, lpips: nn.Module | None, most: int) -> dict[str, Any]:
    """Scores of at most `most` pairs of `shards`.

    pairs: means over pictures of L1 (in [-1, 1]), PSNR (dB), SSIM, feature distance and, given its net, LPIPS to the true picture.
    distances: Frechet and kernel distance between drawn and true pictures as sets. untouched: both for the input as it
    is, the floor to compare with. by_picture: [key, L1], the worst first.
    """
    places = spread_out(len(shards), most)
    check_count(shards, "pair", ", so hold out more (pairs.val_share)")
    features: dict[str, list[np.ndarray]] = {name: [] for name in ("given", "drawn", "true")}
    rows: dict[str, list[dict[str, float]]] = {"given": [], "drawn": []}
    for i in progress(places, f"pairs by {model.name}"):
        given, picture, true = triple(model, shards, i)
        for name, one in (("given", given), ("drawn", picture), ("true", true)):
            features[name].append(descriptor(net, one))
        rows["given"].append(likeness(net, given, true, lpips))
        rows["drawn"].append(likeness(net, picture, true, lpips))
    stacked = {name: np.stack(found) for name, found in features.items()}
    scores: dict[str, dict[str, Any]] = {
        name: {
            "pairs": means(rows[name]),
            "distances": distribution.distances(stacked[name], stacked["true"], net.name),
        }
        for name in rows
    }
    single: list[list[Any]] = [[shards.keys[i], row["l1"]] for i, row in zip(places, rows["drawn"], strict=True)]
    worst_first = sorted(single, key=lambda row: (-row[1], row[0]))
    return {"pictures": len(places), **scores["drawn"], "untouched": scores["given"], "by_picture": worst_first}


def sheet(triples: list[Triple]) -> np.ndarray:
    """A contact sheet, a row a triple (input, output, truth), white between: uint8 (H, W, 3)."""
    rows = [np.hstack([_framed(picture) for picture in one]) for one in triples]
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows])


def _framed(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((0, GAP), (0, GAP), (0, 0)), constant_values=255)
