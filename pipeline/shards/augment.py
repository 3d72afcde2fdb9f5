"""Augmentation on the training device with kornia: one window, one mirror for all maps of a sample.

What is drawn for a sample depends on (seed, domain, its position in the training order) alone; kornia's functions get
the numbers from us and its modules, which draw from the global generator, are not used. Every function works sample by
sample, so any split of the batch over ranks gives the same bits.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import kornia
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from pipeline.classes import IGNORE
from pipeline.sample import VIEWS
from pipeline.shards.augment_settings import AugmentSettings
from pipeline.shards.batch import Batch
from pipeline.shards.order import uniforms

MAPS = ("image", "paired", "label", "instance", "depth", "flow", "flow_valid", "flow_back", "flow_back_valid", "inside")
# What stands beyond the picture's edge: mid-grey, no class, no object, infinitely far, nothing known of the motion.
# Padding is told from sky by `Batch.inside`.
OUTSIDE = {
    "image": 0.0,
    "paired": 0.0,
    "label": IGNORE,
    "instance": 0,
    "depth": float("inf"),
    "flow": 0.0,
    "flow_valid": False,
}
OUTSIDE |= {"flow_back": 0.0, "flow_back_valid": False, "inside": False}


def augment(batch: Batch, settings: AugmentSettings, seed: int) -> Batch:
    """A new batch, cropped, mirrored and jittered by what is drawn for its positions; the old one is untouched."""

    def draw(name: str, count: int) -> np.ndarray:
        return uniforms(seed, f"{name}/{batch.domain}", batch.positions, count)

    done = batch
    if settings.crop is not None:
        done = crop(done, settings.crop[0], settings.crop[1], draw("crop", 2))
    if settings.flip > 0:
        done = flip(done, draw("flip", 1)[:, 0] < settings.flip)
    if settings.jitter > 0 or settings.hue > 0:
        drawn = 2 * draw("jitter", 4) - 1  # one for both pictures of a pair, so that they stay a pair
        factors, hue = 1 + settings.jitter * drawn[:, :3], settings.hue * drawn[:, 3]
        changed: dict[str, Any] = {
            name: jitter(x, factors, hue) for name in VIEWS if (x := getattr(done, name)) is not None
        }
        done = replace(done, **changed)
    if settings.crop is not None:
        done = pad_to(done, settings.crop[0], settings.crop[1])  # last, so that the padding is not jittered
    return done


def crop(batch: Batch, height: int, width: int, place: np.ndarray) -> Batch:
    """Cut a window of at most (height, width) out of every map; place (N, 2) in [0, 1): of the free rows, columns."""
    full = picture_size(batch)
    size = (min(height, full[0]), min(width, full[1]))
    if size == full:
        return batch
    free = np.array(full) - size + 1
    top, left = torch.from_numpy((place * free).astype(np.int64)).unbind(1)
    bottom, right = top + size[0] - 1, left + size[1] - 1
    corners = [torch.stack(xy, 1) for xy in ((left, top), (right, top), (right, bottom), (left, bottom))]
    boxes = torch.stack(corners, 1)
    # whole pixels at the window's own size: kornia slices and resamples nothing, so that labels stay classes
    return _each(batch, lambda name, x: kornia.geometry.transform.crop_by_indices(x, boxes, size))


def flip(batch: Batch, mirrored: np.ndarray) -> Batch:
    """Mirror the samples that are True in `mirrored` (N,) left to right; the u of their flow changes its sign."""

    def one(name: str, x: Tensor) -> Tensor:
        chosen = torch.from_numpy(mirrored).to(x.device)[:, None, None, None]
        turned = kornia.geometry.transform.hflip(x)
        if name in ("flow", "flow_back"):
            turned = turned * turned.new_tensor([-1, 1])[:, None, None]
        return torch.where(chosen, turned, x)

    return _each(batch, one)


def jitter(image: Tensor, factors: np.ndarray, hue: np.ndarray) -> Tensor:
    """Image N3HW in [-1, 1] with (N, 3) factors of brightness, contrast, saturation and (N,) parts of a hue turn."""
    brightness, contrast, saturation = (image.new_tensor(column) for column in factors.T)
    unit = (image + 1) / 2
    unit = kornia.enhance.adjust_brightness_accumulative(unit, brightness)
    unit = kornia.enhance.adjust_contrast_with_mean_subtraction(unit, contrast)
    unit = kornia.enhance.adjust_saturation_with_gray_subtraction(unit, saturation)
    if hue.any():
        unit = kornia.enhance.adjust_hue(unit, image.new_tensor(2 * np.pi * hue))
    return unit * 2 - 1


def pad_to(batch: Batch, height: int, width: int) -> Batch:
    """Grow every map to at least (height, width) at its right and lower edge; marks the rest in `inside`."""
    full = picture_size(batch)
    below, beside = max(height - full[0], 0), max(width - full[1], 0)
    if not below and not beside:
        return batch
    if batch.inside is None:
        some = next(x for name in MAPS if (x := getattr(batch, name)) is not None)
        batch = replace(batch, inside=torch.ones(len(batch), 1, *full, dtype=torch.bool, device=some.device))
    return _each(batch, lambda name, x: pad(x, (0, beside, 0, below), value=OUTSIDE[name]))


def picture_size(batch: Batch) -> tuple[int, int]:
    """(height, width) of a batch's maps."""
    some = next(x for name in MAPS if (x := getattr(batch, name)) is not None)
    return some.shape[-2], some.shape[-1]


def _each(batch: Batch, function: Callable[[str, Tensor], Tensor]) -> Batch:
    """function(name, map as NCHW) for every map that the batch holds."""
    done: dict[str, Any] = {}
    for name in MAPS:
        x = getattr(batch, name)
        if x is not None:
            done[name] = function(name, x) if x.ndim == 4 else function(name, x[:, None])[:, 0]
    return replace(batch, **done)
