"""How far a picture is from the picture it should be; one figure a picture, all inputs N3HW in [-1, 1]."""

import torch
import torch.nn.functional as F

from pipeline.nets.perceptual import FeatureNet


def figures(net: FeatureNet, picture: torch.Tensor, truth: torch.Tensor) -> dict[str, float]:
    """All of them for one picture 13HW: l1 (in [-1, 1]), psnr (dB), ssim, feature_distance_NET."""
    found = {
        "l1": (picture - truth).abs().mean(),
        "psnr": psnr(picture, truth),
        "ssim": ssim(picture, truth),
        f"feature_distance_{net.name}": feature_distance(net, picture, truth),
    }
    return {name: float(figure) for name, figure in found.items()}


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
