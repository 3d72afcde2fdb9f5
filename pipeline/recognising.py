"""Which published net a state dict is of, told by its keys, so that the wrong file is answered with what it is."""

import re
from collections.abc import Mapping

import torch

NETS = {  # method: what its file holds
    "cyclegan": "a ResNet generator of CycleGAN's kind",
    "cut": "CUT's generator",
    "pix2pix": "a U-Net generator of pix2pix's kind",
    "spade": "SPADE's generator",
    "pix2pixhd": "a generator of pix2pixHD's kind",
    "adaptsegnet": "a DeepLab-v2 of AdaptSegNet's and ADVENT's kind",
}
OTHERS = {  # the key, or its beginning, that only this net has
    "discriminator_0.": "SPADE's discriminator",
    "fc_mu.": "SPADE's image encoder",
    "scale0_layer0.": "pix2pixHD's discriminator",
    "layer0.": "pix2pixHD's discriminator",
    "mlp_0.": "CUT's patch projector",
    "net.0.": "a pixel discriminator of CycleGAN and pix2pix",
    "model.0.": "a PatchGAN discriminator",
    "model.29.": "pix2pixHD's encoder of instance features",
    "classifier.weight": "AdaptSegNet's discriminator",
    "0.weight": "ADVENT's discriminator",
    "features.0.": "a VGG",
}


def recognise(state: Mapping[str, torch.Tensor]) -> tuple[str, list[str]]:
    """What a published state dict is, and the methods that can take it (none for a net that draws nothing)."""
    if not state:
        return "no weights at all", []
    if any(f"{head}.conv2d_list.0.weight" in state for head in ("layer5", "layer6")):
        return NETS["adaptsegnet"], ["adaptsegnet"]
    if methods := _generator(state):
        return NETS[methods[0]], methods
    for begin, what in OTHERS.items():
        if any(key.startswith(begin) for key in state):
            return what, []
    return f"an unknown net ({', '.join(list(state)[:3])} and so on)", []


def _generator(state: Mapping[str, torch.Tensor]) -> list[str]:
    """Methods whose generator has these keys; CycleGAN's is also pix2pixHD's with two halvings."""
    if any(key.startswith("head_0.") for key in state):
        return ["spade"]
    if "model.model.0.weight" in state:
        return ["pix2pix"]
    blocks = [int(found[1]) for key in state if (found := re.match(r"model\.(\d+)\.conv_block\.", key))]
    if not blocks:
        return []
    if any(key.endswith(".filt") for key in state):
        return ["cut"]
    if "model1_1.1.weight" in state or min(blocks) != 10:
        return ["pix2pixhd"]
    return ["cyclegan", "pix2pixhd"]
