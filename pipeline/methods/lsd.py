"""LSD: learning from synthetic data (Sankaranarayanan, Balaji, Jain, Lim, Chellappa; CVPR 2018, arXiv 1711.06969).

A generator G draws the picture again from the features of the segmenter S. A discriminator D tells at each place which of
four a picture is (source or target, real or drawn), and which class is there (an auxiliary-classifier GAN). D first; then
G, which draws pictures that pass for real ones of their own domain, like the one they were drawn from and true to the
labels; then S, whose features are to let G draw a source picture that passes for a target one, and the other way round.
The net, its budget and its augmentation are those of `source_only` (block `segment`).
"""

from collections.abc import Iterator
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pipeline.engine.settings import Count, MethodSettings, Rate, SegmentSettings, Weight
from pipeline.engine.step import Update, mean_over_ranks
from pipeline.losses import cross_entropy, labelled_pixels
from pipeline.methods.source_only import check, exported, logits, new_net, optimizer
from pipeline.nets.init import init_kaiming
from pipeline.nets.lsd import DomainAndClasses, FeatureDecoder

__all__ = ["ABILITY", "ADVERSARIAL", "BLOCKS", "DOMAINS", "USES_TARGET_LABELS", "build", "check", "exported", "logits"]

ABILITY = "segmenter"
USES_TARGET_LABELS = False
ADVERSARIAL = True  # its last snapshots are kept and scored
DOMAINS = {"source": ("image", "label"), "target": ("image",)}
BLOCKS = ("segment", "lsd")

SOURCE, DRAWN_SOURCE, TARGET, DRAWN_TARGET = range(4)  # what D tells apart


class Settings(MethodSettings):
    """Weights as published; nets smaller than the published ones, which decode three maps of FCN8s."""

    adversarial: Weight = 0.1  # of G and of S
    classes: Weight = 0.1  # of S: what D reads out of its source pictures
    reconstruction: Weight = 1.0
    generator_width: Annotated[int, Field(gt=0, multiple_of=8)] = 32
    discriminator_width: Count = 64
    lr: Rate = 1e-4  # Adam of G and D, betas 0.7, 0.999


class LSD:
    """S, G and D with their losses."""

    def __init__(self, settings: SegmentSettings, own: Settings, classes: int, seed: int) -> None:
        self.settings, self.own = settings, own
        random = torch.Generator().manual_seed(seed)
        S: Any = new_net(settings, classes, random)
        channels, stride = S.feature_maps[-1]
        G, D = FeatureDecoder(channels, stride, own.generator_width), DomainAndClasses(classes, own.discriminator_width)
        init_kaiming(G, random)
        init_kaiming(D, random)
        self.nets = nn.ModuleDict({"S": S, "G": G, "D": D})

    def optimizers(self) -> dict[str, Optimizer]:
        made: dict[str, Optimizer] = {"segmenter": optimizer(self.nets["S"], self.settings)}
        for name, net in (("generator", "G"), ("discriminator", "D")):
            made[name] = Adam(self.nets[net].parameters(), self.own.lr, (0.7, 0.999))
        return made

    def step(self, batch: Any) -> Iterator[Update]:
        S: Any = self.nets["S"]
        G, D, own, source, target = self.nets["G"], self.nets["D"], self.own, batch.source, batch.target
        label, size = source.label, (source.image.shape[-2], source.image.shape[-1])
        pixels = mean_over_ranks(labelled_pixels(label))
        on_source, on_target = S.levels(source.image)[-1], S.levels(target.image)[-1]

        def classes(scores: Tensor) -> Tensor:
            return cross_entropy(F.interpolate(scores, size, mode="bilinear", align_corners=False), label, pixels)

        like_source, like_target = G(on_source.features, size), G(on_target.features, size)
        real, read = D(source.image)
        told = {
            SOURCE: real,
            DRAWN_SOURCE: D(like_source)[0],
            TARGET: D(target.image)[0],
            DRAWN_TARGET: D(like_target)[0],
        }
        domains = torch.stack([is_taken_for(scores, domain) for domain, scores in told.items()]).sum()
        yield Update("discriminator", {"D": domains, "D_classes": classes(read)})

        (domain, read), (other, _) = D(like_source), D(like_target)
        drawn = {
            "gan": own.adversarial * (is_taken_for(domain, SOURCE) + is_taken_for(other, TARGET)),
            "drawn_classes": classes(read),
            "reconstruction": own.reconstruction
            * (F.l1_loss(like_source, source.image) + F.l1_loss(like_target, target.image)),
        }
        yield Update("generator", drawn)

        (domain, read), (other, _) = D(G(on_source.features, size)), D(G(on_target.features, size))
        losses = {
            "task": cross_entropy(on_source.logits, label, pixels),
            "adapted": own.adversarial * (is_taken_for(domain, TARGET) + is_taken_for(other, SOURCE)),
            "read_classes": own.classes * classes(read),
        }
        yield Update("segmenter", losses)

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but nets and optimizers is state."""


def is_taken_for(scores: Tensor, domain: int) -> Tensor:
    """Mean cross entropy of D's scores N4hw with one of its four domains at every place."""
    return -scores.log_softmax(1)[:, domain].mean()


def build(params: dict[str, Any], classes: int, seed: int) -> LSD:
    return LSD(SegmentSettings(**params["segment"]), Settings(**params["lsd"]), classes, seed)
