"""What a scorer saw in a clip, to look at: frames, flow, what was drawn instead, and the anomaly map over the frame."""

from typing import Any

import cv2
import numpy as np
import torch

from pipeline.clip_scoring import Clip
from pipeline.engine.model import Model
from pipeline.shards.batch import collate
from pipeline.shards.index import ShardSet

ROWS, CELL = 6, 240  # frames of a clip, evenly over it; width of a picture
EDGE = (255, 230, 0)  # of what is abnormal in truth


def sheet(model: Model, clip: Clip, shards: ShardSet) -> np.ndarray:
    """RGB uint8, a row a frame: the frame with the true region's outline | its flow | the flow that was drawn from it |
    the frame that was drawn from its flow | the anomaly map over the frame, from half of the threshold (nothing) to
    one and a half (red)."""
    places = np.unique(np.linspace(0, len(clip.frames) - 1, ROWS).round().astype(int))
    start = shards.index["sequence"].to_pylist().index(clip.name)
    return np.vstack([_row(model, clip, shards, start, int(place)) for place in places])


def _row(model: Model, clip: Clip, shards: ShardSet, start: int, place: int) -> np.ndarray:
    sample = shards.read(start + place, ("image", "flow"))
    assert sample.image is not None
    device = next(model.nets.parameters()).device
    with torch.inference_mode():
        drawn = model.module.draw(model.nets, model.params, collate([sample], "clips", np.zeros(1, np.int64), device))
    pictures = [_bytes(one) for one in drawn]
    mask = clip.masks[place]
    outlined = sample.image if mask is None else _outline(sample.image, mask)
    threshold = model.module.describe(model)["threshold"]
    heat = heat_over(sample.image, clip.anomaly[place] / threshold - 0.5)
    cells = [_cell(one) for one in (outlined, *pictures, heat)]
    text = f"{clip.name} {clip.frames[place]}  score {clip.scores[place]:.2f}"
    cv2.putText(cells[0], text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, EDGE, 1, cv2.LINE_AA)
    return np.hstack(cells)


def heat_over(image: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The frame uint8 (H, W, 3) in grey, under colours from nothing (0) over yellow to red (1 and more)."""
    share = np.clip(share, 0, 1)[..., None]
    colour = np.concatenate([np.full_like(share, 255), 255 * (1 - share), np.zeros_like(share)], -1)
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, -1)
    weight = np.minimum(1.6 * share, 0.8)
    return np.rint((1 - weight) * grey + weight * colour).astype(np.uint8)


def _outline(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    edge = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~mask
    return np.where(edge[..., None], np.array(EDGE, np.uint8), image)


def _bytes(picture: Any) -> np.ndarray:
    return ((picture[0].permute(1, 2, 0).float().cpu().numpy() + 1) * 127.5).round().clip(0, 255).astype(np.uint8)


def _cell(picture: np.ndarray) -> np.ndarray:
    height = max(1, round(CELL * picture.shape[0] / picture.shape[1]))
    small = cv2.resize(picture, (CELL, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.pad(small, ((0, 2), (0, 2), (0, 0)), constant_values=255))
