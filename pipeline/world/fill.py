"""The polygon filler: which polygon stands at which pixel, and how near. It serves the camera and the sun alike."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.world.materials import Cut
from pipeline.world.mesh import Frozen
from pipeline.world.noise import LEAF

SHIFT = 4  # sub-pixel bits of OpenCV's fillers
MICRO = 6  # pixels; smaller polygons are filled in one batch


@dataclass
class Projected:
    """All polygons of a scene as one eye sees them."""

    scene: Frozen
    flat: np.ndarray  # (V, 2) points in pixels
    outlines: dict[int, np.ndarray]  # clipped polygons (k, 2) in pixels, instead of their points
    wanted: np.ndarray  # (P,) bool
    boxes: np.ndarray  # (P, 4) x0, y0, x1, y1
    plane: np.ndarray  # (P, 3) nearness as an affine function of the pixel
    uv: np.ndarray  # (P, 6) texture coordinates likewise; in perspective u and v times the nearness
    perspective: bool


def fill(view: Projected, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Polygon numbers (H, W) int32, 0 where there is none, and their nearness (H, W) float32.

    Big polygons first; of those that they do not hide, the micro polygons all at once, the others singly.
    """
    ids, near = np.zeros(size, np.int32), np.zeros(size, np.float32)
    height, width = size
    with np.errstate(invalid="ignore"):
        x0, y0, x1, y1 = view.boxes.T
        inside = (x1 > -1) & (y1 > -1) & (x0 < width) & (y0 < height) & (np.maximum(x1 - x0, y1 - y0) > 0.3)
    chosen = np.flatnonzero(view.wanted & inside)
    x0, y0, x1, y1 = view.boxes[chosen].T
    corners = zip((np.floor(x0), np.floor(y0), np.ceil(x1), np.ceil(y1)), (width, height) * 2, strict=True)
    left, top, right, bottom = (a.clip(0, n - 1) for a, n in corners)
    rectangles = np.stack([left, top, right + 1, bottom + 1]).astype(np.int32)
    plane = view.plane[chosen].astype(np.float32)
    wide, high = rectangles[2] - rectangles[0], rectangles[3] - rectangles[1]
    big = wide * high > height * width // 100
    _fill_each(view, chosen[big], rectangles[:, big], plane[big], ids, near)
    seen = ~big & ~_hidden(near, rectangles, plane)
    scene = view.scene
    micro = seen & (np.maximum(wide, high) <= MICRO) & (scene.counts[chosen] <= 5) & (scene.cut[chosen] == 0)
    micro &= ~np.isin(chosen, list(view.outlines))
    _fill_micro(view, chosen[micro], rectangles[:, micro], plane[micro], ids, near)
    rest = seen & ~micro
    _fill_each(view, chosen[rest], rectangles[:, rest], plane[rest], ids, near)
    return ids, near


def _hidden(near: np.ndarray, rectangles: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """Polygons that lie behind everything in their rectangle, judged on a pyramid of minima."""
    (x0, y0, x1, y1), (a, b, c) = rectangles, plane.T
    nearest = np.maximum(a * x0, a * x1) + np.maximum(b * y0, b * y1) + c
    hidden, waiting, block, level = np.zeros(len(c), bool), np.ones(len(c), bool), 1, near
    while not level.shape[0] % 2 and not level.shape[1] % 2:
        level, block = np.minimum(level[::2], level[1::2]), 2 * block
        level = np.minimum(level[:, ::2], level[:, 1::2])
        left, top, right, bottom = x0 // block, y0 // block, (x1 - 1) // block, (y1 - 1) // block
        mine = np.flatnonzero(waiting & (right - left < 2) & (bottom - top < 2))
        if block >= 4 and len(mine):
            left, top, right, bottom = left[mine], top[mine], right[mine], bottom[mine]
            corners = level[top, left], level[top, right], level[bottom, left], level[bottom, right]
            lowest = np.minimum.reduce(corners)
            hidden[mine], waiting[mine] = nearest[mine] < lowest, False
    return hidden


def _fill_micro(
    view: Projected, chosen: np.ndarray, rectangles: np.ndarray, plane: np.ndarray, ids: np.ndarray, near: np.ndarray
) -> None:
    """Polygons of a few pixels: every edge against every pixel of the rectangle, in one go."""
    scene, flat = view.scene, view.flat
    corner = scene.starts[chosen, None] + np.arange(5) % scene.counts[chosen, None]
    x, y = flat[corner, 0].astype(np.float32), flat[corner, 1].astype(np.float32)
    dx, dy = np.roll(x, -1, 1) - x, np.roll(y, -1, 1) - y
    way = np.sign((x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1))[:, None]
    grid = np.arange(MICRO)
    px, py = rectangles[0][:, None] + np.tile(grid, MICRO), rectangles[1][:, None] + np.repeat(grid, MICRO)
    inside = (px < rectangles[2][:, None]) & (py < rectangles[3][:, None])
    fat = np.maximum(np.abs(dx), np.abs(dy)) / 2  # half a pixel, as OpenCV's filler
    for k in range(5):
        ex, ey, slack = (a[:, k : k + 1] for a in (dx * way, dy * way, fat))
        inside &= ex * (py - y[:, k : k + 1]) - ey * (px - x[:, k : k + 1]) >= -slack
    value = plane[:, :1] * px + plane[:, 1:2] * py + plane[:, 2:]
    which, pixel = np.nonzero(inside)
    value, column, row = value[which, pixel], px[which, pixel], py[which, pixel]
    order = np.argsort(value, kind="stable")
    order = order[value[order] > near[row[order], column[order]]]
    at = row[order], column[order]
    near[at], ids[at] = value[order], chosen[which[order]]  # of several on one pixel the nearest is last, and stays


def _fill_each(
    view: Projected, chosen: np.ndarray, rectangles: np.ndarray, plane: np.ndarray, ids: np.ndarray, near: np.ndarray
) -> None:
    """The only loop over polygons: each is filled into its bounding rectangle and compared with the z-buffer."""
    scene, outlines = view.scene, view.outlines
    xs, ys = np.arange(near.shape[1], dtype=np.float32), np.arange(near.shape[0], dtype=np.float32)[:, None]
    starts, counts = scene.starts[chosen], scene.counts[chosen]
    ends = np.cumsum(counts)
    vertex = np.repeat(starts - ends + counts, counts) + np.arange(counts.sum())
    fixed = view.flat[vertex] - np.repeat(rectangles[:2].T, counts, axis=0)
    fixed = np.rint(fixed * 2**SHIFT).clip(-(2**24), 2**24).astype(np.int32)
    lists = (a.tolist() for a in (chosen, rectangles.T, plane, ends - counts, ends, scene.cut[chosen]))
    for i, (left, top, right, bottom), (a, b, c), start, end, cut in zip(*lists, strict=True):
        outline = fixed[start:end]
        if i in outlines:
            outline = np.rint((outlines[i] - (left, top)) * 2**SHIFT).astype(np.int32)
        mask = np.zeros((bottom - top, right - left), np.uint8)
        cv2.fillConvexPoly(mask, outline, 1, cv2.LINE_8, SHIFT)
        x, y = xs[left:right], ys[top:bottom]
        value = (a * x + c) + b * y
        depth = near[top:bottom, left:right]
        win = value > depth
        win &= mask.view(bool)
        if cut:
            p, q, r, k, m, n = view.uv[i].tolist()
            u, v = (p * x + r) + q * y, (k * x + n) + m * y
            if view.perspective:
                u /= value
                v /= value
            win &= _solid(cut, u, v, float(scene.half[i]), i)
        np.copyto(depth, value, where=win)
        np.copyto(ids[top:bottom, left:right], i, where=win)


def _solid(cut: int, u: np.ndarray, v: np.ndarray, half: float, salt: int) -> np.ndarray:
    """Where a polygon with holes is solid; (u, v) in metres from its middle."""
    if cut == Cut.BARS:
        return (np.abs(u % 0.16 - 0.08) < 0.03) | (np.abs(v % 0.9 - 0.45) < 0.04)
    radius = (u * u + v * v) * (1 / half**2)
    if cut == Cut.RING:
        return (radius < 1) & ((radius > 0.72) | (radius < 0.02))
    size = len(LEAF) - 1
    leaf = LEAF[(v * 24 + salt * 37).astype(np.int32) & size, (u * 24 + salt * 59).astype(np.int32) & size]
    return (radius < 0.35 + 0.65 * leaf) & (leaf > 0.16)
