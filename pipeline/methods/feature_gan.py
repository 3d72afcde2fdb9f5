"""Feature loss + GAN: a baseline of CycleGAN's comparison (Zhu et al. 2017, section 5.1.2).

As pixel_gan, but the distance between a picture and its translation is taken in the features of a frozen net.
"""

from typing import Any, Literal

from torch import Tensor

from pipeline.engine.settings import MethodSettings, TrainSettings, Weight, check_crop
from pipeline.losses import perceptual_l1
from pipeline.methods import cyclegan
from pipeline.methods.pixel_gan import ABILITY, DOMAINS, UNUSED, USES_TARGET_LABELS, PixelGAN, exported, translate
from pipeline.nets.perceptual import feature_net
from pipeline.nets.resnet_generator import MULTIPLE

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "UNUSED", "USES_TARGET_LABELS", "build", "check", "exported", "translate"]

BLOCKS = ("train", "cyclegan", "feature_gan")


class Settings(MethodSettings):
    """The distance's weight and the net whose features it compares (the paper: VGG16)."""

    weight: Weight = 1.0
    features: Literal["lite0", "vgg19"] = "vgg19"
    features_file: str | None = None


class FeatureGAN(PixelGAN):
    """G_A and D_A, held together by features."""

    def __init__(self, train: TrainSettings, nets: cyclegan.Settings, own: Settings, seed: int) -> None:
        super().__init__(train, nets, own.weight, seed)
        self.features = feature_net(own.features, own.features_file)

    def distance(self, x: Tensor, fake: Tensor) -> Tensor:
        self.features.to(x.device)
        return perceptual_l1(self.features(x), self.features(fake))


def build(params: dict[str, Any], classes: int, seed: int) -> FeatureGAN:
    own, nets = Settings(**params["feature_gan"]), cyclegan.Settings(**params["cyclegan"])
    return FeatureGAN(TrainSettings(**params["train"]), nets, own, seed)


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    return check_crop(params, "feature_gan", MULTIPLE)
