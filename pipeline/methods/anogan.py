"""AnoGAN: unsupervised anomaly detection with generative adversarial networks (Schlegl, Seeboeck, Waldstein, Schmidt-Erfurth,
Langs; IPMI 2017, arXiv 1703.05921).

A DCGAN learns to draw normal scans. For a scan that is judged, the code z is searched from which G draws the nearest normal
one: the loss of the search, (1 - lambda) sum |x - G(z)| + lambda sum |f(x) - f(G(z))| with f the features of D, is the score.
All pictures of a batch are searched at once. Each has its own loss and its own step of Adam, and G and D run on their running
statistics, so a score does not depend on its company; every picture begins at the same codes. As published but for the rate
of the search, which the paper does not tell, and for the restarts, of which the best is kept.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pipeline import scans
from pipeline.engine.settings import Count, MethodSettings, Rate, TrainSettings
from pipeline.engine.step import Update
from pipeline.losses import vanilla
from pipeline.losses_codes import anogan_score, anogan_terms
from pipeline.nets.calibration import Calibration
from pipeline.nets.dcgan import DCGANDiscriminator, DCGANGenerator
from pipeline.nets.init import init_normal
from pipeline.scans import CONSTANTS, DOMAINS, HELD_OUT, UNUSED, Channels, Judged, codes, describe, planes
from pipeline.shards.feed import ShardSource

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "HELD_OUT", "UNUSED", "USES_TARGET_LABELS", "build", "describe", "exported"]

ABILITY = "scorer"
USES_TARGET_LABELS = False
BLOCKS = ("train", "anogan")


class Settings(MethodSettings):
    """Nets, and the search; the paper's as defaults."""

    latent: Count = 100  # numbers of a code
    channels: Channels = 1  # 3 where colours matter
    generator_width: Count = 64
    discriminator_width: Count = 64
    search_steps: Count = 500
    search_lr: Rate = 0.01  # Adam, of the codes
    restarts: Count = 1  # codes that a search begins at; the lowest score counts
    feature_weight: Annotated[float, Field(ge=0, le=1)] = 0.1  # lambda


class AnoGAN:
    """G and D with DCGAN's losses: what is trained before anything is searched."""

    def __init__(self, train: TrainSettings, own: Settings, seed: int) -> None:
        self.train, self.own, self.seed = train, own, seed
        random = torch.Generator().manual_seed(seed)
        self.nets = _nets(own, train.crop[0])
        for net in self.nets.values():
            init_normal(net, random)
        self.frozen = nn.ModuleDict({"calibration": Calibration(CONSTANTS)})

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            name: Adam(self.nets[net].parameters(), self.train.lr, (0.5, 0.999))
            for name, net in (("discriminator", "D"), ("generator", "G"))
        }

    def step(self, batch: Any) -> Iterator[Update]:
        D, x = self.nets["D"], planes(batch.scans.image, self.own.channels)
        fake = self.nets["G"](codes(self.seed, "anogan", batch.scans.positions, self.own.latent, x))
        yield Update("discriminator", {"D": vanilla(D(x), True) + vanilla(D(fake), False)})
        yield Update("generator", {"gan": vanilla(D(fake), True)})

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but nets and optimizers is state."""


def _nets(own: Settings, size: int) -> nn.ModuleDict:
    G = DCGANGenerator(size, own.latent, own.channels, own.generator_width)
    return nn.ModuleDict({"G": G, "D": DCGANDiscriminator(size, own.channels, own.discriminator_width)})


def build(params: dict[str, Any], classes: int, seed: int) -> AnoGAN:
    return AnoGAN(TrainSettings(**params["train"]), Settings(**params["anogan"]), seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    nets = _nets(Settings(**params["anogan"]), scans.side(params))
    nets["calibration"] = Calibration(CONSTANTS)
    return nets


def judge(nets: nn.ModuleDict, params: dict[str, Any], image: Tensor) -> Judged:
    """The nearest picture that G draws, by the search, and the scores."""
    own = Settings(**params["anogan"])
    G, x = nets["G"], planes(image, own.channels)
    D: Any = nets["D"]
    with torch.no_grad():
        features = D.with_features(x)[1]
        starts = codes(0, "anogan search", np.arange(own.restarts), own.latent, x)
        found = [G(search(nets, own, x, features, start)) for start in starts]
        terms = [anogan_terms(x, drawn, features, D.with_features(drawn)[1]) for drawn in found]
        residual, discrimination = (torch.stack(one) for one in zip(*terms, strict=True))
        scores = (1 - own.feature_weight) * residual + own.feature_weight * discrimination
        best, each = scores.argmin(0), torch.arange(len(x), device=x.device)
        drawn = torch.stack(found)[best, each]
        return Judged(scores[best, each], residual[best, each], discrimination[best, each], drawn)


def search(nets: nn.ModuleDict, own: Settings, x: Tensor, features: Tensor, start: Tensor) -> Tensor:
    """The codes N latent of pictures N C H W with these features of D, by gradient from the code `start`."""
    z = start.repeat(len(x), 1).requires_grad_()
    D: Any = nets["D"]
    adam = Adam([z], own.search_lr)
    with torch.enable_grad():
        for _ in range(own.search_steps):
            drawn = nets["G"](z)
            losses = anogan_score(x, drawn, features, D.with_features(drawn)[1], own.feature_weight)
            (z.grad,) = torch.autograd.grad(losses.sum(), [z])
            adam.step()
    return z.detach()


def calibrate(nets: nn.ModuleDict, params: dict[str, Any], sets: dict[str, ShardSource]) -> None:
    scans.calibrate(judge, nets, params, sets["scans_dev"])


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    return scans.check(params, "anogan")
