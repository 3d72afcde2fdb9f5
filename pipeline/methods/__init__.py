"""One file a method. What a module offers (see docs/new_method.md):

ABILITY             "translator", "rival" (a translator of a few lines, without training), "segmenter", "scorer" or "sampler"
ADVERSARIAL         optional: True for a segmenter whose last snapshots are kept and scored beside the last one
USES_TARGET_LABELS  True keeps its rows out of the ranking of unlabelled methods
DOMAINS             what it is trained on: "source", "target", "labelled_target", "pairs", "clips", "scans", "digits", each with the parts it reads
domains(params)     optional: the same, where the parts depend on parameters
HELD_OUT            optional: sets that `calibrate` is given when the training has ended, such as "clips_held_out", "scans_dev"
MODELS              optional: models of those of its BLOCKS that are no method's, such as "flow"
BLOCKS, UNUSED      the blocks of params.yaml that configure it (the first holds the RunSettings), keys it does without
Settings            the model of its own block, if it has one
build(params, classes, seed)   the method for training: nets, optimizers(), step(batch)
exported(params, classes)      the nets that a model directory keeps
check(params)       optional: sentences about parameters that contradict each other
orders(params, sets, seed)     optional: domain -> an Order (pipeline/shards/order.py) instead of whole epochs
sides(params)       of pairs: the part that is given, and the part that is drawn from it
calibrate(nets, params, sets)  optional: constants, such as from data that it was not trained on, into its exported nets
differences(nets, params, clips), fusion(nets, params)   of a scorer of clips; see flow_anomaly.py
judge(nets, params, image)     of a scorer of scans: a Judged; see pipeline/scans.py
describe(model)     of a scorer: what a result says of its model
sample(nets, codes), read(nets, image)   of a sampler: pictures of codes, and what is told of a picture's; see infogan.py
translate(nets, image) / logits(nets, image)   what the trained nets do, N3HW in [-1, 1] of any size
"""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.files import UserError


def method_names() -> list[str]:
    """Every method: the files of this folder."""
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem != "__init__")


def method_module(name: str) -> ModuleType:
    """The module of a method; an unknown name is a UserError that lists the known ones."""
    if name not in method_names():
        raise UserError(f"method '{name}' is unknown; known are {', '.join(method_names())}")
    return importlib.import_module(f"pipeline.methods.{name}")


def domains_of(module: ModuleType, params: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """What a method is trained on with these (resolved) parameters: domain -> the parts that it reads."""
    found: dict[str, tuple[str, ...]] = module.domains(params) if hasattr(module, "domains") else module.DOMAINS
    return found


def is_paired(name: str) -> bool:
    """Whether a method learns from aligned pairs: a data set of its own, so it translates no source for a segmenter."""
    return "pairs" in getattr(method_module(name), "DOMAINS", {})


def is_adversarial(name: str) -> bool:
    """Whether a segmenter's training has no minimum to end in, so that its last snapshots are scored too."""
    return bool(getattr(method_module(name), "ADVERSARIAL", False))
