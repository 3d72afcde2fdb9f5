"""Nets of contrastive unpaired translation (CUT; Park, Efros, Zhang, Zhu; ECCV 2020, arXiv 2007.15651).

CycleGAN's nets with every stride replaced by a fixed blur (Zhang 2019, "Making convolutional networks shift-invariant
again"), and a projector that makes patches comparable. State-dict keys are those of
taesungp/contrastive-unpaired-translation, the constant `filt` buffers included, so published weights load unchanged.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.nets.resnet_generator import ResnetBlock
from pipeline.shards.order import uniforms

LAYERS = (0, 4, 8, 12, 16)  # the published taps: bordered picture, two convolutions, first and fifth residual block
NORM_FLOOR = 1e-7


class BlurDown(nn.Module):
    """Halve N C H W (odd sizes are rounded up): blur with [1, 2, 1]^2, borders reflected, then every other pixel."""

    filt: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", _binomial((1.0, 2.0, 1.0), channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.filt, stride=2, groups=len(self.filt))


class BlurUp(nn.Module):
    """Double N C H W: zeros between the pixels, blur with [1, 3, 3, 1]^2, borders repeated; brightness is kept."""

    filt: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", 4 * _binomial((1.0, 3.0, 3.0, 1.0), channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bordered = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv_transpose2d(bordered, self.filt, stride=2, padding=3, groups=len(self.filt))


def _binomial(row: Sequence[float], channels: int) -> torch.Tensor:
    line = torch.tensor(row) / sum(row)
    return torch.outer(line, line).repeat(channels, 1, 1, 1)


class CutGenerator(nn.Module):
    """Picture N3HW in [-1, 1] -> picture of the same size in [-1, 1], where H and W are multiples of 4.

    Args:
        width: channels after the first convolution (64 in the paper; the middle has 4 times as many).
        blocks: residual blocks (9 in the paper).
    """

    def __init__(self, width: int = 64, blocks: int = 9) -> None:
        super().__init__()
        # Biases before an instance norm do nothing; they stay because the published weights have them.
        layers = [nn.ReflectionPad2d(3), *_normed(nn.Conv2d(3, width, 7), nn.ReLU(True))]
        for channels in (2 * width, 4 * width):
            layers += _normed(nn.Conv2d(channels // 2, channels, 3, padding=1), nn.ReLU(True))
            layers.append(BlurDown(channels))
        layers += [ResnetBlock(4 * width) for _ in range(blocks)]
        self.encoder_length = len(layers)
        for channels in (2 * width, width):
            layers.append(BlurUp(2 * channels))
            layers += _normed(nn.Conv2d(2 * channels, channels, 3, padding=1), nn.ReLU(True))
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.model(image)

    def features(self, image: torch.Tensor, layers: Sequence[int] = LAYERS) -> list[torch.Tensor]:
        """Maps of the encoder's `layers` (indices into `model`, rising); the decoder is not run."""
        return self._tapped(image, layers, max(layers) + 1)[1]

    def with_features(
        self, image: torch.Tensor, layers: Sequence[int] = LAYERS
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The translated picture and `features(image)`, for the price of the picture."""
        return self._tapped(image, layers, len(self.model))

    def channels(self, layers: Sequence[int] = LAYERS) -> list[int]:
        """Channels of the maps that `features` gives, without a pass.

        A ValueError where layers do not rise, or one is not of the encoder, or its map is overwritten by the next.
        """
        counts, now = [], 3
        for layer in self.model[: self.encoder_length]:
            now = layer.out_channels if isinstance(layer, nn.Conv2d) else now
            counts.append(now)
        usable = [n for n in range(self.encoder_length) if not isinstance(self.model[n], nn.InstanceNorm2d)]
        if sorted(set(layers)) != list(layers) or not set(layers) <= set(usable):
            raise ValueError(f"layers {list(layers)} give no features; choose rising ones of {usable}")
        return [counts[n] for n in layers]

    def _tapped(self, image: torch.Tensor, layers: Sequence[int], end: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
        x, maps = image, []
        for n, layer in enumerate(self.model[:end]):
            x = layer(x)
            if n in layers:
                maps.append(x)
        return x, maps


class CutDiscriminator(nn.Module):
    """Picture N3HW -> raw scores N1hw, no sigmoid: the PatchGAN with blurs for strides.

    Args:
        layers: halvings plus one (3 in the paper). width: channels after the first convolution, doubled by each layer up
            to 8 times. norm: "instance" as published, or "none".
    """

    def __init__(self, layers: int = 3, width: int = 64, norm: str = "instance") -> None:
        super().__init__()
        model: list[nn.Module] = [nn.Conv2d(3, width, 4, padding=1), nn.LeakyReLU(0.2, True), BlurDown(width)]
        before = width
        for n in range(1, layers + 1):
            after = width * min(2**n, 8)
            model += _normed(nn.Conv2d(before, after, 4, padding=1), nn.LeakyReLU(0.2, True), norm)
            model += [BlurDown(after)] if n < layers else []
            before = after
        model.append(nn.Conv2d(before, 1, 4, padding=1))
        self.model = nn.Sequential(*model)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.model(image)


def _normed(layer: nn.Conv2d, activation: nn.Module, norm: str = "instance") -> list[nn.Module]:
    return [layer, nn.InstanceNorm2d(layer.out_channels) if norm == "instance" else nn.Identity(), activation]


class PatchProjector(nn.Module):
    """Maps N C h w of several layers -> one tensor N P `width` a layer: P patches a picture, each of length 1.

    Two linear layers with a ReLU for each map. The published code makes them in its first pass; here they exist from
    the start, so optimizers and checkpoints see them.

    Args:
        channels: of each map (`CutGenerator.channels`). width: dimensions in which patches are compared.
    """

    def __init__(self, channels: Sequence[int], width: int = 256) -> None:
        super().__init__()
        for n, count in enumerate(channels):
            layers = (nn.Linear(count, width), nn.ReLU(True), nn.Linear(width, width))
            self.add_module(f"mlp_{n}", nn.Sequential(*layers))

    def forward(self, maps: Sequence[torch.Tensor], places: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """places: of each map int64 (N, P), indices into its h x w pixels row by row; see `patch_places`."""
        projected = []
        for n, (x, where) in enumerate(zip(maps, places, strict=True)):
            chosen = torch.take_along_dim(x.flatten(2), where.to(x.device)[:, None], 2).transpose(1, 2)
            rows = self.get_submodule(f"mlp_{n}")(chosen)
            projected.append(rows / (rows.norm(dim=2, keepdim=True) + NORM_FLOOR))
        return projected


def patch_places(
    maps: Sequence[torch.Tensor], count: int, seed: int, stream: str, positions: np.ndarray
) -> list[torch.Tensor]:
    """Where to compare patches: for each map N C h w int64 (N, min(count, h w)), distinct pixels, on the CPU.

    Drawn for each picture from the stream of (seed, stream, layer, its position in the training order), so that a split
    over processes changes nothing. The published code takes the same places for all pictures of a batch, which is 1.
    """
    return [
        torch.from_numpy(_smallest(uniforms(seed, f"{stream}/{n}", positions, x.shape[2] * x.shape[3]), count))
        for n, x in enumerate(maps)
    ]


def _smallest(draws: np.ndarray, count: int) -> np.ndarray:
    """Columns of the `count` smallest values of each row, in rising order of the columns."""
    count = min(count, draws.shape[1])
    return np.sort(np.argpartition(draws, count - 1, axis=1)[:, :count], axis=1)


def init_xavier(net: nn.Module, generator: torch.Generator, gain: float = 0.02) -> None:
    """CUT's start for all three nets: weights N(0, gain^2 2 / (fan in + fan out)) (Glorot & Bengio 2010), biases 0."""
    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_normal_(layer.weight, gain, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
