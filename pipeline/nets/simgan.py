"""SimGAN's two nets and their losses (Shrivastava, Pfister, Tuzel, Susskind, Wang, Webb; CVPR 2017, arXiv 1612.07828).

No official code exists. State-dict keys are those of daniel-merrick's re-implementation in PyTorch (`Refiner` and
`Discriminator`), whose LeakyReLU of slope 0.01 stands where the paper has a ReLU.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

Reduction = Literal["mean", "sum"]


class RefinerBlock(nn.Module):
    """leaky(x + conv(leaky(conv(x)))), 3x3 with borders of zeros."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(inplace=True), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(x + self.conv(x), inplace=True)


class Refiner(nn.Module):
    """Picture N C H W in [-1, 1] -> picture of the same size in [-1, 1]; any size, no norm, no down-sampling.

    Args:
        channels: of the picture (1 for the paper's eyes).
        width: channels inside (64 in the paper).
        blocks: residual blocks; each lets a pixel see 2 pixels further (4 for eyes, 10 for hands in the paper).
    """

    def __init__(self, channels: int = 3, width: int = 64, blocks: int = 4) -> None:
        super().__init__()
        self.conv_1 = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(inplace=True))
        self.resnet_blocks = nn.Sequential(*(RefinerBlock(width) for _ in range(blocks)))
        self.conv_2 = nn.Sequential(nn.Conv2d(width, channels, 1), nn.Tanh())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.conv_2(self.resnet_blocks(self.conv_1(image)))


class LocalDiscriminator(nn.Module):
    """Picture N C H W -> logits N 2 h w of local patches, h and w a quarter (rounded up); channel 1 says real.

    Each logit sees 23x23 pixels. The published code gives the same numbers as (N h w, 2).

    Args:
        channels: of the picture (1 for the paper's eyes).
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(channels, 96, 3, stride=2, padding=1), nn.LeakyReLU(inplace=True),
            nn.Conv2d(96, 64, 3, stride=2, padding=1), nn.LeakyReLU(inplace=True),
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.Conv2d(64, 32, 3, padding=1), nn.LeakyReLU(inplace=True),
            nn.Conv2d(32, 32, 1), nn.LeakyReLU(inplace=True),
            nn.Conv2d(32, 2, 1),
        )  # fmt: skip

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.convs(image)


def local_adversarial(logits: torch.Tensor, real: bool, reduction: Reduction) -> torch.Tensor:
    """Cross entropy of the 2-way softmax of every patch (equation 2); logits N 2 h w -> scalar.

    reduction: "mean" over patches and batch, or "sum" over both as the paper writes it. A sum grows with picture and
    batch, and over several processes it is the mean of their sums; weights of other losses have to follow.
    """
    goal = torch.full_like(logits[:, 0], int(real), dtype=torch.long)
    return F.cross_entropy(logits, goal, reduction=reduction)


def self_regularisation(refined: torch.Tensor, synthetic: torch.Tensor, reduction: Reduction) -> torch.Tensor:
    """|refined - synthetic| of two pictures or their features, N C H W each (equation 4) -> scalar.

    reduction: "mean" over all elements, or "sum" over them as in the paper: for a batch of 35x55 eyes 1925 times the
    batch as much.
    """
    return F.l1_loss(refined, synthetic, reduction=reduction)
