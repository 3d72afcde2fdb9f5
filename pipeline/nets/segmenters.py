"""The segmentation nets by name; with one class they are depth nets."""

from typing import Literal

import torch
from torch import nn

from pipeline.files import UserError
from pipeline.nets.fcn8s import FCN8s, load_vgg16
from pipeline.nets.init import init_kaiming
from pipeline.nets.small_segmenter import SmallSegmenter

SegmenterName = Literal["fcn8s", "fcn8s_same", "small"]


def new_segmenter(
    name: str, classes: int, width: int, random: torch.Generator, vgg16: str | None, auxiliary: bool = False
) -> nn.Module:
    """`segmenter` with its first weights: He's, or for FCN8s torchvision's VGG16 from the file `vgg16`."""
    net = segmenter(name, classes, width, auxiliary)
    init_kaiming(net, random)
    if vgg16 and not isinstance(net, FCN8s):
        raise UserError(f"vgg16 weights fit fcn8s alone, not {name}; set vgg16 to null")
    if vgg16 and isinstance(net, FCN8s):
        load_vgg16(net, vgg16)
    return net


def segmenter(name: str, classes: int, width: int, auxiliary: bool = False) -> nn.Module:
    """Net from pictures N3HW in [-1, 1] to logits N `classes` H W, not yet initialised.

    "fcn8s": FCN8s as published (width 64 in the papers); "fcn8s_same": without its border of 100 pixels, for crops;
    "small": for the CPU (width 16), which alone can have an `auxiliary` head. An unknown name is a UserError.
    """
    if name == "small":
        if width % 8:
            raise UserError(f"The small segmenter's width must be a multiple of 8, not {width}.")
        return SmallSegmenter(classes, width, auxiliary)
    if auxiliary:
        raise UserError(f"The segmentation net {name!r} has no auxiliary head; choose small or deeplab_v2.")
    if name in ("fcn8s", "fcn8s_same"):
        return FCN8s(classes, width, same=name == "fcn8s_same")
    raise UserError(f"Unknown segmentation net {name!r}; choose fcn8s, fcn8s_same or small.")
