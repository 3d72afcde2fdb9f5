"""PatchGAN: a discriminator that scores overlapping patches (Isola et al. 2017, section 3.2.2).

State-dict keys are those of junyanz/pytorch-CycleGAN-and-pix2pix (`NLayerDiscriminator`).
"""

from typing import Literal

import torch
from torch import nn

PatchNorm = Literal["instance", "none"]


class PatchGAN(nn.Module):
    """Picture N C H W -> raw scores N1hw, no sigmoid; with 3 layers each score sees 70x70 pixels.

    Args:
        layers: convolutions of stride 2 (3 in the papers). The picture must be at least 2^(layers + 1) + 2^layers
            pixels high and wide, or nothing is left to score.
        width: channels after the first convolution; doubled by each layer up to 8 times.
        channels: channels of the input (3, or 6 where a condition is stacked on the picture).
        norm: "instance" as published, or "none". Instance norm divides a picture's contrast away, and grain and haze with
            it: without it a narrow net tells two looks apart sooner.
    """

    def __init__(self, layers: int = 3, width: int = 64, channels: int = 3, norm: PatchNorm = "instance") -> None:
        super().__init__()
        model: list[nn.Module] = [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, True)]
        before = width
        for n in range(1, layers + 1):
            after = width * min(2**n, 8)
            stride = 2 if n < layers else 1
            middle = nn.InstanceNorm2d(after) if norm == "instance" else nn.Identity()  # in its place: the keys stay
            model += [nn.Conv2d(before, after, 4, stride, padding=1), middle, nn.LeakyReLU(0.2, True)]
            before = after
        model.append(nn.Conv2d(before, 1, 4, stride=1, padding=1))
        self.model = nn.Sequential(*model)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.model(image)
