"""What two processes do in one start: python ranks.py OUT FOLDER under torchrun, in the small world's folder.

Every method is trained for a few steps, two of them once more: to a checkpoint in FOLDER/half_two, and on from the one that a
single process left in FOLDER/half_one. Then FOLDER's spigan translates, its source_only is evaluated, and another spigan is
trained in the place of the first.

The methods train in double precision: in single precision the last bits of a gradient that should be zero (a bias in
front of an instance norm) become whole steps of Adam, on one rank and on two alike, but not the same ones.
"""

import os
import runpy
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.engine import loop
from pipeline.engine.device import launch
from pipeline.engine.loop import Run, train
from pipeline.engine.settings import DeviceSettings
from pipeline.nets.lite0 import SameConv2d
from tests.engine import toy

CHANGES: dict[str, Any] = {"steps": 4, "tick": 2, "clip": 1.0}
PASSED_ON = ("spigan", "cyclegan")  # the second has pools of pictures beside nets and optimizers
FORWARD = SameConv2d.forward
STAGES = (("translate", "spigan", "0"), ("evaluate", "source_only", "none", "0"), ("train", "spigan", "0"))


class Double:
    """A feed whose pictures and depths are in double precision."""

    def __init__(self, feed: Any, steps: int | None = None) -> None:
        self.feed, self.steps, self.waited = feed, steps, 0.0

    def batches(self, start: int) -> Iterator[SimpleNamespace]:
        for batch in islice(self.feed.batches(start), self.steps):
            for domain in vars(batch).values():
                for name, value in vars(domain).items():
                    if isinstance(value, torch.Tensor) and value.is_floating_point():
                        setattr(domain, name, value.double())
            yield batch


def depthwise(convolution: SameConv2d, x: Tensor) -> Tensor:
    """A SameConv2d as a sum over the places of its filter; in double precision torch takes channel after channel."""
    if convolution.groups == 1:
        return FORWARD(convolution, x)
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    high, wide = (-(-n // stride) for n in x.shape[-2:])
    down, right = (max((out - 1) * stride + kernel - n, 0) for out, n in zip((high, wide), x.shape[-2:], strict=True))
    x, total = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2)), convolution.bias[:, None, None]
    for i in range(kernel):
        for j in range(kernel):
            part = x[..., i : i + (high - 1) * stride + 1 : stride, j : j + (wide - 1) * stride + 1 : stride]
            total = total + convolution.weight[:, :, i, j, None] * part
    return total


def trained(name: str, fabric: Any, scratch: Path, steps: int | None = None) -> dict[str, Any]:
    """Weights and curves of a method, from its newest checkpoint in `scratch` on; ended after `steps`."""
    resolved = toy.params(name, {toy.method_module(name).BLOCKS[0]: CHANGES})
    method = toy.method_module(name).build(resolved, len(toy.CLASSES), 0)
    for held in (method.nets, *vars(method).values()):
        if isinstance(held, nn.Module):
            held.double()
    run = Run(method, toy.settings_of(name, resolved), fabric, toy.Checkpoints(name, "ranks", scratch), 0)
    with mock.patch.object(SameConv2d, "forward", depthwise):
        train(run, Double(toy.shards(name, run), steps), name)
    return {
        "nets": run.method.nets.state_dict(),
        "ema": run.nets.state_dict(),
        "columns": run.columns,
        "rows": run.rows,
    }


def half(name: str, fabric: Any, scratch: Path) -> None:
    """Leave a checkpoint at the tick in the middle."""
    with mock.patch.object(loop, "CHECKPOINT_SECONDS", -1.0):
        trained(name, fabric, scratch, CHANGES["tick"])


def main(out: str, folder: str) -> None:
    fabric = launch(DeviceSettings(accelerator="cpu", threads=1))
    with tempfile.TemporaryDirectory() as scratch:
        made = {name: trained(name, fabric, Path(scratch)) for name in toy.METHODS}
    for name in PASSED_ON:
        half(name, fabric, Path(folder, "half_two"))
    continued = {name: trained(name, fabric, Path(folder, "half_one")) for name in PASSED_ON}
    if fabric.global_rank == 0:
        torch.save({"ranks": fabric.world_size, "methods": made, "continued": continued}, out)
    os.chdir(folder)
    for stage, *arguments in STAGES:
        sys.argv = [f"stages/{stage}.py", *arguments]
        runpy.run_module(f"stages.{stage}", run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
