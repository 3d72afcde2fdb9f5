"""What every scorer of single scans does alike: size and planes of its nets, and what is usual among held-out normal scans.

A scorer's `judge(nets, params, image)` takes N3HW in [-1, 1] and gives a Judged; what it says of a picture does not depend on
the pictures beside it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from pipeline.nets.dcgan import SIZES
from pipeline.noise import normal
from pipeline.sample import Sample
from pipeline.shards.batch import collate
from pipeline.shards.feed import ShardSource
from pipeline.shards.order import uniforms

BATCH = 64  # pictures that are judged together
DOMAINS: dict[str, tuple[str, ...]] = {"scans": ("image",)}
HELD_OUT = {"scans_dev": ("image", "meta")}
UNUSED = ("train.alpha", "train.beta", "train.gamma", "train.delta", "train.joined")
CONSTANTS = ("threshold", "residual_threshold", "normal")  # of a Calibration

Channels = Literal[1, 3]  # of the nets: grey pictures are stored as three equal planes, of which one is enough


@dataclass(frozen=True)
class Judged:
    """What a scorer says of N pictures."""

    score: Tensor  # N
    residual: Tensor  # N, the part of the score that compares pictures, without its weight
    features: Tensor  # N, the part that compares the discriminator's features, without its weight
    drawn: Tensor  # N C H W in [-1, 1], the normal picture that is taken for the nearest

    def maps(self, image: Tensor) -> Tensor:
        """|x - drawn| N H W, the mean over the planes: where the picture is not as drawn."""
        return (planes(image, self.drawn.shape[1]) - self.drawn).abs().mean(1)


Judge = Callable[[nn.ModuleDict, dict[str, Any], Tensor], Judged]


def planes(image: Tensor, channels: int) -> Tensor:
    """N3HW -> N `channels` H W: all, or the first one."""
    return image[:, :channels]


def codes(seed: int, stream: str, positions: np.ndarray, latent: int, like: Tensor) -> Tensor:
    """Standard normal codes (len(positions), latent), a stream for each place in the training order."""
    return normal(uniforms(seed, stream, positions, 1)[:, 0], latent).to(like)


def side(params: dict[str, Any]) -> int:
    """Pixels a side of the pictures that a scorer of these parameters sees: its crop."""
    return int(params["train"]["crop"][0])


def judged(
    judge: Judge, nets: nn.ModuleDict, params: dict[str, Any], samples: Iterable[Sample]
) -> Iterator[tuple[Sample, dict[str, Any]]]:
    """Each sample with its score, residual and features (floats), map (float32 H W) and drawn picture (float32 C H W)."""
    device, waiting = next(nets.parameters()).device, iter(samples)
    while group := list(islice(waiting, BATCH)):
        pictures = [Sample(sample.key, sample.image) for sample in group]  # labels and categories only some may have
        image = collate(pictures, "scans", np.arange(len(group)), device).image
        assert image is not None
        found = judge(nets, params, image)
        kept = {"map": found.maps(image)} | vars(found)
        arrays = {name: value.float().cpu().numpy() for name, value in kept.items()}
        for n, sample in enumerate(group):
            yield sample, {name: array[n] for name, array in arrays.items()}


@torch.no_grad()
def calibrate(judge: Judge, nets: nn.ModuleDict, params: dict[str, Any], dev: ShardSource) -> None:
    """Of the held-out normal scans: the score and the residual of a pixel that one in a hundred exceeds, and the category of
    what is normal. The abnormal scans beside them are not looked at."""
    keep = [i for i in range(len(dev)) if not dev.read(i, ("meta",)).meta["abnormal"]]
    usual = [
        found | {"category": sample.meta["category"]}
        for sample, found in judged(judge, nets, params, (dev.read(i, HELD_OUT["scans_dev"]) for i in keep))
    ]
    calibration: Any = nets["calibration"]
    calibration.set(
        {
            "threshold": usual_most([one["score"] for one in usual]),
            "residual_threshold": usual_most(np.stack([one["map"] for one in usual])),
            "normal": usual[0]["category"],
        }
    )


def usual_most(values: ArrayLike) -> float:
    """What one in a hundred of these values exceeds."""
    return float(np.quantile(np.asarray(values), 0.99))


def describe(model: Any) -> dict[str, Any]:
    """What a result says of its model: the side of its pictures, the category that is normal, and both thresholds."""
    known = model.nets["calibration"].values()
    return {"size": [side(model.params)] * 2, **known, "normal": int(known["normal"])}


def check(params: dict[str, Any], name: str) -> list[str]:
    """A sentence where the crop of the method with the block `name` does not fit DCGAN's nets."""
    crop = params["train"]["crop"]
    if crop[0] == crop[1] and crop[0] in SIZES:
        return []
    sides = ", ".join(map(str, SIZES))
    return [
        f"params.yaml: {name} judges squares of {sides} pixels a side, not {crop}; set {name}.train.crop and scans.size"
    ]
