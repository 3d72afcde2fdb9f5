"""FCN-8s on VGG16 (Long et al. 2015), as wkentaro/pytorch-fcn publishes it; SPIGAN's task and privileged nets.

State-dict keys are those of torchfcn.models.FCN8s.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.files import problems
from pipeline.nets.dropout import SampleDropout2d
from pipeline.nets.init import bilinear_kernel
from pipeline.nets.levels import Level
from pipeline.nets.vgg19 import MEAN, STD
from pipeline.nets.weights import read_weights

STAGES = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # channels as multiples of the width, convolutions
# Index in torchvision's vgg16().features of each convolution, in order.
VGG16_FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


class FCN8s(nn.Module):
    """Picture N3HW in [-1, 1] -> logits N `classes` H W at the picture's size.

    Args:
        classes: channels of the output; 1 makes it a depth net.
        width: channels of the first stage; 64 is VGG16 and 134 M parameters, fc6 and fc7 have 64 x width channels.
        same: pad convolutions by their own size ("same") instead of the published border of 100 pixels. It saves most
            of the work on crops (320x320: two fifths remain); weights fit both, results are not the same.
        dropout: of whole channels after fc6 and fc7, 0.5 as published; streams by `seed_dropout`.
    """

    def __init__(self, classes: int, width: int = 64, same: bool = False, dropout: float = 0.5) -> None:
        super().__init__()
        self.same = same
        before = 3
        for stage, (multiple, count) in enumerate(STAGES, 1):
            for n in range(1, count + 1):
                first = stage == n == 1
                padding = 100 if first and not same else 1
                self.add_module(f"conv{stage}_{n}", nn.Conv2d(before, multiple * width, 3, padding=padding))
                before = multiple * width
        self.fc6 = nn.Conv2d(8 * width, 64 * width, 7, padding=3 if same else 0)
        self.fc7 = nn.Conv2d(64 * width, 64 * width, 1)
        self.drop6, self.drop7 = SampleDropout2d(dropout), SampleDropout2d(dropout)
        self.score_fr = nn.Conv2d(64 * width, classes, 1)
        self.score_pool3 = nn.Conv2d(4 * width, classes, 1)
        self.score_pool4 = nn.Conv2d(8 * width, classes, 1)
        self.upscore2 = nn.ConvTranspose2d(classes, classes, 4, stride=2, bias=False)
        self.upscore8 = nn.ConvTranspose2d(classes, classes, 16, stride=8, bias=False)
        self.upscore_pool4 = nn.ConvTranspose2d(classes, classes, 4, stride=2, bias=False)
        for layer in (self.upscore2, self.upscore8, self.upscore_pool4):
            with torch.no_grad():
                layer.weight.copy_(bilinear_kernel(layer))
        self.feature_maps = ((64 * width, 32),)  # channels and stride

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.levels(image)[0].logits

    def levels(self, image: torch.Tensor) -> list[Level]:
        """Scores, and the map of fc7."""
        x, pools = image, []
        for stage, (_, count) in enumerate(STAGES, 1):
            for n in range(1, count + 1):
                x = F.relu(self.get_submodule(f"conv{stage}_{n}")(x), inplace=True)
            x = F.max_pool2d(x, 2, ceil_mode=True)
            pools.append(x)
        x = self.drop6(F.relu(self.fc6(x), inplace=True))
        x = self.drop7(F.relu(self.fc7(x), inplace=True))
        fc7, coarse = x, self.upscore2(self.score_fr(x))
        coarse = self._add(coarse, self.score_pool4(pools[3]), published=5)
        coarse = self._add(self.upscore_pool4(coarse), self.score_pool3(pools[2]), published=9)
        coarse = self.upscore8(coarse)
        return [Level(_window(coarse, 4 if self.same else 31, image), fc7)]

    def _add(self, coarse: torch.Tensor, skip: torch.Tensor, published: int) -> torch.Tensor:
        """Add scores where they lie over each other; either the skip has a border or the coarse map its kernel's."""
        if self.same:
            return _window(coarse, 1, skip) + skip
        return coarse + _window(skip, published, coarse)


def _window(x: torch.Tensor, offset: int, like: torch.Tensor) -> torch.Tensor:
    height, width = like.shape[-2:]
    return x[..., offset : offset + height, offset : offset + width]


def load_vgg16(net: FCN8s, path: str | Path) -> None:
    """Start an FCN8s of width 64 from torchvision's vgg16 weights (local file), fc6 and fc7 included.

    The weights expect ImageNet's mean and deviation; this is worked into conv1_1, so that the net still takes [-1, 1].
    Everything that is missing or mis-shaped is named in one UserError.
    """
    state = read_weights(path)
    goals = dict(zip((f"features.{n}" for n in VGG16_FEATURES), _convolutions(), strict=True))
    goals |= {"classifier.0": "fc6", "classifier.3": "fc7"}
    lines, loaded = [], {}
    own = net.state_dict()
    for origin, goal in goals.items():
        for leaf in ("weight", "bias"):
            value, wanted = state.get(f"{origin}.{leaf}"), own[f"{goal}.{leaf}"]
            if value is None:
                lines.append(f"missing: {origin}.{leaf}")
            elif value.numel() != wanted.numel():
                lines.append(f"{origin}.{leaf}: {tuple(value.shape)} in the file, {tuple(wanted.shape)} in {goal}")
            else:
                loaded[f"{goal}.{leaf}"] = value.reshape(wanted.shape)
    if lines:
        raise problems(f"The weights in {path} are not torchvision's vgg16, or the FCN8s is not of width 64.", lines)
    _absorb_normalisation(loaded)
    net.load_state_dict(own | loaded)


def _convolutions() -> list[str]:
    return [f"conv{stage}_{n}" for stage, (_, count) in enumerate(STAGES, 1) for n in range(1, count + 1)]


def _absorb_normalisation(state: dict[str, torch.Tensor]) -> None:
    """Rewrite conv1_1 for input in [-1, 1] instead of (picture in [0, 1] - mean) / deviation."""
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    weight = state["conv1_1.weight"]
    shift = ((0.5 - mean) / std)[None, :, None, None]
    state["conv1_1.bias"] = state["conv1_1.bias"] + (weight * shift).sum((1, 2, 3))
    state["conv1_1.weight"] = weight * (0.5 / std)[None, :, None, None]
