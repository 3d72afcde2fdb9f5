"""One training from its parameters to its outputs: model directory, curves, cost. What stages/train and segment call."""

import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from pipeline.costs import write_cost
from pipeline.engine.checkpoint import Checkpoints
from pipeline.engine.device import check_torchvision, describe, launch
from pipeline.engine.loop import Run, train, write_curves
from pipeline.engine.model import save_model
from pipeline.engine.settings import DeviceSettings, RunSettings, SegmentSettings, TrainSettings
from pipeline.engine.snapshots import Snapshots
from pipeline.files import UserError, sha256_file
from pipeline.methods import domains_of, method_module
from pipeline.params import block, parse
from pipeline.provenance import fingerprint, versions
from pipeline.shards.augment_settings import AugmentSettings
from pipeline.shards.feed import ShardFeed, ShardSource
from pipeline.shards.index import FETCH, ShardSet
from pipeline.tracking.live import Live

WEIGHT_FILES = ("vgg16", "resnet101", "features_file")  # keys of any block that name a file of weights
RUN_MODELS: dict[str, type[RunSettings]] = {"train": TrainSettings, "segment": SegmentSettings}


def resolve(params: dict[str, Any], module: ModuleType) -> dict[str, Any]:
    """The parameters that a method depends on: its blocks, checked, without the keys that it does without."""
    resolved: dict[str, Any] = {}
    own = params.get(module.BLOCKS[-1]) or {}
    changed = own.get("train") or {}
    for name in module.BLOCKS:
        model = RUN_MODELS.get(name) or getattr(module, "MODELS", {}).get(name) or method_module(name).Settings
        if name == module.BLOCKS[0] and changed:  # a mistake is one of the method's own
            given = parse(model, {**params.get(name, {}), **changed}, f"{module.BLOCKS[-1]}.train")
        else:
            given = block(params, name, model)
        resolved[name] = given.model_dump()
    for dotted in getattr(module, "UNUSED", ()):
        name, key = dotted.split(".")
        del resolved[name][key]
    return resolved


def run_training(
    name: str,
    seed: int,
    params: dict[str, Any],
    sets: dict[str, ShardSource],
    *,
    stage: str,
    out: Path,
    curves: Path,
    cost: Path,
    snapshots: Path | None = None,
) -> None:
    """Train method `name` on `sets` (domain -> shards) and write its outputs; continued where an equal run was stopped.

    snapshots: folder for the last ones of a method that is ADVERSARIAL.
    """
    check_torchvision()
    module = method_module(name)
    resolved = resolve(params, module)
    settings: RunSettings = parse(RUN_MODELS[module.BLOCKS[0]], resolved[module.BLOCKS[0]], module.BLOCKS[0])
    device = block(params, "device", DeviceSettings)
    fabric = launch(device)
    torch.manual_seed(seed)
    classes = next(iter(sets.values())).classes
    weights = _weight_files(resolved)
    streamed = [domain for domain, given in sets.items() if isinstance(given, ShardSet) and given.url]
    if kept_back := set(streamed) & getattr(module, "HELD_OUT", {}).keys():
        raise UserError(
            f"{name} reads {', '.join(sorted(kept_back))} again in the end, and a URL is only streamed; {FETCH}"
        )
    mark = fingerprint(
        [name, seed, resolved, device.model_dump(), *streamed],  # whose order is another one
        {domain: given.digest for domain, given in sets.items()} | weights,
    )
    method = module.build(resolved, _count(classes), seed)
    run = Run(method, settings, fabric, Checkpoints(stage, mark), seed)
    kept = module.exported(resolved, _count(classes))
    if snapshots:
        assert isinstance(settings, SegmentSettings)
        run.snapshots = Snapshots(run.checkpoints.folder / "snapshots", set(kept), settings.steps, settings.snapshots)
    feed = feed_of(module, resolved, sets, run)
    if fabric.global_rank == 0:
        _announce(name, seed, settings, sets)
    with Live(stage, resolved) if fabric.global_rank == 0 else nullcontext() as live:
        train(run, feed, stage, live.log if live else None)
    if fabric.global_rank:
        return
    state = run.nets.state_dict() | (method.frozen.state_dict() if hasattr(method, "frozen") else {})
    kept.load_state_dict({k: v for k, v in state.items() if k.split(".")[0] in kept})
    if hasattr(module, "calibrate"):
        module.calibrate(kept.to(fabric.device).eval(), resolved, {domain: sets[domain] for domain in module.HELD_OUT})
    card = _card(name, seed, settings, sets, describe(fabric), method, weights)
    save_model(out, name, kept, resolved, classes, mark, card, _optional(domains_of(module, resolved), sets))
    if run.snapshots and snapshots:
        run.snapshots.keep(snapshots)
    write_curves(curves, run, name, seed)
    write_cost(cost, stage, name, seed, run.cost, describe(fabric), settings.steps * settings.batch)
    run.checkpoints.remove()


def feed_of(module: ModuleType, resolved: dict[str, Any], sets: dict[str, ShardSource], run: Run) -> ShardFeed:
    """What a run of a method with these parameters is fed with."""
    settings = run.settings
    augment = AugmentSettings(crop=settings.crop, flip=settings.flip, jitter=settings.jitter)
    orders = module.orders(resolved, sets, run.seed) if hasattr(module, "orders") else {}
    domains = domains_of(module, resolved)
    fed = {domain: given for domain, given in sets.items() if domain in domains}
    return ShardFeed(fed, domains, settings.batch, run.seed, augment, run.fabric, orders)


def _optional(domains: dict[str, tuple[str, ...]], sets: dict[str, ShardSource]) -> list[str]:
    """Parts that a method can do without, and had: where one was absent in training, its model is not to be given it."""
    found = {
        part[:-1] for d, parts in domains.items() for part in parts if part.endswith("?") and part[:-1] in sets[d].parts
    }
    return sorted(found)


def _count(classes: str) -> int:
    from pipeline.classes import TABLES

    return len(TABLES[classes])


def _announce(name: str, seed: int, settings: RunSettings, sets: dict[str, ShardSource]) -> None:
    pictures = ", ".join(f"{len(given)} {domain}" for domain, given in sets.items())
    seen = settings.steps * settings.batch
    epochs = seen / len(next(iter(sets.values())))
    print(
        f"{name} seed {seed}: {pictures} pictures; {settings.steps} steps of {settings.batch}, {epochs:.1f} epochs",
        file=sys.stderr,
    )


def _weight_files(resolved: dict[str, Any]) -> dict[str, str]:
    """`block.key: FILE` -> SHA-256 of every file of weights that the parameters name: a path does not say what is in it."""
    named = {f"{name}.{key}": given.get(key) for name, given in resolved.items() for key in WEIGHT_FILES}
    files = {place: Path(file) for place, file in named.items() if file}
    return {f"{place}: {file.name}": sha256_file(file) for place, file in files.items() if file.is_file()}


def _card(
    name: str,
    seed: int,
    settings: RunSettings,
    sets: dict[str, ShardSource],
    device: str,
    method: Any,
    weights: dict[str, str],
) -> str:
    features = getattr(method, "features", None)
    lines = [
        f"# {name}, seed {seed}",
        "",
        (method_module(name).__doc__ or "").strip(),
        "",
        f"- trained for {settings.steps} steps of {settings.batch} pictures, crops {settings.crop[0]} x {settings.crop[1]}, on {device}",
        *(
            f"- {domain}: {len(given)} pictures, classes {given.classes}, digest {given.digest[:16]}"
            for domain, given in sets.items()
        ),
        *(f"- weights of {place}, SHA-256 {digest}" for place, digest in weights.items()),
        *([f"- perceptual network: {features.name}, weights {features.digest[:16]}"] if features else []),
        f"- {', '.join(f'{library} {version}' for library, version in versions().items())}",
        "",
        "Parameters: params.yaml. Inference: `python -m stages.translate --model DIR` or `stages.evaluate --model DIR`.",
        "",
    ]
    return "\n".join(lines)
