"""The generator of Johnson et al. (2016) as CycleGAN publishes it: 2 convolutions down, residual blocks, 2 up.

SPIGAN (section 3.1), CycleGAN and most unpaired translators use it. State-dict keys are those of
junyanz/pytorch-CycleGAN-and-pix2pix, so published weights load unchanged.
"""

from collections.abc import Callable
from typing import Literal, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

Picture = TypeVar("Picture", torch.Tensor, np.ndarray)

MULTIPLE = 4  # two halvings: other sizes come back larger than they went in


class ResnetBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), 3x3 with reflected borders; nothing after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels), nn.ReLU(True),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv_block(x)


class ResnetGenerator(nn.Module):
    """Picture N3HW in [-1, 1] -> picture of the same size in [-1, 1], where H and W are multiples of 4.

    Args:
        width: channels after the first convolution (64 in the papers; the middle has 4 times as many).
        blocks: residual blocks in the middle (9 in the papers, 6 for pictures of 128 pixels).
        up: "transposed" convolutions as published, or "resize" (nearest upsampling, then a 3x3 convolution), which
            cannot draw a checkerboard and so suits short trainings. The two have different state-dict keys.
    """

    def __init__(self, width: int = 64, blocks: int = 9, up: Literal["transposed", "resize"] = "transposed") -> None:
        super().__init__()
        # Biases before an instance norm do nothing; they stay because the published weights have them.
        layers = [nn.ReflectionPad2d(3), *_normed(nn.Conv2d(3, width, 7), width)]
        for channels in (2 * width, 4 * width):
            layers += _normed(nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1), channels)
        layers += [ResnetBlock(4 * width) for _ in range(blocks)]
        for channels in (2 * width, width):
            layers += _normed(_doubling(2 * channels, channels, up), channels)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.model(image)


def _normed(layer: nn.Module, channels: int) -> list[nn.Module]:
    return [layer, nn.InstanceNorm2d(channels), nn.ReLU(True)]


def _doubling(channels_in: int, channels: int, up: str) -> nn.Module:
    if up == "transposed":
        return nn.ConvTranspose2d(channels_in, channels, 3, stride=2, padding=1, output_padding=1)
    if up == "resize":
        convolution = nn.Conv2d(channels_in, channels, 3, padding=1, padding_mode="reflect")
        return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), convolution)
    raise ValueError(f'up must be "transposed" or "resize", not {up!r}')


def pad_to_multiple(
    image: torch.Tensor, multiple: int = MULTIPLE, least: int = 2
) -> tuple[torch.Tensor, Callable[[Picture], Picture]]:
    """Extend NCHW on all sides to multiples of `multiple`; returns it and the function that cuts (..., H, W) back.

    Borders are reflected, or repeated where the picture is too small to reflect. `least`: multiples at least; two where
    residual blocks reflect a border themselves.
    """
    height, width = image.shape[-2:]
    below, beside = (max(-length % multiple, least * multiple - length) for length in (height, width))
    top, left = below // 2, beside // 2
    sides = (left, beside - left, top, below - top)
    mode = "reflect" if max(sides[:2]) < width and max(sides[2:]) < height else "replicate"
    padded = F.pad(image, sides, mode=mode) if any(sides) else image

    def crop(picture: Picture) -> Picture:
        return picture[..., top : top + height, left : left + width]

    return padded, crop
