"""A small, fast segmentation net for the CPU: encoder to 1/16, feature pyramid at 1/4. About 0.5 M parameters.

Group norm instead of batch norm: a prediction does not depend on what else is in the batch, on the number of ranks or
on running statistics, and a batch of 4 crops trains as well as any.
"""

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.nets.levels import Level

GROUP = 8  # channels that are normalised together


class SmallSegmenter(nn.Module):
    """Picture N3HW in [-1, 1] -> logits N `classes` H W at the picture's size; any size from 32 pixels on.

    Coarse scores come from the pyramid of 1/4, 1/8 and 1/16 (Lin et al. 2017), and a second score straight from the
    first layer at 1/2 sharpens borders and poles; their sum is enlarged.

    Args:
        classes: channels of the output; 1 makes it a depth net.
        width: channels at 1/2 resolution, a multiple of 8; 2, 4 and 6 times as many at 1/4, 1/8 and 1/16.
        auxiliary: scores of the encoder's map at 1/8 as well, for `levels`; the rest is as without.
    """

    def __init__(self, classes: int, width: int = 16, auxiliary: bool = False) -> None:
        super().__init__()
        w, pyramid = width, 3 * width
        self.down2 = _convolution(3, w, stride=2)
        self.down4 = nn.Sequential(_convolution(w, 2 * w, stride=2), Residual(2 * w))
        self.down8 = nn.Sequential(_convolution(2 * w, 4 * w, stride=2), Residual(4 * w))
        self.down16 = nn.Sequential(_convolution(4 * w, 6 * w, stride=2), Residual(6 * w, 2), Residual(6 * w, 4))
        self.lateral4 = nn.Conv2d(2 * w, pyramid, 1)
        self.lateral8 = nn.Conv2d(4 * w, pyramid, 1)
        self.lateral16 = nn.Conv2d(6 * w, pyramid, 1)
        self.smooth = _convolution(pyramid, pyramid)
        self.score4 = nn.Conv2d(pyramid, classes, 1)
        self.score2 = nn.Conv2d(w, classes, 3, padding=1)
        self.feature_maps = ((4 * w, 8), (pyramid, 4))[0 if auxiliary else 1 :]  # channels and stride
        if auxiliary:  # last, so that a seed draws the other layers the same with it and without
            self.score_auxiliary = nn.Conv2d(4 * w, classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self._run(image)[0].logits

    def levels(self, image: torch.Tensor) -> list[Level]:
        """Scores and features: of the auxiliary head, if there is one, then of the main one."""
        main, at8 = self._run(image)
        if len(self.feature_maps) == 1:
            return [main]
        return [Level(_enlarge(self.score_auxiliary(at8).contiguous(), image), at8), main]

    def _run(self, image: torch.Tensor) -> tuple[Level, torch.Tensor]:
        """The main level, and the encoder's map at 1/8."""
        at2 = self.down2(image.contiguous(memory_format=torch.channels_last))  # a quarter faster on the CPU
        at4 = self.down4(at2)
        at8 = self.down8(at4)
        merged = self.lateral8(at8) + _enlarge(self.lateral16(self.down16(at8)), at8)
        merged = self.lateral4(at4) + _enlarge(merged, at4)
        smooth = self.smooth(merged)
        logits = _enlarge(self.score4(smooth), at2) + self.score2(at2)
        return Level(_enlarge(logits.contiguous(), image), smooth), at8


class Residual(nn.Module):
    """relu(x + norm(conv(relu(norm(conv(x))))))."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = _convolution(channels, channels, dilation=dilation)
        self.second = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm = nn.GroupNorm(channels // GROUP, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.norm(self.second(self.first(x))))


def _convolution(before: int, after: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=dilation, dilation=dilation, bias=False),
        nn.GroupNorm(after // GROUP, after),
        nn.ReLU(True),
    )


def _enlarge(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)
