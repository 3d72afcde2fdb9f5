"""optical_flow: Farneback's flow over sequences, forward and backward, with a consistency mask and its errors.

    out/flow/KEY.png       flow from a frame to the next one, KITTI's 16-bit encoding; valid = consistent
    out/flow_back/KEY.png  flow to the frame before
    out/report.json        shares of consistent pixels; end-point errors where the true flow is known
    out/sheet.jpg          picture | Farneback, where consistent | true flow

A flow from a to b moves a's points to b: what stands at x in a stands at x + flow[x] in b.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.cluster import ALONE, ClusterSettings, map_items
from pipeline.datasets import Item, Reader, open_dataset
from pipeline.datasets.flow_pairs import FlowPair, find_pairs
from pipeline.farneback import FlowSettings, farneback
from pipeline.files import UserError, atomic_dir, encode_jpeg, encode_png, write_json
from pipeline.sample import Flow, encode_flow


def consistent(forward: np.ndarray, back: np.ndarray, settings: FlowSettings) -> np.ndarray:
    """Where going forward and back again ends near the start: bool (H, W).

    |f(x) + b(x + f(x))|^2 < alpha (|f|^2 + |b|^2) + beta; Sundaram, Brox, Keutzer 2010, eq. 5, with their 0.01 and 0.5.
    Points that leave the picture are not consistent.
    """
    height, width = forward.shape[:2]
    x = np.arange(width, dtype=np.float32) + forward[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + forward[..., 1]
    there = cv2.remap(back, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    gap = squared(forward + there)
    lengths = squared(forward) + squared(there)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return inside & (gap < settings.consistency_alpha * lengths + settings.consistency_beta)


def squared(vectors: np.ndarray) -> np.ndarray:
    """Squared lengths of (..., 2): numpy's sum over so short an axis takes five times as long."""
    return vectors[..., 0] * vectors[..., 0] + vectors[..., 1] * vectors[..., 1]


def flow_error(estimate: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    """End-point error in pixels, share of outliers (KITTI 2015: > 3 px and > 5 %), and number of compared pixels."""
    known = truth[valid].astype(np.float64)
    gap, length = np.sqrt(squared(estimate[valid] - known)), np.sqrt(squared(known))
    if not len(gap):
        return {"end_point_error": 0.0, "outliers": 0.0, "pixels": 0}
    outliers = (gap > 3) & (gap > 0.05 * length)
    return {"end_point_error": float(gap.mean()), "outliers": float(outliers.mean()), "pixels": len(gap)}


@dataclass(frozen=True)
class Judged:
    """What one pair of frames gave, both directions together."""

    sequence: str
    consistent: float  # share of pixels
    everywhere: dict[str, float]  # errors over pixels whose true flow is known
    kept: dict[str, float]  # of these, only the consistent ones
    still: dict[str, float]  # the error of "nothing moves", to compare with


def flow_of_sequences(
    root: Path | str,
    out: Path | str,
    settings: FlowSettings,
    cluster: ClusterSettings = ALONE,
    shown: Path | None = None,
) -> dict[str, Any]:
    """Estimate the flow of every sequence at `root` and write the folder `out` (see above); returns the report.

    shown: a folder that takes report.json and sheet.jpg in place of `out`.
    """
    dataset = open_dataset("sequences", root, dev_share=0.0)
    items = dataset.items()
    tasks = [(a, b) for a, b in zip(items, items[1:], strict=False) if (a.split, a.sequence) == (b.split, b.sequence)]
    if not tasks:
        raise UserError(f"{dataset.where} has no sequence of two frames or more; flow needs neighbouring frames")
    with atomic_dir(out) as folder:
        for name in ("flow", "flow_back"):
            (folder / name).mkdir()
        judged = map_items(partial(_pair, dataset.read, settings, folder), tasks, cluster, "optical_flow")
        report = _report(judged, settings)
        write_json((shown or folder) / "report.json", report)
        chosen = [tasks[i] for i in np.unique(np.linspace(0, len(tasks) - 1, 6).astype(int))]
        ((shown or folder) / "sheet.jpg").write_bytes(encode_jpeg(_sheet(dataset.read, chosen, settings), 90))
    return report


def flow_of_pairs(root: Path | str, settings: FlowSettings) -> dict[str, Any]:
    """Errors of Farneback on the Middlebury and KITTI pairs with true flow at `root`; a UserError where there are none."""
    pairs = find_pairs(root)
    if not pairs:
        raise UserError(f"{root} holds no pair with true flow (Middlebury other-gt-flow/, KITTI flow_noc/)")
    return {pair.name: _judge_real(pair, settings) for pair in pairs}


def _both(a: np.ndarray, b: np.ndarray, settings: FlowSettings) -> tuple[Flow, Flow]:
    """Flow from a to b and from b to a, each with its consistency."""
    forward, back = farneback(a, b, settings), farneback(b, a, settings)
    return (forward, consistent(forward, back, settings)), (back, consistent(back, forward, settings))


def _pair(reader: Reader, settings: FlowSettings, folder: Path, task: tuple[Item, Item]) -> Judged:
    first, second = task
    images = [reader(item).image for item in task]
    assert images[0] is not None and images[1] is not None
    if images[0].shape != images[1].shape:
        raise UserError(f"{first.files['image']} and {second.files['image']} differ in size; a sequence has one size")
    forward, back = _both(images[0], images[1], settings)
    (folder / "flow" / f"{first.key}.png").write_bytes(encode_png(encode_flow(*forward)))
    (folder / "flow_back" / f"{second.key}.png").write_bytes(encode_png(encode_flow(*back)))
    share = float(np.mean([forward[1].mean(), back[1].mean()]))
    known = [
        (estimate, getattr(reader(item, (part,)), part))
        for item, part, estimate in ((first, "flow", forward), (second, "flow_back", back))
        if part in item.files
    ]
    return Judged(first.sequence, share, *_errors(known))


def _errors(known: Sequence[tuple[Flow, Flow]]) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Errors of (estimate, truth) pairs: everywhere, where consistent, and of zero flow."""
    everywhere = [flow_error(estimate[0], *truth) for estimate, truth in known]
    kept = [flow_error(estimate[0], truth[0], truth[1] & estimate[1]) for estimate, truth in known]
    still = [flow_error(np.zeros_like(truth[0]), *truth) for _, truth in known]
    return _mean(everywhere), _mean(kept), _mean(still)


def _mean(errors: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means weighted by pixels."""
    pixels = sum(error["pixels"] for error in errors)
    if not pixels:
        return {"end_point_error": 0.0, "outliers": 0.0, "pixels": 0}
    mean = {name: sum(e[name] * e["pixels"] for e in errors) / pixels for name in ("end_point_error", "outliers")}
    return mean | {"pixels": pixels}


def _report(judged: Sequence[Judged], settings: FlowSettings) -> dict[str, Any]:
    names = sorted({one.sequence for one in judged})
    rows = {name: _summary([one for one in judged if one.sequence == name]) for name in names}
    return {"settings": settings.model_dump()} | _summary(judged) | {"sequences": rows}


def _summary(judged: Sequence[Judged]) -> dict[str, Any]:
    """Numbers of some pairs; null where no true flow is known."""
    everywhere, kept, still = (_mean([getattr(j, kind) for j in judged]) for kind in ("everywhere", "kept", "still"))

    def known(errors: dict[str, float], name: str) -> float | None:
        return round(errors[name], 6) if errors["pixels"] else None

    return {
        "pairs": len(judged),
        "consistent": round(float(np.mean([one.consistent for one in judged])), 6),
        "end_point_error": known(everywhere, "end_point_error"),
        "end_point_error_consistent": known(kept, "end_point_error"),
        "end_point_error_zero_flow": known(still, "end_point_error"),
        "outliers": known(everywhere, "outliers"),
        "outliers_consistent": known(kept, "outliers"),
        "known_pixels": everywhere["pixels"],
    }


def _judge_real(pair: FlowPair, settings: FlowSettings) -> dict[str, Any]:
    a, b, truth = pair.read()
    forward, _ = _both(a, b, settings)
    judged = Judged(pair.name, float(forward[1].mean()), *_errors([(forward, truth)]))
    return {name: value for name, value in _summary([judged]).items() if name != "pairs"}


# -- to look at ---------------------------------------------------------------------------------------------------


def colour_wheel() -> np.ndarray:
    """The 55 hues of Baker et al. 2011 around the circle, RGB (55, 3) in 0..1: even steps to the eye."""
    corners = [(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 0, 0)]
    steps = (15, 6, 4, 11, 13, 6)
    parts = [np.linspace(a, b, count, endpoint=False) for a, b, count in zip(corners, corners[1:], steps, strict=False)]
    return np.concatenate(parts)


def paint_flow(flow: np.ndarray, valid: np.ndarray | None, reach: float) -> np.ndarray:
    """Flow (H, W, 2) as RGB uint8: hue = direction, saturation = length, full at `reach` pixels; invalid is black."""
    wheel = colour_wheel()
    length = np.minimum(np.linalg.norm(flow, axis=-1) / max(reach, 1e-6), 1)[..., None]
    place = (np.arctan2(-flow[..., 1], -flow[..., 0]) / np.pi + 1) / 2 * (len(wheel) - 1)
    low = np.floor(place).astype(int)
    weight = (place - low)[..., None]
    hue = (1 - weight) * wheel[low % len(wheel)] + weight * wheel[(low + 1) % len(wheel)]
    rgb = 1 - length * (1 - hue)
    if valid is not None:
        rgb[~valid] = 0
    return np.rint(rgb * 255).astype(np.uint8)


def _sheet(reader: Reader, tasks: Sequence[tuple[Item, Item]], settings: FlowSettings) -> np.ndarray:
    """A row a pair: first frame | Farneback where consistent | true flow (grey where unknown)."""
    rows = []
    for first, second in tasks:
        parts = ("image", "flow") if "flow" in first.files else ("image",)
        sample, other = reader(first, parts), reader(second)
        assert sample.image is not None and other.image is not None
        (flow, valid), _ = _both(sample.image, other.image, settings)
        reach = float(np.percentile(np.linalg.norm(flow, axis=-1), 99)) + 1
        truth = paint_flow(*sample.flow, reach) if sample.flow else np.full_like(sample.image, 128)
        cells = [sample.image, paint_flow(flow, valid, reach), truth]
        height = max(1, round(320 * sample.image.shape[0] / sample.image.shape[1]))
        rows.append(np.hstack([cv2.resize(cell, (320, height), interpolation=cv2.INTER_AREA) for cell in cells]))
    return np.vstack(rows)
