"""The generator of pix2pix: a U-Net, whose noise is dropout (Isola, Zhu, Zhou, Efros; CVPR 2017, section 3.2.1).

State-dict keys are those of junyanz/pytorch-CycleGAN-and-pix2pix (`UnetGenerator`), so published weights load unchanged.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.files import UserError, problems
from pipeline.nets.dropout import SampleDropout2d, seed_dropout
from pipeline.nets.synchronised import SynchronisedNorm
from pipeline.nets.weights import load_strictly

UNetNorm = Literal["batch", "instance"]
Inference = Literal["as_trained", "running_statistics"]

WIDEST = 8  # times the first width; so wide from the fourth level on
FIRST = {"model.model.0.weight": "first", "model.model.3.weight": "last"}  # these show width and channels
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class UNetGenerator(nn.Module):
    """Picture N C H W in [-1, 1] -> picture of the same size in [-1, 1], where H and W are multiples of 2^levels.

    Args:
        levels: halvings, each a 4x4 convolution: 8 for pictures of 256 pixels, 7 for 128, which leave one point.
        width: channels after the first convolution (64 in the paper); doubled at each level up to 8 times.
        norm: "batch" as published for pix2pix, or "instance". None on the first and the deepest convolution.
        dropout: half of the values after the blocks of full width on the way up, but the deepest: 3 layers with 8
            levels, none with 5. In training, `seed_dropout` names the streams.
        channels_in, channels_out: of the two pictures.
        inference: what eval mode does. "as_trained", the paper's way: the noise stays on, and batch norm takes the
            statistics of the picture, of each picture apart; the noise is drawn from the picture's own 8-bit values,
            so that a picture comes out the same in any batch, at any time. "running_statistics": no noise, and the
            statistics that batch norm gathered in training, which are poor where the batches were small.
    """

    def __init__(
        self,
        levels: int = 8,
        width: int = 64,
        norm: UNetNorm = "batch",
        dropout: bool = True,
        channels_in: int = 3,
        channels_out: int = 3,
        inference: Inference = "as_trained",
    ) -> None:
        super().__init__()
        if levels < 2:
            raise ValueError(f"a U-Net has at least 2 levels, not {levels}")
        self.levels, self.channels, self.multiple = levels, channels_in, 2**levels
        self.as_trained = _is_as_trained(inference)
        bias = norm == "instance"  # in front of an affine norm a bias is redundant; in front of the other it stays 0
        inner = _below(levels, width, _norm(norm, self.as_trained), bias, dropout)
        first = nn.Conv2d(channels_in, width, 4, stride=2, padding=1, bias=bias)
        last = nn.ConvTranspose2d(2 * width, channels_out, 4, stride=2, padding=1)
        self.model = nn.ModuleDict({"model": nn.Sequential(first, inner, nn.ReLU(True), last, nn.Tanh())})

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        height, width = image.shape[-2:]
        if height % 2**self.levels or width % 2**self.levels:
            raise UserError(
                f"A U-Net of {self.levels} levels takes pictures whose height and width are multiples of "
                f"{2**self.levels}, not {height} x {width}; choose another crop or fewer levels."
            )
        if self.as_trained and not self.training:
            seed_dropout(self, picture_seeds(image))
        return self.model["model"](image)

    def train(self, mode: bool = True) -> Self:
        """As every module's, but where inference is "as_trained" the noise stays on in eval mode."""
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, SampleDropout2d):
                layer.train(mode or self.as_trained)
        return self


def picture_seeds(image: torch.Tensor) -> list[int]:
    """A seed below 2^48 for each picture of N C H W in [-1, 1], from its 8-bit values: the same on any device."""
    values = ((image.detach().float().clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy()
    return [int.from_bytes(hashlib.sha256(picture.tobytes()).digest()[:6]) for picture in values]


class Skip(nn.Module):
    """[x, what lies below makes of x], stacked along the channels."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.model(x)], 1)


class Noise(nn.Module):
    """Dropout of half of the single values (nn.Dropout, as published), from streams of the pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.draw = SampleDropout2d(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.draw(x.flatten(1)[:, :, None, None]).view_as(x)  # every value a channel of its own


class BatchNorm(SynchronisedNorm):
    """Batch norm whose eval mode may take each picture's own statistics, as training does with batches of one."""

    def __init__(self, channels: int, by_picture: bool) -> None:
        super().__init__(channels)
        self.by_picture = by_picture

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training or not self.by_picture:
            return super().forward(x)
        return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)


def _is_as_trained(inference: str) -> bool:
    if inference not in ("as_trained", "running_statistics"):
        raise ValueError(f'inference must be "as_trained" or "running_statistics", not {inference!r}')
    return inference == "as_trained"


def _norm(norm: str, by_picture: bool) -> Callable[[int], nn.Module]:
    if norm not in ("batch", "instance"):
        raise ValueError(f'norm must be "batch" or "instance", not {norm!r}')
    return partial(BatchNorm, by_picture=by_picture) if norm == "batch" else nn.InstanceNorm2d


def _below(levels: int, width: int, norm: Callable[[int], nn.Module], bias: bool, dropout: bool) -> nn.Module:
    """All levels but the first, each inside the one above it."""
    channels = [width * min(2**level, WIDEST) for level in range(levels)]
    inner: list[nn.Module] = []
    for level in range(levels - 1, 0, -1):
        around, own = channels[level - 1], channels[level]
        # Not in place, so that x stays as it is for the skip. (In the published code the skip carries the leaky x; the
        # ReLU behind it makes the two the same.)
        down = [nn.LeakyReLU(0.2), nn.Conv2d(around, own, 4, stride=2, padding=1, bias=bias)]
        middle = [norm(own), *inner] if inner else []
        up = nn.ConvTranspose2d(2 * own if inner else own, around, 4, stride=2, padding=1, bias=bias)
        noise = [Noise()] if dropout and inner and around == WIDEST * width else []
        inner = [Skip(*down, *middle, nn.ReLU(True), up, norm(around), *noise)]
    return inner[0]


def from_published(
    state: dict[str, torch.Tensor], where: str | Path
) -> tuple[UNetGenerator, dict[str, Any], list[str]]:
    """The net of a published state dict, with its weights; the arguments that build its like; the keys left out.

    Levels, width, norm and channels follow from keys and shapes. Dropout leaves no trace there; it is on, as in
    every published pix2pix. Left out are the running statistics of instance norms, which weights of 2017 carry unused.
    Raises UserError that names what is missing, unexpected or of another shape; `where` is the file for the message.
    """
    options = _options(state, where)
    dropped = [key for key in state if options["norm"] == "instance" and key.endswith(STATISTICS)]
    net = UNetGenerator(**options)
    load_strictly(net, {key: value for key, value in state.items() if key not in dropped}, where)
    return net, options, dropped


def _options(state: dict[str, torch.Tensor], where: str | Path) -> dict[str, Any]:
    lines = [f"missing: {key}, the {name} convolution" for key, name in FIRST.items() if key not in state]
    first, last = (state.get(key, torch.empty(0)) for key in FIRST)
    depths = {key.count("model.") for key in state if key.startswith("model.model.")}
    if lines or first.ndim != 4 or last.ndim != 4 or len(depths) < 2:
        head = f"The weights in {where} are not those of a pix2pix U-Net; give a generator's file of that kind."
        raise problems(head, lines + [f"unexpected: {key}" for key in state if key not in FIRST])
    has_scales = any(value.ndim == 1 and key.endswith(".weight") for key, value in state.items())
    return {
        "levels": len(depths),  # each level's keys are nested one deeper
        "width": first.shape[0],
        "norm": "batch" if has_scales else "instance",
        "dropout": True,
        "channels_in": first.shape[1],
        "channels_out": last.shape[1],
    }
