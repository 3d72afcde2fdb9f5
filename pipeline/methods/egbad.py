"""Anomalies by BiGAN: efficient GAN-based anomaly detection (Zenati, Foo, Lecouat, Manek, Chandrasekhar; 2018, arXiv 1802.06222)
on adversarial feature learning (Donahue, Krahenbuhl, Darrell; ICLR 2017, arXiv 1605.09782).

D tells pairs (x, E(x)) from pairs (G(z), z); G and E learn together to be mistaken for each other, and nothing else makes
G(E(x)) resemble x: the baseline of what an encoder gives for nothing. Score: 0.9 sum |x - G(E(x))| + 0.1 sum |f(x, E(x)) -
f(G(E(x)), E(x))|, f the last layer of D. As published but for the nets' sizes and D's dropout, and with averaged weights
where train.ema is above 0 (theirs: 0.999).
"""

from collections.abc import Iterator
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pipeline import scans
from pipeline.engine.settings import Count, MethodSettings, TrainSettings
from pipeline.engine.step import Update
from pipeline.losses import vanilla
from pipeline.losses_codes import anogan_terms
from pipeline.nets.bigan import PairDiscriminator
from pipeline.nets.calibration import Calibration
from pipeline.nets.dcgan import DCGANEncoder, DCGANGenerator
from pipeline.nets.init import init_normal
from pipeline.scans import CONSTANTS, DOMAINS, HELD_OUT, UNUSED, Channels, Judged, codes, describe, planes
from pipeline.shards.feed import ShardSource

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "HELD_OUT", "UNUSED", "USES_TARGET_LABELS", "build", "describe", "exported"]

ABILITY = "scorer"
USES_TARGET_LABELS = False
BLOCKS = ("train", "egbad")


class Settings(MethodSettings):
    """Nets and weight; of the published code, for 28 pixels, as defaults. Its rate (train.lr) is 1e-5."""

    latent: Count = 200  # numbers of a code
    channels: Channels = 1  # 3 where colours matter
    generator_width: Count = 64
    discriminator_width: Count = 64
    encoder_width: Count = 64
    hidden: Count = 1024  # numbers of f
    feature_weight: Annotated[float, Field(ge=0, le=1)] = 0.1


class Egbad:
    """G, E and D with BiGAN's losses."""

    def __init__(self, train: TrainSettings, own: Settings, seed: int) -> None:
        self.train, self.own, self.seed = train, own, seed
        random = torch.Generator().manual_seed(seed)
        self.nets = _nets(own, train.crop[0])
        for net in self.nets.values():
            init_normal(net, random)
        self.frozen = nn.ModuleDict({"calibration": Calibration(CONSTANTS)})

    def optimizers(self) -> dict[str, Optimizer]:
        nets, betas = self.nets, (0.5, 0.999)
        both = [*nets["G"].parameters(), *nets["E"].parameters()]
        return {
            "discriminator": Adam(nets["D"].parameters(), self.train.lr, betas),
            "generator": Adam(both, self.train.lr, betas),
        }

    def step(self, batch: Any) -> Iterator[Update]:
        D, x = self.nets["D"], planes(batch.scans.image, self.own.channels)
        z = codes(self.seed, "egbad", batch.scans.positions, self.own.latent, x)
        found, drawn = self.nets["E"](x), self.nets["G"](z)
        yield Update("discriminator", {"D": vanilla(D(x, found), True) + vanilla(D(drawn, z), False)})
        yield Update("generator", {"gan_E": vanilla(D(x, found), False), "gan_G": vanilla(D(drawn, z), True)})

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but nets and optimizers is state."""


def _nets(own: Settings, size: int) -> nn.ModuleDict:
    G = DCGANGenerator(size, own.latent, own.channels, own.generator_width)
    D = PairDiscriminator(size, own.latent, own.channels, own.discriminator_width, own.hidden)
    return nn.ModuleDict({"G": G, "E": DCGANEncoder(size, own.latent, own.channels, own.encoder_width), "D": D})


def build(params: dict[str, Any], classes: int, seed: int) -> Egbad:
    return Egbad(TrainSettings(**params["train"]), Settings(**params["egbad"]), seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    nets = _nets(Settings(**params["egbad"]), scans.side(params))
    nets["calibration"] = Calibration(CONSTANTS)
    return nets


@torch.no_grad()
def judge(nets: nn.ModuleDict, params: dict[str, Any], image: Tensor) -> Judged:
    """The picture that G draws from E's code, and the scores."""
    own = Settings(**params["egbad"])
    x = planes(image, own.channels)
    D: Any = nets["D"]
    found = nets["E"](x)
    drawn = nets["G"](found)
    features = (D.with_features(one, found)[1] for one in (x, drawn))
    residual, discrimination = anogan_terms(x, drawn, *features)
    score = (1 - own.feature_weight) * residual + own.feature_weight * discrimination
    return Judged(score, residual, discrimination, drawn)


def calibrate(nets: nn.ModuleDict, params: dict[str, Any], sets: dict[str, ShardSource]) -> None:
    scans.calibrate(judge, nets, params, sets["scans_dev"])


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    return scans.check(params, "egbad")
