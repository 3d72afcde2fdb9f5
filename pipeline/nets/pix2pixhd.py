"""pix2pixHD: high-resolution pictures from label maps (Wang et al., CVPR 2018, arXiv 1711.11585).

The global generator, the local enhancers around it, and the encoder of instance features. State-dict keys are those of
NVIDIA/pix2pixHD (`GlobalGenerator`, `LocalEnhancer`, `Encoder`), so published weights load unchanged. All norms are
instance norms without parameters; the biases before them do nothing and stay because the published weights have them.
"""

import re
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.files import UserError
from pipeline.nets.multiscale import Weights, shape_of
from pipeline.nets.resnet_generator import ResnetBlock


class GlobalGenerator(nn.Module):
    """Semantics N C H W (with instance features, if any) -> picture N3HW in [-1, 1] of the same size.

    H and W must be multiples of `multiple`, a UserError otherwise (the published net gives back a larger picture).

    Args:
        channels: of the input, in any number.
        width: channels after the first convolution (64 as published); doubled by each halving.
        halvings: stride-2 convolutions, and doublings after the blocks (4 as published, 2 or 3 for small crops).
        blocks: residual blocks in the middle (9 as published).
    """

    def __init__(self, channels: int, width: int = 64, halvings: int = 4, blocks: int = 9) -> None:
        super().__init__()
        self.channels, self.multiple = channels, 2**halvings
        self.model = nn.Sequential(*_body(channels, width, halvings, blocks), *_picture(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _check_size(x, self.multiple)
        return self.model(x)


class LocalEnhancer(nn.Module):
    """Semantics N C H W -> picture N3HW in [-1, 1]: a global generator at a coarse size, finer branches added to its features.

    H and W must be multiples of `multiple`. The coarse part (`model.*`) has the keys of a `GlobalGenerator` of `width` *
    2^enhancers without its last convolution: train that one first, load it, train the branches, then all (section 3.1).

    Args:
        channels: of the input.
        width: of the finest branch (32 as published); the global part has 2^enhancers times as many.
        halvings, blocks: of the global part (4 and 9 as published).
        enhancers: branches, each at twice the size of what lies below it (1 as published).
        local_blocks: residual blocks of a branch (3 as published).
    """

    def __init__(
        self,
        channels: int,
        width: int = 32,
        halvings: int = 4,
        blocks: int = 9,
        enhancers: int = 1,
        local_blocks: int = 3,
    ) -> None:
        super().__init__()
        self.channels, self.enhancers = channels, enhancers
        self.multiple = 2 ** (halvings + enhancers)
        self.model = nn.Sequential(*_body(channels, width * 2**enhancers, halvings, blocks))
        for n in range(1, enhancers + 1):
            own = width * 2 ** (enhancers - n)
            up = [ResnetBlock(2 * own) for _ in range(local_blocks)] + _up(own)
            self.add_module(f"model{n}_1", nn.Sequential(*_first(channels, own), *_down(2 * own)))
            self.add_module(f"model{n}_2", nn.Sequential(*up, *(_picture(own) if n == enhancers else [])))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _check_size(x, self.multiple)
        sizes = [x]
        for _ in range(self.enhancers):
            sizes.append(F.avg_pool2d(sizes[-1], 3, 2, 1, count_include_pad=False))
        y = self.model(sizes.pop())
        for n in range(1, self.enhancers + 1):
            y = self.get_submodule(f"model{n}_2")(self.get_submodule(f"model{n}_1")(sizes.pop()) + y)
        return y


class FeatureEncoder(nn.Module):
    """Picture N3HW and instance map NHW or N1HW (int64) -> `features` channels N F H W in [-1, 1], equal within an instance.

    Instances of different pictures are different, whatever their ids (section 3.4). H and W must be multiples of `multiple`.

    Args:
        width: channels after the first convolution (16 as published). features: 3 as published.
        halvings: 4 as published.
    """

    def __init__(self, width: int = 16, features: int = 3, halvings: int = 4) -> None:
        super().__init__()
        self.multiple = 2**halvings
        self.model = nn.Sequential(*_body(3, width, halvings, blocks=0), *_picture(width, features))

    def forward(self, image: torch.Tensor, instance: torch.Tensor) -> torch.Tensor:
        _check_size(image, self.multiple)
        return instance_mean(self.model(image), instance)


def instance_mean(x: torch.Tensor, instance: torch.Tensor) -> torch.Tensor:
    """N C H W with each value replaced by its mean over the pixels of its picture that share its id (NHW or N1HW int64).

    Gradients flow through the mean. All instances of all pictures at once; on a GPU, `unique` waits for the device.
    """
    number, channels, height, width = x.shape
    ids = instance.reshape(number, -1)
    ids = ids - ids.min()
    ids = ids + (ids.max() + 1) * torch.arange(number, device=ids.device)[:, None]  # no id in two pictures
    _, place, pixels = ids.flatten().unique(return_inverse=True, return_counts=True)
    values = x.permute(0, 2, 3, 1).reshape(-1, channels)
    sums = values.new_zeros(len(pixels), channels).index_add(0, place, values)
    means = (sums / pixels[:, None])[place]
    return means.view(number, height, width, channels).permute(0, 3, 1, 2).contiguous()


def _body(channels: int, width: int, halvings: int, blocks: int) -> list[nn.Module]:
    """A global generator up to its last norm and ReLU."""
    layers = _first(channels, width)
    for n in range(1, halvings + 1):
        layers += _down(width * 2**n)
    layers += [ResnetBlock(width * 2**halvings) for _ in range(blocks)]
    for n in reversed(range(halvings)):
        layers += _up(width * 2**n)
    return layers


def _normed(layer: nn.Module, width: int) -> list[nn.Module]:
    return [layer, nn.InstanceNorm2d(width), nn.ReLU(True)]


def _first(channels: int, width: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(3), *_normed(nn.Conv2d(channels, width, 7), width)]


def _down(width: int) -> list[nn.Module]:
    return _normed(nn.Conv2d(width // 2, width, 3, stride=2, padding=1), width)


def _up(width: int) -> list[nn.Module]:
    return _normed(nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1), width)


def _picture(width: int, channels: int = 3) -> list[nn.Module]:
    return [nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Tanh()]


def _check_size(x: torch.Tensor, multiple: int) -> None:
    height, width = x.shape[-2:]
    if height % multiple or width % multiple:
        raise UserError(
            f"A map of {height} x {width} pixels does not fit this pix2pixHD net; "
            f"height and width must be multiples of {multiple}."
        )


def infer_global(state: Weights, where: str | Path) -> dict[str, Any]:
    """Arguments of the `GlobalGenerator` whose weights `state` holds; `load_strictly` then names what does not fit."""
    width, channels, *_ = shape_of(state, "model.1.weight", where)
    blocks = _blocks(state, "model")
    plain = sum(re.fullmatch(r"model\.\d+\.weight", key) is not None for key in state)
    return {"channels": channels, "width": width, "halvings": (plain - 1) // 2, "blocks": blocks}


def infer_local(state: Weights, where: str | Path) -> dict[str, Any]:
    """Arguments of the `LocalEnhancer` whose weights `state` holds."""
    enhancers = sum(f"model{n}_1.1.weight" in state for n in range(1, len(state)))
    width = shape_of(state, f"model{max(enhancers, 1)}_1.1.weight", where)[0]
    return infer_global(state, where) | {
        "width": width, "enhancers": enhancers, "local_blocks": _blocks(state, "model1_2"),
    }  # fmt: skip


def infer_encoder(state: Weights, where: str | Path) -> dict[str, Any]:
    """Arguments of the `FeatureEncoder` whose weights `state` holds."""
    width = shape_of(state, "model.1.weight", where)[0]
    halvings = (len([key for key in state if key.endswith("weight")]) - 2) // 2
    last = f"model.{5 + 6 * halvings}.weight"
    return {"width": width, "features": shape_of(state, last, where)[0], "halvings": halvings}


def _blocks(state: Weights, part: str) -> int:
    return sum(key.startswith(f"{part}.") and key.endswith(".conv_block.1.weight") for key in state)
