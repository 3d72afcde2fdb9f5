"""InfoGAN's nets (Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel; NIPS 2016, arXiv 1606.03657, appendix C).

State-dict keys are those of Natsu6767/InfoGAN-PyTorch: `Generator`, `Discriminator` (the trunk that D and Q share), `DHead`
and `QHead`; size 28 is its MNIST, 32 its SVHN and CelebA. Pictures are in [-1, 1] on both sides at either size; the
published nets of size 28 draw and take [0, 1], so ours change over inside. Start them with `init_normal`.

Batch norm: an answer is one picture's own in eval mode only, and a training batch has two pictures at least.
"""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.files import UserError
from pipeline.nets.dcgan import check_pictures
from pipeline.nets.synchronised import SynchronisedNorm

SLOPE = 0.1  # of the trunk's and Q's LeakyReLUs
HALVING = 4  # kernel of the layers that halve or double a side; the others have stride 1 and no padding


class Plan(NamedTuple):
    """Layers as (kernel, channels in multiples of the width)."""

    up: tuple[tuple[int, int], ...]  # of the generator; one more, from there to the picture
    normed: int  # of them, from the first on
    down: tuple[tuple[int, int], ...]  # of the trunk; all normed but the first
    side: int  # of the trunk's features
    unit: bool  # whether the published pictures are in [0, 1]


PLANS = {
    28: Plan(up=((1, 16), (7, 2), (4, 1)), normed=3, down=((4, 1), (4, 2), (7, 16)), side=1, unit=True),
    32: Plan(up=((2, 7), (4, 4), (4, 2), (4, 1)), normed=2, down=((4, 1), (4, 2), (4, 4)), side=4, unit=False),
}


class InfoGenerator(nn.Module):
    """Codes N K -> pictures N C size size in [-1, 1].

    Args:
        size: 28 or 32 (a UserError otherwise).
        code: K, the numbers of a code: noise, one-hot categories, continuous codes (62 + 10 + 2 for MNIST), in the order
            of the published nets.
        channels: of the picture.
        width: channels in front of the last layer (64 in the paper); the others follow.
    """

    def __init__(self, size: int = 28, code: int = 74, channels: int = 1, width: int = 64) -> None:
        super().__init__()
        plan = _plan(size)
        self.unit, self.layers, before = plan.unit, len(plan.up), code
        for n, (kernel, times) in enumerate(plan.up, 1):
            after = times * width
            layer = nn.ConvTranspose2d if kernel == HALVING else _Spread
            self.add_module(f"tconv{n}", layer(before, after, kernel, *_step(kernel), bias=False))
            self.add_module(f"bn{n}", SynchronisedNorm(after) if n <= plan.normed else nn.Identity())
            before = after
        last = nn.ConvTranspose2d(before, channels, HALVING, *_step(HALVING), bias=False)
        self.add_module(f"tconv{self.layers + 1}", last)

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        x = code[:, :, None, None]
        for n in range(1, self.layers + 1):
            x = F.relu(self.get_submodule(f"bn{n}")(self.get_submodule(f"tconv{n}")(x)))
        x = self.get_submodule(f"tconv{self.layers + 1}")(x)
        return torch.tanh(x / 2 if self.unit else x)  # tanh(x / 2) is the published sigmoid, brought to [-1, 1]


class InfoTrunk(nn.Module):
    """Pictures N C size size in [-1, 1] -> features for both heads: N 16*width 1 1 of size 28, N 4*width 4 4 of 32.

    Arguments as the generator's; a UserError for pictures of another shape.
    """

    def __init__(self, size: int = 28, channels: int = 1, width: int = 64) -> None:
        super().__init__()
        plan = _plan(size)
        self.picture, self.unit, self.layers = (channels, size, size), plan.unit, len(plan.down)
        before = channels
        for n, (kernel, times) in enumerate(plan.down, 1):
            after = times * width
            layer = nn.Conv2d if kernel == HALVING else _Whole
            self.add_module(f"conv{n}", layer(before, after, kernel, *_step(kernel), bias=n == 1))
            self.add_module(f"bn{n}", SynchronisedNorm(after) if n > 1 else nn.Identity())
            before = after

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        check_pictures(image, self.picture)
        x = (image + 1) / 2 if self.unit else image
        for n in range(1, self.layers + 1):
            x = F.leaky_relu(self.get_submodule(f"bn{n}")(self.get_submodule(f"conv{n}")(x)), SLOPE)
        return x


class InfoDHead(nn.Module):
    """The trunk's features -> logits N, positive for real; the published head ends in a sigmoid."""

    def __init__(self, size: int = 28, width: int = 64) -> None:
        super().__init__()
        channels, side = _features(size, width)
        self.conv = nn.Conv2d(channels, 1, side)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.conv(features)[:, 0, 0, 0]


class InfoQHead(nn.Module):
    """The trunk's features -> logits N categories, means and log variances N continuous of the codes: Q(c|x).

    Args:
        size, width: the trunk's.
        categories: logits of all categorical codes (10 for MNIST; 40 for the four codes of 10 of SVHN).
        continuous: codes of that kind (2 for MNIST). Where their variance is fixed (the paper, see
            `losses_codes.gaussian_nll`) the last layer learns nothing.
    """

    def __init__(self, size: int = 28, categories: int = 10, continuous: int = 2, width: int = 64) -> None:
        super().__init__()
        channels, side = _features(size, width)
        self.conv1 = nn.Conv2d(channels, 2 * width, side, bias=False)
        self.bn1 = SynchronisedNorm(2 * width)
        self.conv_disc = nn.Conv2d(2 * width, categories, 1)
        self.conv_mu = nn.Conv2d(2 * width, continuous, 1)
        self.conv_var = nn.Conv2d(2 * width, continuous, 1)  # of the variance's logarithm

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = F.leaky_relu(self.bn1(self.conv1(features)), SLOPE)
        logits, mean, log_variance = (layer(x)[:, :, 0, 0] for layer in (self.conv_disc, self.conv_mu, self.conv_var))
        return logits, mean, log_variance


@torch.no_grad()
def begin_at(net: InfoGenerator, brightness: float) -> None:
    """Shift the last kernels so that the first pictures have this brightness, 0 to 1, in place of 0.5.

    From grey the generator needs hundreds of steps to where digits lie, and codes become noise on the way. Four taps
    meet at a pixel, each of ReLUs whose mean is 0.4 where they are normed (size 28; of size 32 the shift is less).
    """
    weight: Any = net.get_submodule(f"tconv{net.layers + 1}").weight
    weight += math.log(brightness / (1 - brightness)) * (1 if net.unit else 0.5) / (len(weight) * 4 * 0.4)


@torch.no_grad()
def begin_undecided(net: InfoQHead, generator: torch.Generator) -> None:
    """Start the last layers of Q with answers that differ by about 1: from equal ones their information has no slope."""
    for layer in (net.conv_disc, net.conv_mu):
        nn.init.normal_(layer.weight, 0, layer.in_channels**-0.5, generator=generator)


class _Whole(nn.Conv2d):
    """A convolution whose kernel covers the whole map, as the product of matrices that it is: 5 times as fast on a CPU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x.flatten(1), self.weight.flatten(1), self.bias)[:, :, None, None]


class _Spread(nn.ConvTranspose2d):
    """The transpose of that: from a map of one place to one of the kernel's size, without a bias."""

    def forward(self, x: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        return (x.flatten(1) @ self.weight.flatten(1)).unflatten(1, self.weight.shape[1:])


def _plan(size: int) -> Plan:
    if size not in PLANS:
        raise UserError(f"InfoGAN's nets draw and judge squares of 28 or 32 pixels, not {size}; choose one of these.")
    return PLANS[size]


def _features(size: int, width: int) -> tuple[int, int]:
    """Channels and side of the trunk's features."""
    plan = _plan(size)
    return plan.down[-1][1] * width, plan.side


def _step(kernel: int) -> tuple[int, int]:
    """Stride and padding."""
    return (2, 1) if kernel == HALVING else (1, 0)
