"""The Inception-v3 of the Frechet inception distance (Heusel et al. 2017), for those who have its weights as a file.

It is the TensorFlow net of 2015-12-05, not torchvision's: average pooling does not count the border, the last block
pools by maximum, pictures are resized as TensorFlow 1 does. Key names are torchvision's, as in the converted weights
of torch-fidelity (weights-inception-2015-12-05-6726825d.pth) and pytorch-fid.
"""

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.files import UserError
from pipeline.nets.weights import load_strictly, read_weights

SIZE = 299
Pool = Literal["average", "maximum", "halving"]
Kernel = int | tuple[int, int]
Layer = tuple[str, int, Kernel]  # name, channels, kernel
Branch = list[Layer | tuple[Layer, Layer]]  # one after the other; a pair stands side by side


class Convolution(nn.Module):
    """Convolution, batch norm, ReLU; padded to keep the size unless `padded` is False."""

    def __init__(self, before: int, after: int, kernel: Kernel, stride: int = 1, padded: bool = True) -> None:
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (sides[0] // 2, sides[1] // 2) if padded else 0
        self.conv = nn.Conv2d(before, after, sides, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.bn(self.conv(x)))


class Block(nn.Module):
    """Branches side by side, then one that pools; when "halving", pool and last layers have stride 2."""

    def __init__(self, before: int, branches: list[Branch], pool: Pool, pooled: int = 0) -> None:
        super().__init__()
        self.branches, self.pool = branches, pool
        for branch in branches:
            channels = before
            for step in branch:
                pair = step if isinstance(step[0], tuple) else (step,)
                ends = pool == "halving" and step is branch[-1]
                for name, after, kernel in pair:
                    self.add_module(name, Convolution(channels, after, kernel, 2 if ends else 1, padded=not ends))
                channels = after
        if pooled:
            self.branch_pool = Convolution(before, pooled, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = [self._branch(branch, x) for branch in self.branches]
        if self.pool == "halving":
            return torch.cat([*maps, F.max_pool2d(x, 3, 2)], 1)
        if self.pool == "maximum":
            pooled = F.max_pool2d(x, 3, 1, 1)
        else:
            pooled = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return torch.cat([*maps, self.branch_pool(pooled)], 1)

    def _branch(self, branch: Branch, x: torch.Tensor) -> torch.Tensor:
        for step in branch:
            if isinstance(step[0], tuple):
                x = torch.cat([self.get_submodule(layer[0])(x) for layer in step], 1)
            else:
                x = self.get_submodule(step[0])(x)
        return x


class Inception(nn.Module):
    """Picture N3HW in [-1, 1] -> five maps, the deepest (2048 channels, 8x8) being the one that FID averages."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2, padded=False)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3, padded=False)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3, padded=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _block_a(192, 32), _block_a(256, 64), _block_a(288, 64)
        self.Mixed_6a = Block(288, [[("branch3x3", 384, 3)], _double3x3(96)], "halving")
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (_block_c(n) for n in (128, 160, 160, 192))
        self.Mixed_7a = _block_d()
        self.Mixed_7b, self.Mixed_7c = _block_e(1280, "average"), _block_e(2048, "maximum")

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        x = (resize_as_tensorflow1((image + 1) * 127.5, SIZE) - 128) / 128
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        maps = [F.max_pool2d(x, 3, 2)]
        maps.append(F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(maps[-1])), 3, 2))
        maps.append(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(maps[-1]))))
        maps.append(self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(maps[-1]))))))
        maps.append(self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(maps[-1]))))
        return maps

    def load_published(self, state: dict[str, torch.Tensor], where: str) -> None:
        """Load the converted weights; the classifier is left aside."""
        load_strictly(self, state, where, skip=("fc", "AuxLogits"))


def _double3x3(channels: int) -> Branch:
    return [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", channels, 3)]


def _block_a(before: int, pooled: int) -> Block:
    fives: Branch = [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)]
    return Block(before, [[("branch1x1", 64, 1)], fives, _double3x3(96)], "average", pooled)


def _block_c(n: int) -> Block:
    across, down = (1, 7), (7, 1)
    once: Branch = [("branch7x7_1", n, 1), ("branch7x7_2", n, across), ("branch7x7_3", 192, down)]
    twice: Branch = [
        ("branch7x7dbl_1", n, 1), ("branch7x7dbl_2", n, down), ("branch7x7dbl_3", n, across),
        ("branch7x7dbl_4", n, down), ("branch7x7dbl_5", 192, across),
    ]  # fmt: skip
    return Block(768, [[("branch1x1", 192, 1)], once, twice], "average", 192)


def _block_d() -> Block:
    threes: Branch = [("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3)]
    sevens: Branch = [
        ("branch7x7x3_1", 192, 1), ("branch7x7x3_2", 192, (1, 7)), ("branch7x7x3_3", 192, (7, 1)),
        ("branch7x7x3_4", 192, 3),
    ]  # fmt: skip
    return Block(768, [threes, sevens], "halving")


def _block_e(before: int, pool: Pool) -> Block:
    once: Branch = [("branch3x3_1", 384, 1), (("branch3x3_2a", 384, (1, 3)), ("branch3x3_2b", 384, (3, 1)))]
    twice: Branch = [
        ("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3),
        (("branch3x3dbl_3a", 384, (1, 3)), ("branch3x3dbl_3b", 384, (3, 1))),
    ]  # fmt: skip
    return Block(before, [[("branch1x1", 320, 1)], once, twice], pool, 192)


def resize_as_tensorflow1(image: torch.Tensor, size: int) -> torch.Tensor:
    """NCHW -> NC`size``size`, bilinear without half-pixel centres: output pixel i lies at i x (input / output)."""
    for axis in (-2, -1):
        length = image.shape[axis]
        place = torch.arange(size, dtype=torch.float32, device=image.device) * (length / size)
        low = place.long().clamp(max=length - 1)
        high = (low + 1).clamp(max=length - 1)
        share = (place - low).to(image.dtype)
        share = share[:, None] if axis == -2 else share
        image = torch.lerp(image.index_select(axis, low), image.index_select(axis, high), share)
    return image


def inception_weights(path: str | Path | None) -> tuple[dict[str, torch.Tensor], str]:
    """State dict of a local file; there is no other source."""
    if path is None:
        raise UserError(
            "The Inception weights come with no package; give the path of weights-inception-2015-12-05-6726825d.pth "
            "(published by torch-fidelity), or choose lite0."
        )
    return read_weights(path), str(path)
