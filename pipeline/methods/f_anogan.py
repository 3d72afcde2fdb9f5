"""f-AnoGAN: fast unsupervised anomaly detection with generative adversarial networks (Schlegl, Seeboeck, Waldstein, Langs,
Schmidt-Erfurth; Medical Image Analysis 2019), as izi_f.

First a WGAN-GP learns to draw normal scans; its critic, with layer norm, takes `critic_steps` steps to one of G. Then G and D
stand still, in eval mode, and an encoder E learns to find codes: x - G(E(x)) and f(x) - f(G(E(x))), f the features of D. The
same two terms are the score. A step of the engine is one of the critic or one of the encoder; which phase it belongs to
follows from the pictures' places in the training order. As published but for the nets, which are DCGAN's.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, RMSprop

from pipeline import scans
from pipeline.engine.settings import Count, MethodSettings, Rate, TrainSettings, Weight
from pipeline.engine.step import Update
from pipeline.losses_codes import fanogan_terms, gradient_penalty
from pipeline.nets.calibration import Calibration
from pipeline.nets.dcgan import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
from pipeline.nets.init import init_normal
from pipeline.scans import CONSTANTS, DOMAINS, HELD_OUT, UNUSED, Channels, Judged, codes, describe, planes
from pipeline.shards.feed import ShardSource
from pipeline.shards.order import uniforms

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "HELD_OUT", "UNUSED", "USES_TARGET_LABELS", "build", "describe", "exported"]

ABILITY = "scorer"
USES_TARGET_LABELS = False
BLOCKS = ("train", "f_anogan")


class Settings(MethodSettings):
    """Nets, weights and both phases; the paper's as defaults, whose rate of G and D (train.lr) is 1e-4."""

    latent: Count = 128  # numbers of a code
    channels: Channels = 1  # 3 where colours matter
    generator_width: Count = 64
    discriminator_width: Count = 64
    encoder_width: Count = 64
    critic_steps: Count = 5  # to one of G
    penalty: Weight = 10.0
    kappa: Weight = 1.0  # of the features, in the encoder's loss and in the score
    encoder_lr: Rate = 5e-5  # RMSProp
    gan_share: Annotated[float, Field(gt=0, lt=1)] = 0.5  # of the steps, for G and D; the rest for E


class FAnoGAN:
    """G, D and E with the losses of both phases."""

    def __init__(self, train: TrainSettings, own: Settings, seed: int) -> None:
        self.train, self.own, self.seed = train, own, seed
        self.first = gan_steps(train.steps, own)
        random = torch.Generator().manual_seed(seed)
        self.nets = _nets(own, train.crop[0])
        for net in self.nets.values():
            init_normal(net, random)
        self.frozen = nn.ModuleDict({"calibration": Calibration(CONSTANTS)})

    def optimizers(self) -> dict[str, Optimizer]:
        adams = {
            name: Adam(self.nets[net].parameters(), self.train.lr, (0.0, 0.9))
            for name, net in (("critic", "D"), ("generator", "G"))
        }
        return {**adams, "encoder": RMSprop(self.nets["E"].parameters(), self.own.encoder_lr)}

    def step(self, batch: Any) -> Iterator[Update]:
        x, positions = planes(batch.scans.image, self.own.channels), batch.scans.positions
        n = int(positions[0]) // self.train.batch
        drawing = n < self.first
        for name in ("G", "D"):
            self.nets[name].train(drawing)
        yield self._critic(x, positions, drawing)
        yield self._generator(x, positions, drawing and (n + 1) % self.own.critic_steps == 0)
        yield self._encoder(x, not drawing)

    def _critic(self, x: Tensor, positions: np.ndarray, due: bool) -> Update:
        """Wasserstein's distance, and the penalty between both."""
        if not due:
            return Update("critic", dict.fromkeys(("critic", "penalty"), x.new_zeros(())), due)
        D = self.nets["D"]
        with torch.no_grad():
            fake = self.nets["G"](codes(self.seed, "f_anogan critic", positions, self.own.latent, x))
        share = torch.from_numpy(uniforms(self.seed, "f_anogan penalty", positions, 1)[:, 0]).to(x)
        with torch.autocast(x.device.type, enabled=False):  # a gradient of a gradient, to be near 1
            penalty = self.own.penalty * gradient_penalty(D, x, fake.to(x), share)
        return Update("critic", {"critic": D(fake).mean() - D(x).mean(), "penalty": penalty}, due)

    def _generator(self, x: Tensor, positions: np.ndarray, due: bool) -> Update:
        if not due:
            return Update("generator", {"gan": x.new_zeros(())}, due)
        fake = self.nets["G"](codes(self.seed, "f_anogan generator", positions, self.own.latent, x))
        return Update("generator", {"gan": -self.nets["D"](fake).mean()}, due)

    def _encoder(self, x: Tensor, due: bool) -> Update:
        if not due:
            return Update("encoder", dict.fromkeys(("residual", "features"), x.new_zeros(())), due)
        D: Any = self.nets["D"]
        drawn = self.nets["G"](self.nets["E"](x))
        with torch.no_grad():
            features = D.with_features(x)[1]
        residual, discrimination = fanogan_terms(x, drawn, features, D.with_features(drawn)[1])
        losses = {"residual": residual.mean(), "features": self.own.kappa * discrimination.mean()}
        return Update("encoder", losses, due)

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but nets and optimizers is state."""


def gan_steps(steps: int, own: Settings) -> int:
    """Steps of the first phase."""
    return round(own.gan_share * steps)


def _nets(own: Settings, size: int) -> nn.ModuleDict:
    G = DCGANGenerator(size, own.latent, own.channels, own.generator_width)
    D = DCGANDiscriminator(size, own.channels, own.discriminator_width, "layer")
    return nn.ModuleDict({"G": G, "D": D, "E": DCGANEncoder(size, own.latent, own.channels, own.encoder_width)})


def build(params: dict[str, Any], classes: int, seed: int) -> FAnoGAN:
    return FAnoGAN(TrainSettings(**params["train"]), Settings(**params["f_anogan"]), seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    nets = _nets(Settings(**params["f_anogan"]), scans.side(params))
    nets["calibration"] = Calibration(CONSTANTS)
    return nets


@torch.no_grad()
def judge(nets: nn.ModuleDict, params: dict[str, Any], image: Tensor) -> Judged:
    """The picture that G draws from E's code, and the scores."""
    own = Settings(**params["f_anogan"])
    x = planes(image, own.channels)
    D: Any = nets["D"]
    drawn = nets["G"](nets["E"](x))
    residual, discrimination = fanogan_terms(x, drawn, D.with_features(x)[1], D.with_features(drawn)[1])
    return Judged(residual + own.kappa * discrimination, residual, discrimination, drawn)


def calibrate(nets: nn.ModuleDict, params: dict[str, Any], sets: dict[str, ShardSource]) -> None:
    scans.calibrate(judge, nets, params, sets["scans_dev"])


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    train, own, found = params["train"], Settings(**params["f_anogan"]), scans.check(params, "f_anogan")
    if not own.critic_steps <= (first := gan_steps(train["steps"], own)) < train["steps"]:
        found.append(
            f"params.yaml: f_anogan.gan_share leaves {first} of {train['steps']} steps to G and D, of which one in "
            f"{own.critic_steps} is G's, and {train['steps'] - first} to E; train longer or change the share"
        )
    if train["ema"]:
        found.append(
            "params.yaml: f_anogan's encoder learns from G itself, not from its mean; set f_anogan.train.ema to 0"
        )
    return found
