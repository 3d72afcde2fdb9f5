"""SimGAN: learning from simulated and unsupervised images (Shrivastava et al.; CVPR 2017, arXiv 1612.07828).

A refiner without down-sampling changes a synthetic picture as little as it can (self-regularisation) while a
discriminator judges local patches; half of what D sees of refined pictures is old (history). Warm-up: first the refiner
alone learns to copy, then D alone learns to tell; after that D steps once in `refiner_steps` steps.

Not as published: Adam for both nets instead of SGD, with which no public re-implementation could train; losses are means
over pixels and patches, so that weights do not depend on the size of the pictures.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.engine.settings import Count, Depth, MethodSettings, TrainSettings, Weight
from pipeline.engine.step import Update
from pipeline.methods.cyclegan import UNUSED, adam
from pipeline.nets.init import init_kaiming, init_normal
from pipeline.nets.passes import passes
from pipeline.nets.perceptual import feature_net
from pipeline.nets.simgan import LocalDiscriminator, Refiner, local_adversarial, self_regularisation
from pipeline.pool import Pool, swap_half

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "UNUSED", "USES_TARGET_LABELS", "build", "exported", "translate"]

ABILITY = "translator"
USES_TARGET_LABELS = False
DOMAINS = {"source": ("image",), "target": ("image",)}
BLOCKS = ("train", "simgan")
Steps = Annotated[int, Field(ge=0)]


class Settings(MethodSettings):
    """Nets, weights and schedule of SimGAN."""

    refiner_width: Count = 64
    refiner_blocks: Depth = 4
    history: Count = 200  # refined pictures
    regularisation: Weight = 10.0  # lambda
    distance: Literal["pixel", "feature"] = "pixel"  # what self-regularisation compares
    features: Literal["lite0", "vgg19"] = "lite0"
    features_file: str | None = None
    refiner_warmup: Steps = 1000  # steps of the refiner alone, with self-regularisation alone
    discriminator_warmup: Steps = 200  # then steps of D alone
    refiner_steps: Count = 50  # K_g to one of D


class SimGAN:
    """R and D with their losses (eq. 1 to 4 and algorithm 1)."""

    def __init__(self, train: TrainSettings, own: Settings, seed: int) -> None:
        self.train, self.own = train, own
        random = torch.Generator().manual_seed(seed)
        self.nets = nn.ModuleDict({"R": _refiner(own), "D": LocalDiscriminator()})
        init_normal(self.nets["R"], random)
        init_kaiming(self.nets["D"], random)  # no norm: from N(0, 0.02) its scores would begin without any variance
        self.history = Pool(own.history, seed, "history", swap_half)
        self.features = feature_net(own.features, own.features_file) if own.distance == "feature" else None

    def optimizers(self) -> dict[str, Optimizer]:
        return {"refiner": adam(self.train, self.nets["R"]), "discriminator": adam(self.train, self.nets["D"])}

    def step(self, batch: Any) -> Iterator[Update]:
        R, D, own, x = self.nets["R"], self.nets["D"], self.own, batch.source.image
        n = int(batch.source.positions[0]) // self.train.batch
        warm = own.refiner_warmup + own.discriminator_warmup
        due = n < own.refiner_warmup or n >= warm
        with torch.set_grad_enabled(due):
            refined = R(x)
            kept = own.regularisation * self._distance(refined, x)
        with torch.set_grad_enabled(n >= warm):
            adversarial = float(n >= warm) * local_adversarial(D(refined), True, "mean")
        yield Update("refiner", {"gan": adversarial, "distance": kept}, due)
        due = n >= own.refiner_warmup and (n < warm or n % own.refiner_steps == 0)
        shown = self.history(refined, batch.source.positions) if due else refined.detach()
        with torch.set_grad_enabled(due):
            told_real, told_shown = passes(D, batch.target.image, shown, joined=self.train.joined)
            told = local_adversarial(told_real, True, "mean") + local_adversarial(told_shown, False, "mean")
        yield Update("discriminator", {"D": told / 2}, due)

    def _distance(self, refined: Tensor, x: Tensor) -> Tensor:
        if self.features is None:
            return self_regularisation(refined, x, "mean")
        self.features.to(x.device)
        pairs = zip(self.features(refined), self.features(x), strict=True)
        return torch.stack([self_regularisation(own, other, "mean") for own, other in pairs]).mean()

    def state(self) -> dict[str, Any]:
        return self.history.state()

    def load_state(self, state: dict[str, Any]) -> None:
        self.history.load_state(state)


def _refiner(own: Settings) -> Refiner:
    return Refiner(3, own.refiner_width, own.refiner_blocks)


def build(params: dict[str, Any], classes: int, seed: int) -> SimGAN:
    return SimGAN(TrainSettings(**params["train"]), Settings(**params["simgan"]), seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    return nn.ModuleDict({"R": _refiner(Settings(**params["simgan"]))})


def translate(nets: nn.ModuleDict, image: Tensor) -> Tensor:
    """R(x) for N3HW in [-1, 1] of any size."""
    return nets["R"](image)


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    steps, batch, own = params["train"]["steps"], params["train"]["batch"], Settings(**params["simgan"])
    found, warm = [], own.refiner_warmup + own.discriminator_warmup
    if batch < 2 or own.history < batch // 2:
        found.append(
            f"params.yaml: simgan swaps half a batch with its history, so it needs a batch of 2 or more and a history of "
            f"half of it, not {batch} and {own.history}; set simgan.train.batch and simgan.history"
        )
    if warm >= steps:
        found.append(
            f"params.yaml: simgan warms up for {warm} steps (refiner_warmup + discriminator_warmup) but trains {steps}; "
            "warm up less or train longer"
        )
    return found
