"""DeepLab-v2 on ResNet-101 (Chen et al. 2018, arXiv 1606.00915), as AdaptSegNet and ADVENT publish it.

State-dict keys are those of wasidennis/AdaptSegNet (`Res_Deeplab`, and with an auxiliary head `DeeplabMulti`) and of
valeoai/ADVENT. This ResNet is Caffe's: a block strides in its first 1x1 convolution, the pool is `ceil_mode`, and the
dilation of a stage begins in its first block. torchvision's weights have the same keys but are of another function.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.nets.levels import Level
from pipeline.nets.synchronised import SynchronisedNorm
from pipeline.nets.weights import load_strictly, read_weights

DEPTHS = (3, 4, 23, 3)  # blocks of the four stages
DILATIONS = (6, 12, 18, 24)
MEAN = (104.00698793, 116.66876762, 122.67891434)  # of blue, green and red bytes
HEADS = ("layer5", "layer6")
Aspp = Literal["all", "first_two"]


class DeepLabV2(nn.Module):
    """Picture N3HW in [-1, 1] -> logits N `classes` H W at the picture's size; scores are made at 1/8.

    Args:
        width: channels of the first stage; 64 is ResNet-101 and 43 M parameters.
        auxiliary: a second head on the third stage (the paper's conv4). Its keys are layer5, and the main head's then
            layer6; without it the main head is layer5.
        aspp: the dilated convolutions that are summed. "all": 6, 12, 18 and 24, as in the paper and in ADVENT.
            "first_two": 6 and 12, because AdaptSegNet's code returns inside its loop; the other two then stay as they
            were drawn. A file of weights cannot say which it was made with.
        frozen: batch norms use their running statistics in training too; otherwise the batch's own, as published. Their
            scales and shifts learn nothing either way, as published.
        align_corners: of the enlargement to the picture's size; published numbers need True.
    """

    def __init__(
        self, classes: int, width: int = 64, auxiliary: bool = False, aspp: Aspp = "all", frozen: bool = True,
        align_corners: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.frozen, self.align_corners = frozen, align_corners
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = SynchronisedNorm(width)
        before = width
        for n, (depth, stride, dilation) in enumerate(zip(DEPTHS, (1, 2, 1, 1), (1, 1, 2, 4), strict=True)):
            inner = width * 2**n
            blocks = [Bottleneck(before, inner, stride, dilation)]
            blocks += [Bottleneck(4 * inner, inner, 1, dilation) for _ in range(1, depth)]
            self.add_module(f"layer{n + 1}", nn.Sequential(*blocks))
            before = 4 * inner
        channels = [16 * width, 32 * width] if auxiliary else [32 * width]
        for key, count in zip(HEADS, channels, strict=False):
            self.add_module(key, DilatedScores(count, classes, DILATIONS if aspp == "all" else DILATIONS[:2]))
        self.feature_maps = tuple((count, 8) for count in channels)  # channels and stride, the auxiliary first
        for norm in self._norms():
            norm.requires_grad_(False)

    def train(self, mode: bool = True) -> "DeepLabV2":
        super().train(mode)
        if self.frozen:
            for norm in self._norms():
                norm.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        return self._enlarge(self._heads()[-1](self.features(caffe(image))[-1]), image)

    def levels(self, image: Tensor) -> list[Level]:
        """Scores and features: of the auxiliary head, if there is one, then of the main head."""
        features = self.features(caffe(image))[-len(self.feature_maps) :]
        heads = zip(self._heads(), features, strict=True)
        return [Level(self._enlarge(head(x), image), x) for head, x in heads]

    def scores(self, x: Tensor) -> list[Tensor]:
        """Of a picture as `caffe` gives it, what the published net gives: scores N classes h w at 1/8 of every head."""
        features = self.features(x)[-len(self.feature_maps) :]
        return [head(found) for head, found in zip(self._heads(), features, strict=True)]

    def features(self, x: Tensor) -> list[Tensor]:
        """The maps of the third and the fourth stage, 16 and 32 times `width` channels at 1/8."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True)
        third = self.get_submodule("layer3")(self.get_submodule("layer2")(self.get_submodule("layer1")(x)))
        return [third, self.get_submodule("layer4")(third)]

    def head_parameters(self) -> list[nn.Parameter]:
        """Of all heads; they learn ten times as fast as the rest, as published."""
        return [p for head in self._heads() for p in head.parameters()]

    def _heads(self) -> list[nn.Module]:
        return [getattr(self, key) for key in HEADS if hasattr(self, key)]

    def _norms(self) -> Iterator[nn.Module]:
        return (layer for layer in self.modules() if isinstance(layer, SynchronisedNorm))

    def _enlarge(self, scores: Tensor, image: Tensor) -> Tensor:
        return F.interpolate(scores, image.shape[-2:], mode="bilinear", align_corners=self.align_corners)


class Bottleneck(nn.Module):
    """relu(shortcut + norm(1x1(relu(norm(3x3(relu(norm(1x1(x)))))))), the stride in the first 1x1."""

    def __init__(self, before: int, inner: int, stride: int, dilation: int) -> None:
        super().__init__()
        after = 4 * inner
        self.conv1 = nn.Conv2d(before, inner, 1, stride, bias=False)
        self.bn1 = SynchronisedNorm(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = SynchronisedNorm(inner)
        self.conv3 = nn.Conv2d(inner, after, 1, bias=False)
        self.bn3 = SynchronisedNorm(after)
        if before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), SynchronisedNorm(after))
        else:
            self.downsample = nn.Sequential()  # without keys, the identity

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(x)), inplace=True)
        inner = F.relu(self.bn2(self.conv2(inner)), inplace=True)
        return F.relu(self.bn3(self.conv3(inner)) + self.downsample(x), inplace=True)


class DilatedScores(nn.Module):
    """ASPP: the sum of 3x3 convolutions with the dilations `summed`; all four are there, as in the published files."""

    def __init__(self, channels: int, classes: int, summed: tuple[int, ...]) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(channels, classes, 3, padding=d, dilation=d) for d in DILATIONS]
        self.conv2d_list = nn.ModuleList(convolutions)
        self.count = len(summed)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([convolution(x) for convolution in self.conv2d_list[: self.count]]).sum(0)


def caffe(image: Tensor) -> Tensor:
    """A picture in [-1, 1], red first, as bytes minus their mean, blue first: what the weights expect."""
    mean = torch.tensor(MEAN, dtype=image.dtype, device=image.device)[:, None, None]
    return (image.flip(1) + 1) * 127.5 - mean


def init_as_published(net: DeepLabV2, random: torch.Generator) -> None:
    """Every convolution N(0, 0.01), biases 0, norms the identity: what is not restored from a file starts like this.

    An auxiliary head is drawn last, so that a seed draws the other layers the same with it and without.
    """
    auxiliary = set(net.get_submodule(HEADS[0]).modules()) if hasattr(net, HEADS[1]) else set()
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    for layer in sorted(layers, key=lambda layer: layer in auxiliary):
        nn.init.normal_(layer.weight, 0.0, 0.01, generator=random)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def load_backbone(net: DeepLabV2, path: str | Path) -> None:
    """Start all but the heads from a file: Caffe's ResNet-101 of the published code, whose keys may have one component
    more in front ("Scale."), or any of its DeepLabs. What is missing or mis-shaped is named in one UserError."""
    state = {_key(key): value for key, value in read_weights(path).items()}
    kept = {key: value for key, value in net.state_dict().items() if key.startswith(HEADS)}
    load_strictly(net, {k: v for k, v in state.items() if not k.startswith((*HEADS, "fc."))} | kept, path)


def _key(key: str) -> str:
    first, dot, rest = key.partition(".")
    return rest if dot and first not in ("conv1", "bn1", "fc", *HEADS, *(f"layer{n}" for n in range(1, 5))) else key
