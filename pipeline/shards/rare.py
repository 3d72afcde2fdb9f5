"""Rare-class sampling: first a class, the rarer the likelier, then a picture that shows it (DAFormer, Hoyer et al. 2022).

The pixels of each class come from the set's index, so nothing is read but what is drawn.
"""

import numpy as np

from pipeline.shards.order import Order, uniforms

SHOWN = 0.003  # share of a picture that shows a class; published: 3000 pixels of 1280 x 760


def class_probabilities(pixels: np.ndarray, temperature: float) -> np.ndarray:
    """P(c) = softmax of (1 - share of c) / temperature over the classes that occur, 0 for others (eq. 3 and 4).

    pixels: those of each class in the whole set, (classes,). The lower the temperature, the more go to the rarest.
    """
    share = pixels / max(pixels.sum(), 1)
    rarest = share[pixels > 0].min(initial=1.0)
    weight = np.where(pixels > 0, np.exp((rarest - share) / temperature), 0.0)
    return weight / max(weight.sum(), 1e-12)


def rare_first(histograms: np.ndarray, seed: int, temperature: float, stream: str = "source") -> Order:
    """The order for a set with `histograms` as ShardSet gives them: (samples, classes + 1), ignored pixels last.

    A class that no picture shows enough of is drawn from all that have any of it; a set without any label from all.
    """
    counts, area = histograms[:, :-1], histograms.sum(1)
    chance = class_probabilities(counts.sum(0), temperature)
    classes = np.flatnonzero(chance)
    edges = np.cumsum(chance[classes])
    showing = [_showing(counts[:, c], area) for c in classes] or [np.arange(len(counts))]

    def order(positions: np.ndarray) -> np.ndarray:
        which, place = uniforms(seed, f"rare/{stream}", positions, 2).T
        drawn = np.minimum(np.searchsorted(edges, which, side="right"), len(showing) - 1)
        return np.array([showing[c][int(p * len(showing[c]))] for c, p in zip(drawn, place, strict=True)], np.int64)

    return order


def _showing(pixels: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Indices of the pictures that show a class."""
    enough = np.flatnonzero(pixels >= SHOWN * area.clip(1))
    return enough if len(enough) else np.flatnonzero(pixels)
