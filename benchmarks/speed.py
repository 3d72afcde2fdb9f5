"""Speeds of the parts that a study waits for, on this machine: python -m benchmarks.speed

Frames of the world (CPU time of one core), and training steps of three methods with their data at the sizes of params.yaml.
Needs data/shards (make run). Prints a line a part; medians of several rounds. Speeds against rivals: docs/performance.md.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pipeline.params import block, load


def median(function: Callable[[], object], rounds: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Median seconds of a call, after one that is not counted."""
    function()
    seconds = []
    for _ in range(rounds):
        start = clock()
        function()
        seconds.append(clock() - start)
    return statistics.median(seconds)


def world() -> None:
    from pipeline.world.frame import render

    for flow in (False, True):
        seconds = [
            median(partial(render, 0, domain, i, (128, 256), flow=flow), 1, time.process_time)
            for i in range(10)
            for domain in ("source", "target")
        ]
        print(
            f"world, 128x256, {'with' if flow else 'without'} flow: {1 / statistics.mean(seconds):.1f} frames/s a core"
        )


def training(name: str, source: Path) -> None:
    """Seconds of a step, data and augmentation included."""
    from pipeline.classes import TABLES
    from pipeline.engine.device import launch
    from pipeline.engine.session import RUN_MODELS, resolve
    from pipeline.engine.settings import DeviceSettings
    from pipeline.engine.step import run_step
    from pipeline.methods import method_module
    from pipeline.shards.augment_settings import AugmentSettings
    from pipeline.shards.feed import ShardFeed
    from stages.inputs import open_sets

    params, module = load(), method_module(name)
    resolved, sets = resolve(params, module), open_sets(module.DOMAINS, source)
    settings = RUN_MODELS[module.BLOCKS[0]](**resolved[module.BLOCKS[0]])
    fabric = launch(block(params, "device", DeviceSettings))
    method = module.build(resolved, len(TABLES[next(iter(sets.values())).classes]), 0)
    method.nets.to(fabric.device).train()
    optimizers = method.optimizers()
    augment = AugmentSettings(crop=settings.crop, flip=settings.flip, jitter=settings.jitter)
    batches = ShardFeed(sets, module.DOMAINS, settings.batch, 0, augment, fabric).batches(0)
    seconds = median(lambda: run_step(method.step(next(batches)), optimizers, settings.clip, fabric.autocast), 15)
    print(
        f"{name}: {settings.batch / seconds:.1f} images/s, crops {settings.crop[0]}x{settings.crop[1]}, batch {settings.batch}"
    )


def main() -> None:
    world()
    for name in ("spigan_no_pi", "spigan", "source_only"):
        training(name, Path("data/shards/source"))


if __name__ == "__main__":
    main()
