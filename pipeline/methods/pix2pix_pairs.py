"""pix2pix between pictures: from one side of aligned pairs to the other, such as day -> night (Isola et al., CVPR 2017).

Nets, losses, step and the paper's ablation are those of `pix2pix`; here the condition is a picture. `direction: forward`
draws `paired` from `image`, `backward` the other way round. Its pairs are a set of their own (the block `pairs`), so it is
scored on held-out pairs (`stages.evaluate_pairs`) and not by a segmenter.
"""

from typing import Any, Literal

from torch import Tensor, nn

from pipeline.engine.settings import TrainSettings, check_crop
from pipeline.methods import pix2pix
from pipeline.methods.pix2pix import UNUSED, Pix2pix, generator
from pipeline.nets.resnet_generator import pad_to_multiple

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "UNUSED", "USES_TARGET_LABELS", "build", "exported", "translate"]

ABILITY = "translator"
USES_TARGET_LABELS = False
DOMAINS = {"pairs": ("image", "paired")}
BLOCKS = ("train", "pix2pix_pairs")
CHANNELS = 3


class Settings(pix2pix.Settings):
    """As pix2pix, and which picture of a pair is drawn from which."""

    direction: Literal["forward", "backward"] = "forward"  # image -> paired, or paired -> image


def sides(params: dict[str, Any]) -> tuple[str, str]:
    """The part of a pair that is given, and the part that is drawn."""
    forward = Settings(**params["pix2pix_pairs"]).direction == "forward"
    return ("image", "paired") if forward else ("paired", "image")


def build(params: dict[str, Any], classes: int, seed: int) -> Pix2pix:
    given, wanted = sides(params)

    def pair(batch: Any) -> tuple[Tensor, Tensor]:
        return getattr(batch.pairs, given), getattr(batch.pairs, wanted)

    return Pix2pix(TrainSettings(**params["train"]), Settings(**params["pix2pix_pairs"]), CHANNELS, pair, seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    return nn.ModuleDict({"G": generator(Settings(**params["pix2pix_pairs"]), CHANNELS)})


def translate(nets: nn.ModuleDict, image: Tensor) -> Tensor:
    """G(x) for N3HW in [-1, 1] of any size, in the direction that was trained."""
    G: Any = nets["G"]
    padded, crop = pad_to_multiple(image, G.multiple, least=1)
    return crop(G(padded))


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    return check_crop(params, "pix2pix_pairs", 2 ** params["pix2pix_pairs"]["levels"], least=1)
