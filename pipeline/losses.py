"""Adversarial, perceptual and task losses as plain functions of tensors; all return a scalar on the inputs' device."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F

from pipeline.classes import IGNORE
from pipeline.files import UserError


def lsgan(scores: torch.Tensor, real: bool) -> torch.Tensor:
    """mean (scores - t)^2 with t = 1 for real, 0 for fake (Mao et al. 2017). Discriminators take half of each."""
    return (scores - float(real)).square().mean()


def vanilla(scores: torch.Tensor, real: bool) -> torch.Tensor:
    """Binary cross entropy on raw scores (Goodfellow et al. 2014, the non-saturating form for the generator)."""
    return F.softplus(-scores if real else scores).mean()


def hinge(scores: torch.Tensor, real: bool) -> torch.Tensor:
    """mean max(0, 1 - scores) for real, max(0, 1 + scores) for fake: for discriminators (Lim & Ye 2017)."""
    return F.relu(1 - scores if real else 1 + scores).mean()


def hinge_generator(scores: torch.Tensor) -> torch.Tensor:
    """-mean scores of the fakes: what a generator minimises against a discriminator trained with `hinge`."""
    return -scores.mean()


def perceptual_l1(features: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> torch.Tensor:
    """Sum over layers of the mean absolute difference: the L1 distance with weight 1/elements (SPIGAN, section 3.2).

    Gradients flow into both arguments; compute the one that is to stay fixed under torch.no_grad.
    """
    return torch.stack([F.l1_loss(a, b) for a, b in zip(features, others, strict=True)]).sum()


def patch_nce(queries: torch.Tensor, keys: torch.Tensor, temperature: float = 0.07) -> torch.Tensor:
    """Mean cross entropy of finding every patch's own key among all keys of its picture (CUT, equation 2).

    queries, keys: N P D, N pictures with P patches each, rows of length 1. The keys get no gradient. For negatives from
    the whole batch, as for crops of one picture, give both as 1 (N P) D.
    """
    with torch.autocast(queries.device.type, enabled=False):  # bf16 would round a logit to steps of 0.05
        wide = torch.promote_types(queries.dtype, torch.float32)
        similarity = queries.to(wide) @ keys.detach().to(wide).transpose(1, 2) / temperature
    own = torch.arange(queries.shape[1], device=queries.device).expand(queries.shape[:2])
    return F.cross_entropy(similarity.flatten(0, 1), own.flatten())


def cross_entropy(
    logits: torch.Tensor, label: torch.Tensor, normaliser: torch.Tensor | float | None = None
) -> torch.Tensor:
    """Mean cross entropy over the labelled pixels; 255 is left out, and a batch without any label gives 0, not NaN.

    Args:
        logits: N C H W. label: N H W int64 trainIds.
        normaliser: what the sum is divided by; by default this batch's count of labelled pixels. Where a batch is cut
            into parts (ranks, accumulation) whose gradients are summed, give the whole batch's count (see
            `labelled_pixels`); where they are averaged, that count divided by the number of parts.
    """
    total = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="sum")
    count = torch.as_tensor(labelled_pixels(label) if normaliser is None else normaliser).to(total)
    return total / count.clamp(min=torch.finfo(total.dtype).tiny)


def labelled_pixels(label: torch.Tensor) -> torch.Tensor:
    """Count of pixels with a class, as a scalar tensor on the label's device."""
    return (label != IGNORE).sum()


DepthKind = Literal["linear", "log", "inverse"]
_NEAREST = 1.0  # metres; the inverse of anything nearer is taken as that of one metre


def depth_transform(depth: torch.Tensor, kind: DepthKind, reach: float) -> torch.Tensor:
    """Depth in metres (any shape; inf = sky) -> what the depth net learns, always finite and in [0, 1].

    Everything beyond `reach` metres, the sky included, counts as being at `reach`.

    - "linear": depth / reach; 0 at the camera, 1 at `reach` and in the sky.
    - "log": log(1 + depth) / log(1 + reach); the same ends, finer near the camera.
    - "inverse": (1/depth - 1/reach) / (1 - 1/reach); 1 up to one metre, 0 at `reach` and in the sky.
    """
    if not reach > _NEAREST:
        raise UserError(f"A depth reach of {reach} m leaves nothing to learn; give more than {_NEAREST:g} m.")
    near = depth.clamp(0.0, reach)
    if kind == "linear":
        return near / reach
    if kind == "log":
        return near.log1p() / math.log1p(reach)
    if kind == "inverse":
        return (1 / near.clamp(min=_NEAREST) - 1 / reach) / (1 - 1 / reach)
    raise UserError(f"Unknown depth transform {kind!r}; choose linear, log or inverse.")


def depth_l1(prediction: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference between N1HW predicted and transformed true depth (SPIGAN, equation 6)."""
    return F.l1_loss(prediction, goal)
