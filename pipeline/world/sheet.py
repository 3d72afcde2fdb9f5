"""Contact sheets of the world, as JPEG:

python -m pipeline.world.sheet source target --out world_sheet.jpg
python -m pipeline.world.sheet truth --count 4 --out world_truth.jpg
python -m pipeline.world.sheet target target_at_night --pairs --out world_night.jpg
python -m pipeline.world.sheet watched watched_wrong_way --first 900001 --time 20 --out world_watched.jpg
"""

import argparse

import cv2
import numpy as np

from pipeline.classes import CITYSCAPES19
from pipeline.files import encode_jpeg, write_atomic
from pipeline.world.frame import Flow, Frame, render
from pipeline.world.knobs import DOMAINS


def colour_flow(flow: Flow, top: float = 6.0) -> np.ndarray:
    """RGB (H, W, 3): hue is the direction, saturation the length up to `top` pixels; black where it is not valid."""
    vectors, valid = flow
    length, angle = cv2.cartToPolar(vectors[..., 0], vectors[..., 1])
    hsv = np.stack([angle * 90 / np.pi, np.minimum(length / top, 1) * 255, 255 * valid], -1)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)


def colour_depth(depth: np.ndarray) -> np.ndarray:
    """RGB (H, W, 3): near is red, far is blue, the sky black."""
    value = np.where(np.isfinite(depth), 255 / (1 + depth / 12), 0).astype(np.uint8)
    return cv2.applyColorMap(value, cv2.COLORMAP_TURBO)[..., ::-1]


def truth_row(frame: Frame) -> np.ndarray:
    """Picture, classes, depth and flow side by side."""
    assert frame.flow is not None
    colours = CITYSCAPES19.paint(frame.label)
    return np.hstack([frame.image, colours, colour_depth(frame.depth), colour_flow(frame.flow)])


def grid(tiles: list[np.ndarray], columns: int) -> np.ndarray:
    """Tiles of one size, row by row."""
    tiles = tiles + [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


def save(path: str, picture: np.ndarray, limit: int = 300_000) -> None:
    """Write a JPEG, at the best quality that stays below the limit in bytes."""
    coded = (encode_jpeg(picture, quality) for quality in range(92, 12, -4))
    write_atomic(path, next(data for data in coded if len(data) <= limit))


def main() -> None:
    """The command line."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("what", nargs="+", choices=[*DOMAINS, "truth"], help="domains (each its own rows), or truth")
    ask.add_argument("--out", required=True, help="path of the JPEG")
    ask.add_argument("--count", type=int, default=8, help="frames of each")
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--first", type=int, default=0, help="index of the first frame")
    ask.add_argument("--time", type=int, default=0, help="of each drive or clip, in frames")
    ask.add_argument("--height", type=int, default=128)
    ask.add_argument("--columns", type=int, default=4)
    ask.add_argument("--pairs", action="store_true", help="frame by frame in turn, instead of domain by domain")
    given = ask.parse_args()
    size, numbers = (given.height, 2 * given.height), range(given.first, given.first + given.count)
    if given.what == ["truth"]:
        rows = [
            truth_row(render(given.seed, name, i, size, given.time)) for i in numbers for name in ("source", "target")
        ]
        save(given.out, grid(rows, 1))
        return
    order = [(i, name) for i in numbers for name in given.what]
    order = order if given.pairs else sorted(order, key=lambda at: given.what.index(at[1]))
    pictures = [render(given.seed, name, i, size, given.time, flow=False).image for i, name in order]
    save(given.out, grid(pictures, given.columns))


if __name__ == "__main__":
    main()
