"""SPIGAN without privileged information: the paper's ablation. No P, no depth, and so no gamma."""

from typing import Any

from pipeline.engine.settings import TrainSettings
from pipeline.methods.spigan import ABILITY, BLOCKS, USES_TARGET_LABELS, Settings, Spigan, check, exported, translate

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "USES_TARGET_LABELS", "build", "check", "exported", "translate"]

DOMAINS = {"source": ("image", "label"), "target": ("image",)}
UNUSED = ("train.gamma", "spigan.depth", "spigan.depth_reach")


def build(params: dict[str, Any], classes: int, seed: int) -> Spigan:
    return Spigan(TrainSettings(**params["train"]), Settings(**params["spigan"]), classes, seed, privileged=False)
