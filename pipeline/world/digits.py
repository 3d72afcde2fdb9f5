"""Handwritten digits with a slant and a width that are known: what the codes of InfoGAN (Chen et al., NIPS 2016) should find.

The originals are the 1,797 digits of 8 x 8 pixels that come with scikit-learn (Alpaydin and Kaynak, Optical Recognition
of Handwritten Digits, UCI 1998). Each is enlarged smoothly and drawn as MNIST's are: 28 x 28, 20 high, bright on black,
its centre of mass in the middle.
"""

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from pipeline.files import UserError
from pipeline.world.frame import stream

SIDE, HEIGHT = 28, 20  # pixels of the picture, and of the digit in it
TESTS = 250  # originals, the last ones, of which no copy is in train
SLANT = (-0.4, 0.4)  # pixels to the right a pixel upwards, beside what the hand gave
WIDTH = (0.6, 1.2)  # times the original's
FINE = 8  # the warp starts from a picture so many times as large as the original

Split = tuple[np.ndarray, np.ndarray, np.ndarray]


def originals() -> tuple[np.ndarray, np.ndarray]:
    """uint8 (1797, 8, 8) from 0 to 16, and the digits uint8 (1797,), in the order of `sklearn.datasets.load_digits`.

    The package's file is read without the package, whose import takes seconds.
    """
    spec = find_spec("sklearn")
    file = Path((spec and spec.submodule_search_locations or ["sklearn"])[0], "datasets/data/digits.csv.gz")
    if not file.is_file():
        raise UserError(
            "the part digits is drawn from scikit-learn's digits, and that package is not there; install it"
        )
    table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1]


def copies(seed: int, count: int, split: str) -> Split:
    """`count` copies of every original of train or test: pictures uint8 (N, 28, 28), digits uint8 (N,), factors (N, 2).

    Factors are float32, slant and width, drawn for each copy alone. Copies of an original follow one another, so that
    what cuts off the end of a split cuts off originals.
    """
    pictures, digits = originals()
    chosen = range(len(digits) - TESTS) if split == "train" else range(len(digits) - TESTS, len(digits))
    low, high = zip(SLANT, WIDTH, strict=True)
    factors = np.stack([stream(seed, "digits", i, "factors").uniform(low, high, (count, 2)) for i in chosen])
    factors = factors.astype(np.float32)
    drawn = [draw(pictures[i], *own) for i, rows in zip(chosen, factors, strict=True) for own in rows]
    return np.stack(drawn), np.repeat(digits[chosen], count), factors.reshape(-1, 2)


def draw(original: np.ndarray, slant: float, width: float) -> np.ndarray:
    """uint8 (28, 28) of an original uint8 (8, 8): enlarged by cubic interpolation, sharpened, stretched, slanted."""
    large = cv2.resize(original.astype(np.float32) / 16, None, fx=FINE, fy=FINE, interpolation=cv2.INTER_CUBIC)
    ink = np.clip((large - 0.25) / 0.5, 0, 1)  # strokes with edges as steep as MNIST's
    columns, rows = np.arange(ink.shape[1]), np.arange(ink.shape[0])
    x, y = (ink.sum(0) * columns).sum() / ink.sum(), (ink.sum(1) * rows).sum() / ink.sum()
    scale = 2 * HEIGHT / len(rows)  # drawn at twice the size, then averaged
    across, along, middle = scale * width, -scale * slant, SIDE - 0.5
    matrix = np.array([[across, along, middle - across * x - along * y], [0, scale, middle - scale * y]])
    double = cv2.warpAffine(ink, matrix, (2 * SIDE, 2 * SIDE), flags=cv2.INTER_LINEAR)
    return np.rint(255 * cv2.resize(double, (SIDE, SIDE), interpolation=cv2.INTER_AREA)).astype(np.uint8)
