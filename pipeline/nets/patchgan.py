"""PatchGAN: a discriminator that scores overlapping patches (Isola et al. 2017, section 3.2.2), and its 1x1 kind.

State-dict keys are those of junyanz/pytorch-CycleGAN-and-pix2pix (`NLayerDiscriminator`, `PixelDiscriminator`).
"""

from typing import Literal

import torch
from torch import nn

from pipeline.nets.synchronised import SynchronisedNorm

PatchNorm = Literal["instance", "batch", "none"]


class PatchGAN(nn.Module):
    """Picture N C H W -> raw scores N1hw, no sigmoid; a score sees 16, 70 or 286 pixels squared with 1, 3 or 5 layers.

    Args:
        layers: convolutions of stride 2 (3 in the papers). The picture must be at least 2^(layers + 1) + 2^layers
            pixels high and wide, or nothing is left to score.
        width: channels after the first convolution; doubled by each layer up to 8 times.
        channels: channels of the input: 3, or 6 where a condition is stacked in front of the picture.
        norm: "instance" as published for CycleGAN, "batch" as for pix2pix, or "none". Instance norm divides a picture's
            contrast away, and grain and haze with it: without it a narrow net tells two looks apart sooner.
    """

    def __init__(self, layers: int = 3, width: int = 64, channels: int = 3, norm: PatchNorm = "instance") -> None:
        super().__init__()
        model: list[nn.Module] = [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, True)]
        before = width
        for n in range(1, layers + 1):
            after = width * min(2**n, 8)
            stride = 2 if n < layers else 1
            convolution = nn.Conv2d(before, after, 4, stride, padding=1, bias=norm != "batch")
            model += [convolution, _norm(norm, after), nn.LeakyReLU(0.2, True)]
            before = after
        model.append(nn.Conv2d(before, 1, 4, stride=1, padding=1))
        self.model = nn.Sequential(*model)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.model(image)


class PixelGAN(nn.Module):
    """Picture N C H W -> raw scores N1HW: every score sees one pixel, so it judges colours alone (section 4.4).

    Arguments as PatchGAN's; as published, batch norm leaves the last convolution without a bias too.
    """

    def __init__(self, width: int = 64, channels: int = 3, norm: PatchNorm = "instance") -> None:
        super().__init__()
        bias = norm != "batch"
        self.net = nn.Sequential(
            nn.Conv2d(channels, width, 1), nn.LeakyReLU(0.2, True),
            nn.Conv2d(width, 2 * width, 1, bias=bias), _norm(norm, 2 * width), nn.LeakyReLU(0.2, True),
            nn.Conv2d(2 * width, 1, 1, bias=bias),
        )  # fmt: skip

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.net(image)


def _norm(norm: str, channels: int) -> nn.Module:
    if norm == "batch":
        return SynchronisedNorm(channels)
    if norm == "instance":
        return nn.InstanceNorm2d(channels)
    if norm == "none":
        return nn.Identity()  # in a norm's place: the keys stay
    raise ValueError(f'norm must be "instance", "batch" or "none", not {norm!r}')
