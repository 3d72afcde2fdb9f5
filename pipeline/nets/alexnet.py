"""AlexNet's convolutions (Krizhevsky 2014, arXiv 1404.5997) with torchvision's key names: the features of Ravanbakhsh et al. 2017."""

from pathlib import Path

import torch
from torch import nn

from pipeline.files import UserError
from pipeline.nets.vgg19 import MEAN, STD
from pipeline.nets.weights import load_strictly, read_weights

TAPS = (1, 4, 7, 9, 11)  # relu1 to relu5 in torchvision's alexnet().features


class AlexNet(nn.Module):
    """Picture N3HW in [-1, 1] -> the five maps after its ReLUs; 64 pixels a side or more. 224 pixels give 13 x 13 at conv5."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(),
            nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
        self.register_buffer("scale", 0.5 / std, persistent=False)
        self.register_buffer("shift", (0.5 - mean) / std, persistent=False)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        x, maps = image * self.scale + self.shift, []
        for n, layer in enumerate(self.features):
            x = layer(x)
            if n in TAPS:
                maps.append(x)
        return maps

    def load_published(self, state: dict[str, torch.Tensor], where: str) -> None:
        """Load torchvision's weights; the classifier is left aside."""
        load_strictly(self, state, where, skip=tuple(key for key in state if key.startswith("classifier.")))


def alexnet_weights(path: str | Path | None) -> tuple[dict[str, torch.Tensor], str]:
    """State dict of `path`, or torchvision's ImageNet weights (downloaded once, 233 MB), and where it is from."""
    if path is not None:
        return read_weights(path), str(path)
    from torchvision.models import AlexNet_Weights

    try:
        state = AlexNet_Weights.IMAGENET1K_V1.get_state_dict(check_hash=True, weights_only=True)
    except OSError as error:  # urllib's errors are OSErrors
        raise UserError(
            "torchvision's AlexNet weights cannot be downloaded; give the path of alexnet-owt-7be5be79.pth, or use lite0."
        ) from error
    return dict(state), "torchvision AlexNet_Weights.IMAGENET1K_V1"
