"""A sample scaled to another size: every map by the rule that its meaning demands."""

from dataclasses import replace

import cv2
import numpy as np

from pipeline.sample import Flow, Sample


def resize(sample: Sample, height: int, width: int) -> Sample:
    """A sample at (height, width) pixels; `meta["original_size"]` keeps the first [height, width].

    Image and its pair: area average when they shrink, cubic when they grow. Label, instance and depth: the nearest pixel, since a mean
    of two classes or of wall and sky is neither. Flow: the nearest vector, scaled with the picture.
    """
    before = picture_size(sample)
    if before == (height, width):
        return sample
    return replace(
        sample,
        image=_smooth(sample.image, height, width),
        paired=_smooth(sample.paired, height, width),
        label=_nearest(sample.label, height, width),
        instance=_nearest(sample.instance, height, width),
        depth=_nearest(sample.depth, height, width),
        flow=_scaled(sample.flow, height, width),
        flow_back=_scaled(sample.flow_back, height, width),
        meta={"original_size": list(before)} | sample.meta,
    )


def picture_size(sample: Sample) -> tuple[int, int]:
    """(height, width) of a sample's maps; ValueError when it holds none."""
    flows = [flow[1] for flow in (sample.flow, sample.flow_back) if flow is not None]
    for plane in (sample.image, sample.paired, sample.label, sample.instance, sample.depth, *flows):
        if plane is not None:
            return plane.shape[0], plane.shape[1]
    raise ValueError(f"sample {sample.key} holds no map")


def _smooth(picture: np.ndarray | None, height: int, width: int) -> np.ndarray | None:
    if picture is None:
        return None
    shrinks = height <= picture.shape[0] and width <= picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _nearest(plane: np.ndarray | None, height: int, width: int) -> np.ndarray | None:
    """The stored pixel whose centre is nearest; plain indexing, so every type stays what it is, bit by bit."""
    if plane is None:
        return None
    rows = ((2 * np.arange(height) + 1) * plane.shape[0]) // (2 * height)
    columns = ((2 * np.arange(width) + 1) * plane.shape[1]) // (2 * width)
    return plane[rows[:, None], columns]


def _scaled(flow: Flow | None, height: int, width: int) -> Flow | None:
    if flow is None:
        return None
    vectors, valid = flow
    scale = np.array([width / valid.shape[1], height / valid.shape[0]], np.float32)
    moved, seen = _nearest(vectors, height, width), _nearest(valid, height, width)
    assert moved is not None and seen is not None
    return moved * scale, seen
