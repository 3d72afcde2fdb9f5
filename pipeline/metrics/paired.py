"""How far a picture is from the picture it should be; one figure a picture, all inputs N3HW in [-1, 1]."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.nets.perceptual import FeatureNet
from pipeline.nets.weights import load_strictly, read_weights


def figures(
    net: FeatureNet, picture: torch.Tensor, truth: torch.Tensor, lpips: nn.Module | None = None
) -> dict[str, float]:
    """All of them for one picture 13HW: l1 (in [-1, 1]), psnr (dB), ssim, feature_distance_NET, and lpips_alex with its net."""
    found = {
        "l1": (picture - truth).abs().mean(),
        "psnr": psnr(picture, truth),
        "ssim": ssim(picture, truth),
        f"feature_distance_{net.name}": feature_distance(net, picture, truth),
    }
    if lpips:
        found["lpips_alex"] = lpips(picture, truth)
    return {name: float(figure) for name, figure in found.items()}


def means(rows: Sequence[dict[str, float]]) -> dict[str, float | None]:
    """The mean of every figure over pictures; an infinite PSNR, of identical pictures, is left out, and None is no figure."""
    columns = {name: [row[name] for row in rows if math.isfinite(row[name])] for name in rows[0]}
    return {name: sum(column) / len(column) if column else None for name, column in columns.items()}


def lpips_net(alexnet: str | Path) -> nn.Module:
    """LPIPS (Zhang et al. 2018, arXiv 1801.03924), version 0.1: pictures N3HW in [-1, 1], twice -> (N, 1, 1, 1).

    alexnet: torchvision's weights of that net; the weights of the distance come with the library. UserError where the
    file is none of AlexNet's.
    """
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library asks torchvision for a net in an old way
        net = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    slices = {key.partition(".")[2]: key for key in net.net.state_dict()}  # "0.weight" -> "slice1.0.weight"
    features = {k.removeprefix("features."): v for k, v in read_weights(alexnet).items() if k.startswith("features.")}
    load_strictly(net.net, {slices.get(key, key): value for key, value in features.items()}, alexnet)
    return net.requires_grad_(False)


def psnr(picture: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Peak signal-to-noise ratio in dB, (N,); the peak is the full range. Identical pictures give inf."""
    error = (picture - truth).square().mean((1, 2, 3))
    return 10 * torch.log10(4 / error)


def ssim(picture: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Structural similarity (Wang et al. 2004), (N,): Gaussian window of 11 pixels, mean over pixels and channels."""
    from kornia.metrics import ssim as ssim_map

    return ssim_map((picture + 1) / 2, (truth + 1) / 2, window_size=11, max_val=1.0).mean((1, 2, 3))


def feature_distance(net: FeatureNet, picture: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Sum over the network's layers of the mean absolute difference, (N,): `perceptual_l1` for each picture."""
    layers = [
        F.l1_loss(ours, theirs, reduction="none").mean((1, 2, 3))
        for ours, theirs in zip(net(picture), net(truth), strict=True)
    ]
    return torch.stack(layers).sum(0)
