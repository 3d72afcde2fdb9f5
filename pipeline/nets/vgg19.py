"""VGG19's convolutions (Simonyan & Zisserman 2015) with torchvision's key names, as the perceptual loss needs them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from pipeline.files import UserError
from pipeline.nets.weights import load_strictly, read_weights

LAYERS = (64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512)
# Indices into torchvision's vgg19().features of the convolutions themselves, before their ReLU.
CONV_X_2 = (2, 7, 12, 21, 30)  # conv1_2, conv2_2, conv3_2, conv4_2, conv5_2: SPIGAN
RELU_X_1 = (1, 6, 11, 20, 29)  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1: SPADE and pix2pixHD
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG19(nn.Module):
    """Picture N3HW in [-1, 1] -> the maps of `taps` (indices into torchvision's `features`).

    normalise: bring the picture to ImageNet's mean and deviation, as the weights expect. SPADE and pix2pixHD publish
    their losses without it.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, taps: Sequence[int] = CONV_X_2, normalise: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for after in LAYERS:
            if isinstance(after, int):
                # Not in place: a tapped convolution must keep its negative values.
                layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
                before = after
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[: max(taps) + 1])
        self.taps, self.normalise = frozenset(taps), normalise
        mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
        self.register_buffer("scale", 0.5 / std, persistent=False)
        self.register_buffer("shift", (0.5 - mean) / std, persistent=False)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        x = image * self.scale + self.shift if self.normalise else image
        maps = []
        for n, layer in enumerate(self.features):
            x = layer(x)
            if n in self.taps:
                maps.append(x)
        return maps

    def load_published(self, state: dict[str, torch.Tensor], where: str) -> None:
        """Load torchvision's weights; the layers behind the last tap and the classifier are left aside."""
        beyond = tuple(key for key in state if key not in self.state_dict())
        load_strictly(self, state, where, skip=beyond)


def vgg19_weights(path: str | Path | None) -> tuple[dict[str, torch.Tensor], str]:
    """State dict of `path`, or torchvision's ImageNet weights (downloaded once, 548 MB), and where it is from."""
    if path is not None:
        return read_weights(path), str(path)
    from torchvision.models import VGG19_Weights

    try:
        state = VGG19_Weights.IMAGENET1K_V1.get_state_dict(check_hash=True, weights_only=True)
    except OSError as error:  # urllib's errors are OSErrors
        raise UserError(
            "torchvision's VGG19 weights cannot be downloaded; give the path of vgg19-dcbb9e9d.pth, or use lite0."
        ) from error
    return dict(state), "torchvision VGG19_Weights.IMAGENET1K_V1"
