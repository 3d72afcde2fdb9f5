"""CUT: contrastive learning for unpaired translation (Park, Efros, Zhang, Zhu; ECCV 2020, arXiv 2007.15651).

One generator and one discriminator. What keeps a translation to its picture: a patch of it has to be nearer, in the
features of G's own encoder, to the same patch of the picture than to the picture's other patches. FastCUT is
`nce: 10.0, identity: false`, here without its flipping of features.
"""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.engine.settings import Count, Depth, MethodSettings, Rate, TrainSettings, Weight, check_crop
from pipeline.engine.step import Update
from pipeline.losses import lsgan, patch_nce
from pipeline.methods.cyclegan import UNUSED, adam
from pipeline.nets.cut import LAYERS, CutDiscriminator, CutGenerator, PatchProjector, init_xavier, patch_places
from pipeline.nets.passes import passes
from pipeline.nets.resnet_generator import MULTIPLE, pad_to_multiple

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "UNUSED", "USES_TARGET_LABELS", "build", "check", "exported", "translate"]

ABILITY = "translator"
USES_TARGET_LABELS = False
DOMAINS = {"source": ("image",), "target": ("image",)}
BLOCKS = ("train", "cut")


class Settings(MethodSettings):
    """Nets and weights of CUT; the paper's as defaults."""

    generator_width: Count = 64
    generator_blocks: Depth = 9
    discriminator_width: Count = 64
    discriminator_layers: Depth = 3
    discriminator_norm: Literal["instance", "none"] = "instance"
    discriminator_lr: Rate | None = None  # None: as G's, train.lr
    projector_width: Count = 256
    patches: Count = 256  # compared in each map
    temperature: Rate = 0.07
    adversarial: Weight = 1.0
    nce: Weight = 1.0
    identity: bool = True  # half of the contrastive loss is for target pictures, which G shall leave alone


class Cut:
    """G, D and the projector F with their losses (eq. 1, 3 and 5)."""

    def __init__(self, train: TrainSettings, own: Settings, seed: int) -> None:
        self.train, self.own, self.seed = train, own, seed
        random = torch.Generator().manual_seed(seed)
        self.layers = sorted(
            {*LAYERS[:-1], min(LAYERS[-1], LAYERS[-2] + own.generator_blocks - 1)}
        )  # few blocks: the last
        self.G = _generator(own)
        self.D = CutDiscriminator(own.discriminator_layers, own.discriminator_width, own.discriminator_norm)
        self.F = PatchProjector(self.G.channels(self.layers), own.projector_width)
        self.nets = nn.ModuleDict({"G": self.G, "D": self.D, "F": self.F})
        for net in self.nets.values():
            init_xavier(net, random)

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            "discriminator": adam(self.train, self.D, lr=self.own.discriminator_lr),
            "generator": adam(self.train, self.G, self.F),
        }

    def step(self, batch: Any) -> Iterator[Update]:
        G, D, own = self.G, self.D, self.own
        x, y = batch.source.image, batch.target.image
        fake, keys = G.with_features(x, self.layers)
        told_y, told_fake = passes(D, y, fake, joined=self.train.joined)
        yield Update("discriminator", {"D": (lsgan(told_y, True) + lsgan(told_fake, False)) / 2})
        share = own.nce / 2 if own.identity else own.nce
        losses = {"gan": own.adversarial * lsgan(D(fake), True)}
        losses["nce"] = share * self._contrast(fake, keys, "source", batch.source.positions)
        if own.identity:
            same, keys = G.with_features(y, self.layers)
            losses["nce_identity"] = share * self._contrast(same, keys, "target", batch.target.positions)
        yield Update("generator", losses)

    def _contrast(self, drawn: Tensor, keys: list[Tensor], stream: str, positions: Any) -> Tensor:
        """Mean over the layers of the patches' cross entropy; `keys` are the features of what `drawn` was made from."""
        places = patch_places(keys, self.own.patches, self.seed, f"cut/{stream}", positions)
        pairs = zip(self.F(self.G.features(drawn, self.layers), places), self.F(keys, places), strict=True)
        return torch.stack([patch_nce(query, key, self.own.temperature) for query, key in pairs]).mean()

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but nets and optimizers is state."""


def _generator(own: Settings) -> CutGenerator:
    return CutGenerator(own.generator_width, own.generator_blocks)


def build(params: dict[str, Any], classes: int, seed: int) -> Cut:
    return Cut(TrainSettings(**params["train"]), Settings(**params["cut"]), seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    return nn.ModuleDict({"G": _generator(Settings(**params["cut"]))})


def translate(nets: nn.ModuleDict, image: Tensor) -> Tensor:
    """G(x) for N3HW in [-1, 1] of any size: reflected to multiples of 4, cropped back."""
    padded, crop = pad_to_multiple(image)
    return crop(nets["G"](padded))


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    return check_crop(params, "cut", MULTIPLE)
