"""Discriminators that judge a picture at several scales, as SPADE and pix2pixHD publish them, and their spectral norm.

Both give a list over scales, the full size first, of lists of feature maps, shallow to deep; the last map of a list is
the prediction, raw scores without sigmoid. State-dict keys are those of NVlabs/SPADE (`MultiscaleDiscriminator` with
`spectralinstance`) and of NVIDIA/pix2pixHD (`MultiscaleDiscriminator`), so published weights load unchanged.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.files import UserError

Weights = dict[str, torch.Tensor]
Maps = list[list[torch.Tensor]]  # of a scale, of a layer
MOST = 512  # channels of a layer, in both publications


class SpectralConv2d(nn.Module):
    """Convolution whose weight is divided by its largest singular value (Miyato et al. 2018), estimated as published.

    In training mode every pass first goes one step of the power iteration on, v from u and then u from v; the vectors
    are constants for the gradient. torch's parametrization goes the other way round and at another moment, so that the
    published numbers, vectors and keys (`weight_orig`, `weight_u`, `weight_v`) would not come out of it. The norm is
    computed in the weight's own precision under autocast too.
    """

    bias: nn.Parameter | None
    weight_u: torch.Tensor
    weight_v: torch.Tensor

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.stride, self.padding = stride, kernel // 2
        self.register_parameter("bias", nn.Parameter(torch.empty(after)) if bias else None)
        self.weight_orig = nn.Parameter(torch.empty(after, before, kernel, kernel))
        self.register_buffer("weight_u", torch.empty(after))
        self.register_buffer("weight_v", torch.empty(before * kernel * kernel))
        self.reset()

    @torch.no_grad()
    def reset(self, generator: torch.Generator | None = None) -> None:
        """torch's default weights, bias 0 and random unit vectors.

        So the published nets start on a GPU: their Xavier initialisation reaches a weight that is never read again.
        """
        nn.init.kaiming_uniform_(self.weight_orig, math.sqrt(5), generator=generator)
        for vector in (self.weight_u, self.weight_v):
            vector.copy_(F.normalize(nn.init.normal_(vector, generator=generator), dim=0))
        if self.bias is not None:
            self.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, enabled=False):
            weight = self.weight_orig / self._norm()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)

    def _norm(self) -> torch.Tensor:
        matrix = self.weight_orig.flatten(1)
        if self.training:
            with torch.no_grad():
                self.weight_v.copy_(F.normalize(matrix.t() @ self.weight_u, dim=0))
                self.weight_u.copy_(F.normalize(matrix @ self.weight_v, dim=0))
        # Copies: the next pass writes over the vectors, and this one's gradient still needs them.
        return self.weight_u.clone() @ (matrix @ self.weight_v.clone())


def init_xavier(net: nn.Module, generator: torch.Generator, gain: float = 0.02) -> None:
    """SPADE's first weights: Xavier's with a small gain, biases 0; layers with spectral norm see `SpectralConv2d.reset`."""
    for layer in net.modules():
        if isinstance(layer, SpectralConv2d):
            layer.reset(generator)
        elif isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.xavier_normal_(layer.weight, gain, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class SpadeDiscriminator(nn.Module):
    """Label map and picture stacked, N C H W -> maps of each scale; with 3 layers each score sees 70x70 pixels.

    Spectral norm on the middle convolutions alone, instance norm behind them (Park et al. 2019, with the code's changes).

    Args:
        channels: of the input, the label map's and the picture's.
        width: channels after the first convolution; doubled by each layer up to 512.
        layers: convolutions of stride 2; the published `n_layers_D` is one more.
        scales: the picture itself, its half, and so on.
    """

    def __init__(self, channels: int, width: int = 64, layers: int = 3, scales: int = 2) -> None:
        super().__init__()
        self.layers, self.scales = layers, scales
        for scale in range(scales):
            model = nn.Module()
            first, *middle, last = _sizes(channels, width, layers)
            model.model0 = nn.Sequential(_convolution(*first), nn.LeakyReLU(0.2, True))
            for n, (before, after, stride) in enumerate(middle, 1):
                normed = nn.Sequential(SpectralConv2d(before, after, 4, stride, bias=False), nn.InstanceNorm2d(after))
                model.add_module(f"model{n}", nn.Sequential(normed, nn.LeakyReLU(0.2, True)))
            model.add_module(f"model{layers + 1}", nn.Sequential(_convolution(*last)))
            self.add_module(f"discriminator_{scale}", model)

    def forward(self, x: torch.Tensor) -> Maps:
        names = [[f"discriminator_{scale}.model{n}" for n in range(self.layers + 2)] for scale in range(self.scales)]
        return _judge(x, [[self.get_submodule(name) for name in scale] for scale in names])


class Pix2pixHDDiscriminator(nn.Module):
    """Label map and picture stacked, N C H W -> maps of each scale (Wang et al. 2018, section 3.2).

    The published order of the weights is kept: `scale0` (or `layer0`) judges the smallest picture, the last one the
    full size; the result has the full size first all the same.

    Args:
        channels, width, layers, scales: as of `SpadeDiscriminator`; `layers` is the published `n_layers_D`.
        features: give all maps, as feature matching needs them; False gives the predictions alone. The published nets
            have different keys for the two.
    """

    def __init__(self, channels: int, width: int = 64, layers: int = 3, scales: int = 2, features: bool = True) -> None:
        super().__init__()
        self.names = [
            [f"scale{scale}_layer{n}" for n in range(layers + 2)] if features else [f"layer{scale}"]
            for scale in range(scales)
        ]
        for names in self.names:
            first, *middle, last = _sizes(channels, width, layers)
            parts = [[_convolution(*first), nn.LeakyReLU(0.2, True)]]
            parts += [[_convolution(*size), nn.InstanceNorm2d(size[1]), nn.LeakyReLU(0.2, True)] for size in middle]
            parts += [[_convolution(*last)]]
            if not features:
                parts = [[layer for part in parts for layer in part]]
            for name, part in zip(names, parts, strict=True):
                self.add_module(name, nn.Sequential(*part))

    def forward(self, x: torch.Tensor) -> Maps:
        return _judge(x, [[self.get_submodule(name) for name in scale] for scale in reversed(self.names)])


def _convolution(before: int, after: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 4, stride, padding=2)


def _sizes(channels: int, width: int, layers: int) -> list[tuple[int, int, int]]:
    """Channels before and after, and stride, of each convolution."""
    widths = [min(width * 2**n, MOST) for n in range(layers + 1)]
    strides = [2] * layers + [1]
    middle = zip([channels, *widths[:-1]], widths, strides, strict=True)
    return [*middle, (widths[-1], 1, 1)]


def _judge(x: torch.Tensor, scales: Sequence[Sequence[nn.Module]]) -> Maps:
    results = []
    for n, layers in enumerate(scales):
        x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False) if n else x
        maps = [x]
        for layer in layers:
            maps.append(layer(maps[-1]))
        results.append(maps[1:])
    return results


def infer_spade_discriminator(state: Weights, where: str | Path) -> dict[str, Any]:
    """Arguments of the `SpadeDiscriminator` whose weights `state` holds; `load_strictly` then names what does not fit."""
    width, channels, *_ = shape_of(state, "discriminator_0.model0.0.weight", where)
    layers = sum(key.startswith("discriminator_0.model") and key.endswith("weight_orig") for key in state)
    scales = sum(key.startswith("discriminator_") and key.endswith(".model0.0.weight") for key in state)
    return {"channels": channels, "width": width, "layers": layers, "scales": scales}


def infer_pix2pixhd_discriminator(state: Weights, where: str | Path) -> dict[str, Any]:
    """Arguments of the `Pix2pixHDDiscriminator` whose weights `state` holds."""
    features = any(key.startswith("scale0_") for key in state)
    scale, first = ("scale{}_", "layer0.0.weight") if features else ("layer{}.", "0.weight")
    width, channels, *_ = shape_of(state, scale.format(0) + first, where)
    layers = sum(key.startswith(scale.format(0)) and key.endswith("weight") for key in state) - 2
    scales = sum(scale.format(n) + first in state for n in range(len(state)))
    return {"channels": channels, "width": width, "layers": layers, "scales": scales, "features": features}


def shape_of(state: Weights, key: str, where: str | Path) -> torch.Size:
    """Shape of the weight from which options are inferred; a UserError where the file lacks it."""
    if key not in state:
        raise UserError(f"The weights in {where} lack {key}; give the file of another net, or name the right method.")
    return state[key].shape
