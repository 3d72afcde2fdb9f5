"""Every method that is trained, at a size that trains in a second, on drawn pictures or on the small world's shards.

A new method is taken in by itself: its nets' sizes come from TOY or, where TOY has no block of its name, from
presets/default.yaml.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from pipeline.classes import TABLES, ClassTable
from pipeline.engine.checkpoint import Checkpoints
from pipeline.engine.loop import Run
from pipeline.engine.model import save_model
from pipeline.engine.session import RUN_MODELS, feed_of, resolve
from pipeline.engine.settings import RunSettings
from pipeline.methods import method_module, method_names
from pipeline.params import read_yaml
from pipeline.shards.batch import Batch
from pipeline.shards.feed import ShardFeed
from stages.inputs import open_sets
from tests.commands import ROOT, merge

RUN = {"steps": 8, "batch": 2, "tick": 2, "crop": [32, 32], "flip": 0.5, "jitter": 0.1, "ema": 0.9, "clip": 0.0}
TOY: dict[str, Any] = {
    "train": RUN | {"lr": 2e-4, "schedule": "linear", "alpha": 1.0, "beta": 0.5, "gamma": 0.1, "delta": 0.33},
    "segment": RUN | {"lr": 2e-3, "schedule": "poly", "weight_decay": 1e-4, "net": "small", "width": 8, "vgg16": None},
    "spigan": {
        "generator_width": 8, "generator_blocks": 1, "upsampling": "resize", "discriminator_width": 8,
        "discriminator_layers": 2, "discriminator_norm": "instance", "discriminator_lr": None, "task_net": "small", "task_width": 8, "task_lr": 1e-3, "vgg16": None,
        "features": "lite0", "features_file": None, "depth": "log", "depth_reach": 100.0,
    },
    "cyclegan": {
        "generator_width": 8, "generator_blocks": 1, "discriminator_width": 8, "discriminator_layers": 2, "pool": 3,
        "discriminator_norm": "instance", "discriminator_lr": None,
        "identity": 0.5,
    },
    "spade": {
        "generator_width": 2, "hidden": 8, "discriminator_width": 8, "discriminator_layers": 2, "style": True, "z_dim": 8,
        "encoder_width": 4, "encoder_layers": 2,
    },
    "pix2pixhd": {
        "generator_width": 8, "generator_blocks": 1, "discriminator_width": 8, "discriminator_layers": 2, "halvings": 1,
        "enhancers": 1,
    },
    "pix2pix": {"levels": 5, "generator_width": 4, "discriminator_width": 8, "discriminator_layers": 2},
    "pix2pix_pairs": {"levels": 5, "generator_width": 4, "discriminator_width": 8, "discriminator_layers": 2},
    "flow_anomaly": {"levels": 5, "generator_width": 4, "discriminator_width": 8, "discriminator_layers": 2, "window": 3},
    "anogan": {"latent": 4, "generator_width": 4, "discriminator_width": 4, "search_steps": 3, "restarts": 2},
    "f_anogan": {
        "latent": 4, "generator_width": 4, "discriminator_width": 4, "encoder_width": 4, "critic_steps": 2, "gan_share": 0.5,
        "penalty": 10.0, "kappa": 1.0, "encoder_lr": 1e-3,
    },
    "egbad": {"latent": 4, "generator_width": 4, "discriminator_width": 4, "encoder_width": 4, "hidden": 8},
    "infogan": {"noise": 6, "categories": 3, "width": 4, "invariance": 1.0, "head_start": 0.0},
    "cogan": {"latent": 4},
    "concat": {"generator_width": 8, "generator_blocks": 1},
    "cut": {
        "generator_width": 8, "generator_blocks": 1, "discriminator_width": 8, "discriminator_layers": 2, "patches": 9,
        "projector_width": 8,
    },
    "simgan": {
        "refiner_width": 8, "refiner_blocks": 1, "history": 3, "regularisation": 1.0, "refiner_warmup": 0,
        "discriminator_warmup": 0,
    },
    "adaptsegnet": {
        "level": "multi", "space": "output", "block": 1, "loss": "vanilla", "warmup": 0.0, "discriminator_width": 4, "discriminator_lr": 1e-3,
        "adversarial": 0.1, "adversarial_auxiliary": 0.02, "task_auxiliary": 0.1,
    },
    "fcn_wild": {"adversarial": 0.1, "size": 0.1, "discriminator_width": 8, "discriminator_lr": 1e-3},
    "cda": {"spread": 0.1, "parts": 0.1, "sure": 0.6, "easy_lr": 1e-3},
    "lsd": {
        "adversarial": 0.1, "classes": 0.1, "reconstruction": 1.0, "generator_width": 8, "discriminator_width": 8, "lr": 1e-4,
    },
    "selftrain": {
        "teacher": 0.9, "threshold": 0.05, "warmup": 0.0, "mixed": 1.0, "masked": 1.0, "mask_share": 0.5, "mask_block": 8, "jitter": 0.2,
        "rare_temperature": 0.1,
    },
    "cbst": {
        "warmup": 0.25, "rounds": 2, "portion": 0.3, "growth": 0.2, "portion_most": 0.5, "pseudo": 1.0, "spatial_prior": False,
    },
}  # fmt: skip
OTHER = {"steps": 4, "tick": 1, "ema": 0.0, "jitter": 0.0, "clip": 1.0, "schedule": "constant", "batch": 3}
VARIANTS: dict[str, dict[str, Any]] = {  # fmt: skip  # other settings under which methods must hold what they promise
    "averaged": {"infogan": {"head_start": 0.5}},
    "clipped": {
        "train": OTHER,
        "segment": OTHER,
        "simgan": {"refiner_warmup": 1, "discriminator_warmup": 1, "refiner_steps": 1},
        "adaptsegnet": {"space": "feature", "loss": "ls", "warmup": 0.25},
        "selftrain": {"masked": 0.0, "rare_temperature": None, "warmup": 0.25},
        "infogan": {"variance": "learned", "invariance": 0.0},
        "cbst": {"warmup": 0.0, "rounds": 3, "spatial_prior": True},
    },
    "dropout": {
        "train": {"steps": 4, "tick": 1},
        "segment": {"steps": 4, "tick": 1, "net": "fcn8s_same"},
        "spigan": {"task_net": "fcn8s_same", "upsampling": "transposed", "depth": "inverse"},
        "adaptsegnet": {"level": "single"},
    },
}
CLASSES = TABLES["cityscapes19"]
METHODS = [name for name in method_names() if hasattr(method_module(name), "build")]
CASES = [  # (method, variant): every method as it is, and under what changes something of its own; two stand for the engine
    (name, variant)
    for name in METHODS
    for variant, changes in VARIANTS.items()
    if variant == "averaged" or name in (*changes, "source_only", "cyclegan")
]


@cache
def _toys() -> dict[str, Any]:
    """The parameters of all methods together."""
    default = read_yaml(ROOT / "presets/default.yaml")
    for name_of_one in ("cyclegan", "flow_anomaly", "anogan", "f_anogan", "egbad", "infogan"):
        default[name_of_one]["train"] = {}  # toys of one batch size
    return merge(default, TOY)


def params(name: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The resolved parameters of a method."""
    return resolve(merge(_toys(), changes or {}), method_module(name))


def settings_of(name: str, resolved: dict[str, Any]) -> RunSettings:
    block = method_module(name).BLOCKS[0]
    return RUN_MODELS[block](**resolved[block])


def build(name: str, changes: dict[str, Any] | None = None, seed: int = 0) -> Any:
    """The method, ready for a step."""
    method = method_module(name).build(params(name, changes), len(CLASSES), seed)
    method.nets.train()
    return method


def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def start(
    name: str, scratch: Path, changes: dict[str, Any] | None = None, over: Fabric | None = None, seed: int = 0
) -> Run:
    """A run with its checkpoints in `scratch`."""
    settings = settings_of(name, params(name, changes))
    return Run(build(name, changes, seed), settings, over or fabric(), Checkpoints(name, "toy", scratch), seed)


def write_model(name: str, out: Path, classes: ClassTable = CLASSES) -> Any:
    """The directory of an untrained model; its nets."""
    resolved = params(name)
    nets = method_module(name).exported(resolved, len(classes))
    random = torch.Generator().manual_seed(0)
    for key, value in nets.state_dict().items():
        if value.is_floating_point():  # variances are not negative
            value.copy_((torch.rand(value.shape, generator=random) - (0 if key.endswith("var") else 0.5)) / 4)
    save_model(out, name, nets, resolved, classes.name, "f" * 64, "# card\n")
    return nets.eval()


# -- drawn pictures -----------------------------------------------------------------------------------------------


class Drawn:
    """Batches of smooth random pictures with all that a method asks for: the same on every machine, from no file."""

    waited = 0.0

    def __init__(self, name: str, batch: int = 2, size: tuple[int, int] = (32, 32)) -> None:
        self.domains, self.batch, self.size = method_module(name).DOMAINS, batch, size

    def batches(self, start: int) -> Iterator[SimpleNamespace]:
        step = start
        while True:
            yield SimpleNamespace(**{name: self._batch(name, parts, step) for name, parts in self.domains.items()})
            step += 1

    def _batch(self, domain: str, parts: tuple[str, ...], step: int) -> Batch:
        random = np.random.RandomState(1000 * step + len(domain))  # legacy, and so never changed by NumPy
        positions = np.arange(self.batch, dtype=np.int64) + step * self.batch
        made = Batch(domain, [str(p) for p in positions], positions)
        field = self._field(random)
        drawn = {
            "image": lambda: torch.tanh(self._field(random, 3)),
            "paired": lambda: torch.tanh(self._field(random, 3)),
            "label": lambda: (field[:, 0] * 3).round().long().abs().clamp(0, len(CLASSES) - 1),
            "instance": lambda: (field[:, 0] * 2).round().long().abs(),
            "depth": lambda: (field * 30).abs() + 2,
            "flow": lambda: self._field(random, 2),
            "flow_back": lambda: self._field(random, 2),
        }
        for part in (part.rstrip("?") for part in parts):
            setattr(made, part, drawn[part]())
        for part in ("flow", "flow_back"):
            if part in parts:
                setattr(made, f"{part}_valid", torch.ones(self.batch, 1, *self.size, dtype=torch.bool))
        if made.label is not None:
            made.label[:, :3, :5] = 255
        if made.depth is not None:
            made.depth[:, :, :4] = float("inf")
        return made

    def _field(self, random: np.random.RandomState, channels: int = 1) -> torch.Tensor:
        rough = torch.from_numpy(random.uniform(-2, 2, (self.batch, channels, 4, 4))).to(torch.get_default_dtype())
        return torch.nn.functional.interpolate(rough, self.size, mode="bilinear", align_corners=True)


# -- the small world ----------------------------------------------------------------------------------------------


def shards(name: str, run: Run) -> ShardFeed:
    """What stages.train or stages.segment would feed the method with, where the small world is the current folder."""
    module = method_module(name)
    return feed_of(module, params(name), open_sets(module.DOMAINS, Path("data/shards/source")), run)
