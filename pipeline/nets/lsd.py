"""The nets that LSD-seg puts behind a segmenter: one draws its features as a picture, one judges and labels pictures."""

import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.nets.small_segmenter import GROUP, Residual

DOMAINS = 4  # source real, source drawn, target real, target drawn


class FeatureDecoder(nn.Module):
    """Features N C h w -> picture N3HW in [-1, 1], `stride` times as large.

    Args:
        channels: of the features.
        stride: 1, 2, 4, ... 32: pixels of the picture to a position.
        width: channels at the picture's size, a multiple of 8; doubled with each halving up to eight times as many.
        blocks: residual blocks at the features' size.
    """

    def __init__(self, channels: int, stride: int, width: int = 32, blocks: int = 2) -> None:
        super().__init__()
        halvings = stride.bit_length() - 1
        widths = [width * 2 ** min(n, 3) for n in range(halvings, -1, -1)]
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 1), *(Residual(widths[0]) for _ in range(blocks))]
        for before, after in zip(widths, widths[1:], strict=False):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1)]
            layers += [nn.GroupNorm(after // GROUP, after), nn.ReLU(True)]
        self.model = nn.Sequential(*layers, nn.Conv2d(widths[-1], 3, 3, padding=1), nn.Tanh())

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """The picture at `size`, of which the features may be a little more."""
        return self.model(features)[..., : size[0], : size[1]]


class DomainAndClasses(nn.Module):
    """Picture N3HW -> scores N4hw of the domains and N `classes` h w of the classes at 1/8 (an AC-GAN's two answers)."""

    def __init__(self, classes: int, width: int = 64) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width)
        pairs = zip(widths, widths[1:], strict=False)
        self.down = nn.ModuleList(nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in pairs)
        self.score_domain = nn.Conv2d(widths[-1], DOMAINS, 3, padding=1)
        self.score_class = nn.Conv2d(widths[-1], classes, 3, padding=1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = image
        for layer in self.down:
            x = F.leaky_relu(layer(x), 0.2)
        return self.score_domain(x), self.score_class(x)
