"""Confusion matrix and mIoU against torchmetrics and numpy: python -m benchmarks.metrics [--size 1024 2048] [--classes 19]

Label maps of blocks, as streets are, a tenth of them void (255), and predictions that are right on 70 % of the pixels. All
three count the same pixels, are checked to give the same counts, and take turns; times are of the processor, medians of the rounds, "it : ours"
the median of the rounds' ratios. numpy is the usual way of published code: a mask, n * truth + prediction, bincount.
torchmetrics is no dependency of the project (pip install torchmetrics); without it its row says so.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import cv2
import numpy as np
import torch

from benchmarks.turns import ratio, rows, seconds, take_turns
from pipeline.metrics.segmentation import confusion, iou, mean

VOID = 255
Counted = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def draw(size: tuple[int, int], n: int) -> tuple[np.ndarray, np.ndarray]:
    """A prediction and its truth, uint8."""
    random, shape = np.random.default_rng(0), (size[1], size[0])
    coarse = [random.integers(0, n, (size[0] // pixels, size[1] // pixels), np.uint8) for pixels in (32, 8)]
    coarse[0][random.random(coarse[0].shape) < 0.1] = VOID
    truth, wrong = (cv2.resize(blocks, shape, interpolation=cv2.INTER_NEAREST) for blocks in coarse)
    right = (random.random(size) < 0.7) & (truth != VOID)
    return np.where(right, truth, wrong), truth


def bincount(prediction: np.ndarray, truth: np.ndarray, n: int) -> np.ndarray:
    known = truth < n
    return np.bincount(n * truth[known].astype(int) + prediction[known], minlength=n * n).reshape(n, n)


def torchmetrics_() -> Counted | None:
    """Its functional confusion matrix, the fastest of its ways, from the same arrays."""
    try:
        from torchmetrics.functional.classification import multiclass_confusion_matrix
    except ImportError:
        return None

    def count(prediction: np.ndarray, truth: np.ndarray, n: int) -> np.ndarray:
        tensors = (torch.from_numpy(plane) for plane in (prediction, truth))
        return multiclass_confusion_matrix(*tensors, n, ignore_index=VOID, validate_args=False).numpy()

    return count


def main(given: argparse.Namespace) -> None:
    torch.set_num_threads(given.threads)
    prediction, truth = draw(tuple(given.size), given.classes)
    found = {"ours": confusion, "numpy": bincount, "torchmetrics": torchmetrics_()}
    ways = {name: way for name, way in found.items() if way}

    def miou(way: Counted) -> object:
        return mean(iou(way(prediction, truth, given.classes)))

    for name, way in ways.items():
        assert np.array_equal(way(prediction, truth, given.classes), confusion(prediction, truth, given.classes)), name
    times = take_turns(
        {name: partial(seconds, partial(miou, way), time.process_time) for name, way in ways.items()}, given.rounds
    )
    lines = [
        [name, f"{1000 * median(times[name]):.1f}", f"{ratio(times[name], times['ours']):.2f}"]
        if name in times
        else [name, "not installed", ""]
        for name in found
    ]
    print(f"{given.size[0]}x{given.size[1]}, {given.classes} classes, {given.threads} thread(s) of torch")
    print(rows(["way", "ms", "it : ours"], lines))


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--size", type=int, nargs=2, default=(1024, 2048), metavar=("HEIGHT", "WIDTH"))
    made.add_argument("--classes", type=int, default=19)
    made.add_argument("--threads", type=int, default=1, help="of torch; ours and numpy use one")
    made.add_argument("--rounds", type=int, default=15)
    main(made.parse_args())
