"""The oracle: the segmenter of `source_only`, trained on the target's own labels. It bounds the scale."""

from typing import Any

from pipeline.engine.settings import SegmentSettings
from pipeline.methods.source_only import ABILITY, BLOCKS, Supervised, check, exported, logits

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "USES_TARGET_LABELS", "build", "check", "exported", "logits"]

USES_TARGET_LABELS = True
DOMAINS = {"labelled_target": ("image", "label")}


def build(params: dict[str, Any], classes: int, seed: int) -> Supervised:
    return Supervised(SegmentSettings(**params["segment"]), classes, seed, "labelled_target")
