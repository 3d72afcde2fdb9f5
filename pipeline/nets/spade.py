"""SPADE: pictures from label maps by spatially-adaptive normalisation (Park, Liu, Wang, Zhu; CVPR 2019, arXiv 1903.07291).

The generator and the image encoder. State-dict keys are those of NVlabs/SPADE (`SPADEGenerator`, `ConvEncoder`), so
published weights load unchanged. Spectral norm is where the code has it: on the blocks' convolutions and the encoder's,
not on the first and last layer and not inside the SPADE layers (the paper says everywhere).
"""

import math
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.files import UserError
from pipeline.nets.multiscale import SpectralConv2d, Weights, shape_of
from pipeline.nets.synchronised import SynchronisedNorm

SpadeNorm = Literal["batch", "instance", "synchronised"]
Upsampling = Literal["fewer", "normal", "more", "most"]
DOUBLINGS = {"fewer": 4, "normal": 5, "more": 6, "most": 7}
SLOPE = 0.2  # of every LeakyReLU
START = 4  # height and width of the encoder's last map


def _parameter_free(norm: SpadeNorm, width: int) -> nn.Module:
    if norm == "instance":
        return nn.InstanceNorm2d(width)
    if norm in ("batch", "synchronised"):
        kind = SynchronisedNorm if norm == "synchronised" else nn.BatchNorm2d
        return kind(width, affine=False)
    raise ValueError(f'norm must be "batch", "instance" or "synchronised", not {norm!r}')


class Spade(nn.Module):
    """norm(x) * (1 + gamma(m)) + beta(m), the semantics m brought to x's size by the caller (equation 1)."""

    def __init__(self, width: int, channels: int, hidden: int, norm: SpadeNorm) -> None:
        super().__init__()
        self.param_free_norm = _parameter_free(norm, width)
        self.mlp_shared = nn.Sequential(nn.Conv2d(channels, hidden, 3, padding=1), nn.ReLU(True))
        self.mlp_gamma = nn.Conv2d(hidden, width, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, width, 3, padding=1)

    def forward(self, x: torch.Tensor, semantics: torch.Tensor) -> torch.Tensor:
        both = (self.mlp_gamma, self.mlp_beta)  # in one convolution: up to a tenth faster on the CPU
        weight, bias = (torch.cat([layer.get_parameter(name) for layer in both]) for name in ("weight", "bias"))
        gamma, beta = F.conv2d(self.mlp_shared(semantics), weight, bias, padding=1).chunk(2, 1)
        return self.param_free_norm(x) * (1 + gamma) + beta


class SpadeBlock(nn.Module):
    """Residual block of two SPADE layers; a third and a 1x1 convolution in the shortcut where the width changes."""

    def __init__(self, before: int, after: int, channels: int, hidden: int, norm: SpadeNorm) -> None:
        super().__init__()
        middle = min(before, after)
        self.learned_shortcut = before != after
        self.conv_0 = SpectralConv2d(before, middle, 3)
        self.conv_1 = SpectralConv2d(middle, after, 3)
        if self.learned_shortcut:
            self.conv_s = SpectralConv2d(before, after, 1, bias=False)
        self.norm_0 = Spade(before, channels, hidden, norm)
        self.norm_1 = Spade(middle, channels, hidden, norm)
        if self.learned_shortcut:
            self.norm_s = Spade(before, channels, hidden, norm)

    def forward(self, x: torch.Tensor, semantics: torch.Tensor) -> torch.Tensor:
        semantics = F.interpolate(semantics, x.shape[-2:], mode="nearest")
        main = self.conv_0(F.leaky_relu(self.norm_0(x, semantics), SLOPE))
        main = self.conv_1(F.leaky_relu(self.norm_1(main, semantics), SLOPE))
        return main + (self.conv_s(self.norm_s(x, semantics)) if self.learned_shortcut else x)


class SpadeGenerator(nn.Module):
    """Semantics N C H W -> picture N3HW in [-1, 1] of the same size.

    H and W must be multiples of `multiple` (a UserError otherwise); the published code draws one size only, whatever
    the label map's. In training mode the start must have more than one place a batch: batch norm needs two.

    Args:
        channels: of the semantics: classes, don't-care, edge, in any number.
        width: the published `ngf` (64); the start has 16 times as many channels.
        upsampling: times that the start is doubled: "fewer" 4 (multiples of 16, for small crops), "normal" 5 (32),
            "more" 6 (64), "most" 7 (128, with a block more). The first three have the same weights.
        norm: before the modulation. "synchronised" as published; the same as "batch" on one process.
        hidden: channels inside every SPADE layer (128 as published), most of the cost of a narrow net.
        z_dim: 0 starts from the semantics, else from a style vector N x z_dim (256 as published), given at each call.
        start: height and width of the map that the style vector becomes; the training crop over `multiple`. For label
            maps of other sizes it is stretched.
    """

    def __init__(
        self,
        channels: int,
        width: int = 64,
        upsampling: Upsampling = "normal",
        norm: SpadeNorm = "synchronised",
        hidden: int = 128,
        z_dim: int = 0,
        start: tuple[int, int] = (8, 8),
    ) -> None:
        super().__init__()
        self.multiple = 2 ** DOUBLINGS[upsampling]
        self.channels, self.z_dim, self.start = channels, z_dim, tuple(start)
        deep = 16 * width
        self.fc = nn.Linear(z_dim, deep * math.prod(start)) if z_dim else nn.Conv2d(channels, deep, 3, padding=1)
        widths = {"head_0": deep, "G_middle_0": deep, "G_middle_1": deep}
        widths |= {f"up_{n}": deep // 2 ** (n + 1) for n in range(5 if upsampling == "most" else 4)}
        before = deep
        for name, after in widths.items():
            self.add_module(name, SpadeBlock(before, after, channels, hidden, norm))
            before = after
        self.conv_img = nn.Conv2d(before, 3, 3, padding=1)
        self.blocks = list(widths)
        ups = [name for name in widths if name.startswith("up_")]
        self.doubled = frozenset([*ups, "G_middle_0", "G_middle_1"][: DOUBLINGS[upsampling]])  # before these blocks

    def forward(self, semantics: torch.Tensor, z: torch.Tensor | None = None) -> torch.Tensor:
        x = self._begin(semantics, z)
        for name in self.blocks:
            x = F.interpolate(x, scale_factor=2, mode="nearest") if name in self.doubled else x
            x = self.get_submodule(name)(x, semantics)
        return torch.tanh(self.conv_img(F.leaky_relu(x, SLOPE)))

    def _begin(self, semantics: torch.Tensor, z: torch.Tensor | None) -> torch.Tensor:
        height, width = semantics.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise UserError(
                f"A label map of {height} x {width} pixels cannot be drawn by this SPADE generator; "
                f"height and width must be multiples of {self.multiple}."
            )
        size = (height // self.multiple, width // self.multiple)
        if not self.z_dim:
            return self.fc(F.interpolate(semantics, size, mode="nearest"))
        if z is None:
            raise ValueError(f"this generator draws in a style: give z of {self.z_dim} numbers a picture")
        x = self.fc(z).view(len(z), -1, *self.start)
        return x if size == self.start else F.interpolate(x, size, mode="bilinear", align_corners=False)


class SpadeEncoder(nn.Module):
    """Picture N3HW in [-1, 1] of any size -> mean and log variance of its style, N x z_dim each.

    Args:
        width: the published `ngf` (64).
        z_dim: 256 as published.
        layers: convolutions of stride 2 down to 4x4; the picture is first brought to 4 * 2^layers pixels a side (6 and
            256 as published; 5 for crops of 128).
    """

    def __init__(self, width: int = 64, z_dim: int = 256, layers: int = 6) -> None:
        super().__init__()
        self.layers, self.side = layers, START * 2**layers
        before = 3
        for n in range(layers):
            after = width * min(2**n, 8)
            convolution = SpectralConv2d(before, after, 3, stride=2, bias=False)
            self.add_module(f"layer{n + 1}", nn.Sequential(convolution, nn.InstanceNorm2d(after)))
            before = after
        self.fc_mu = nn.Linear(before * START**2, z_dim)
        self.fc_var = nn.Linear(before * START**2, z_dim)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.interpolate(image, (self.side, self.side), mode="bilinear", align_corners=False)
        for n in range(self.layers):
            x = F.leaky_relu(self.get_submodule(f"layer{n + 1}")(x), SLOPE)
        x = x.flatten(1)
        return self.fc_mu(x), self.fc_var(x)


def sample_style(mu: torch.Tensor, logvar: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """mu + noise * deviation, all N x z_dim; `noise` is standard normal, drawn by the caller from a stream of its own."""
    return mu + noise * torch.exp(0.5 * logvar)


def infer_generator(
    state: Weights, where: str | Path, upsampling: Upsampling = "normal", start: tuple[int, int] | None = None
) -> dict[str, Any]:
    """Arguments of the `SpadeGenerator` whose weights `state` holds; `load_strictly` then names what does not fit.

    What shapes do not tell must be given: `upsampling`, if not "most" (published: "more" for Cityscapes, "normal" for
    ADE20K and COCO), and `start` for a net with style, by default a square or twice as wide as high.
    """
    hidden, channels, *_ = shape_of(state, "head_0.norm_0.mlp_shared.0.weight", where)
    width = shape_of(state, "head_0.conv_0.weight_orig", where)[0] // 16
    tracked = any(key.endswith("running_mean") for key in state)
    options: dict[str, Any] = {
        "channels": channels,
        "width": width,
        "upsampling": "most" if "up_4.conv_0.weight_orig" in state else upsampling,
        "norm": "synchronised" if tracked else "instance",
        "hidden": hidden,
    }
    first = shape_of(state, "fc.weight", where)
    if len(first) == 2:
        options |= {"z_dim": first[1], "start": _start(first[0] // (16 * width), start, where)}
    return options


def _start(places: int, given: tuple[int, int] | None, where: str | Path) -> tuple[int, int]:
    square, flat = math.isqrt(places), math.isqrt(places // 2)
    guesses = [given] if given else [(square, square), (flat, 2 * flat)]
    for guess in guesses:
        if math.prod(guess) == places and min(guess) > 0:
            return guess
    raise UserError(f"The style in {where} becomes a map of {places} places; give its height and width as start.")


def infer_encoder(state: Weights, where: str | Path) -> dict[str, Any]:
    """Arguments of the `SpadeEncoder` whose weights `state` holds."""
    width = shape_of(state, "layer1.0.weight_orig", where)[0]
    layers = sum(key.startswith("layer") and key.endswith("weight_orig") for key in state)
    return {"width": width, "z_dim": shape_of(state, "fc_mu.weight", where)[0], "layers": layers}
