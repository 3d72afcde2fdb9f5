"""How far a translator turns colours: python -m benchmarks.colours cyclegan 0

The mean distance in the plane of CIELAB's a and b between source pictures and their translations, both made eight times
smaller, so that texture and grain do not count; brightness is left out. The exact translation beside it, where it was run,
is how far the other domain's colours really are. Behind it the share of coloured places (a distance of 10 or more from grey)
whose colour became one of the opposite half: blue sky that turns yellow, green trees that turn red.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from pipeline.shards.index import ShardSet

COLOURED = 10.0


def chroma(image: np.ndarray | None) -> np.ndarray:
    """The a and b of CIELAB of an HxWx3 uint8 RGB picture at an eighth of its size: float32, about -128 to 127."""
    small = cv2.resize(np.asarray(image), None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 1:]


def turned(source: ShardSet, translated: ShardSet, pictures: int) -> tuple[float, float]:
    """Over evenly spread pictures: mean distance, and the share of coloured places with the opposite colour."""
    places = np.linspace(0, len(source) - 1, min(pictures, len(source))).round().astype(int)
    ours, theirs = (np.stack([chroma(shards.read(int(n)).image) for n in places]) for shards in (source, translated))
    opposite = (ours * theirs).sum(axis=-1) < 0
    return float(np.linalg.norm(ours - theirs, axis=-1).mean()), float(
        opposite[np.linalg.norm(ours, axis=-1) >= COLOURED].mean()
    )


def main(given: argparse.Namespace) -> None:
    source, folder = ShardSet.open("data/shards/source"), Path("data/translated")
    for name in (given.translator, "perfect_translation"):
        if (folder / name / str(given.seed)).is_dir():
            translated = ShardSet.open(str(folder / name / str(given.seed)))
            distance, opposite = turned(source, translated, given.pictures)
            print(f"{name:<20} distance {distance:.1f}, opposite {100 * opposite:.1f} %")


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("translator")
    made.add_argument("seed", type=int)
    made.add_argument("--pictures", type=int, default=150)
    main(made.parse_args())
