"""Training steps of every method, and what each speed-up brings: images/s, peak memory, the same losses or not.

    python -m benchmarks.train_step                                        # all methods, sizes of params.yaml
    python -m benchmarks.train_step --methods cyclegan spade --size 256 256 --batch 1 --out steps.json

Each method is trained in float32, without any speed-up, and once with each of them, by the engine's own Run and step on
drawn pictures: reading data costs nothing here. Each training is a process of its own, so that peak memory is its own. Its
first steps warm up; their losses are compared with those without the speed-up. Then the two take turns, a round of steps
each, so that a machine that slows down does so for both; the median of the rounds' ratios is told.
A cell says: times as fast, peak memory, largest relative difference of a loss, and "!" where that is above the tolerance.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ruamel.yaml import YAML

from pipeline.params import load
from pipeline.presets import merged

SPEEDUPS = ("channels_last", "bf16", "compile", "fused", "joined", "kept_memory")
BASELINE = "float32"
CLASSES = "cityscapes19"


class NotRun(Exception):
    """Why a setting cannot be tried here."""


# -- one training, in a process of its own ------------------------------------------------------------------------


def serve(order: dict[str, Any]) -> None:
    """Prints what the first steps of one method with some speed-ups were; then, for each line that it is sent, the seconds
    of a step in a round of steps; at the end of lines its peak memory."""
    import torch
    from torchvision.models import WeightsEnum, get_model

    from pipeline.engine import device
    from pipeline.engine.checkpoint import Checkpoints
    from pipeline.engine.loop import Run, peak_mb
    from pipeline.engine.session import RUN_MODELS
    from pipeline.engine.settings import DeviceSettings
    from pipeline.engine.step import run_step
    from pipeline.methods import method_module
    from stages.common import keep_memory

    def random(weights: WeightsEnum, **_: Any) -> Any:  # nothing is downloaded
        return get_model(type(weights).__name__.removesuffix("_Weights").lower()).state_dict()

    WeightsEnum.get_state_dict = random  # type: ignore[method-assign]
    module, resolved, chosen = method_module(order["method"]), resolved_params(order), order["speedups"]
    settings = RUN_MODELS[module.BLOCKS[0]](**resolved[module.BLOCKS[0]])
    precision = "bf16-mixed" if "bf16" in chosen else "32-true"
    if "kept_memory" in chosen:  # as in every stage
        keep_memory()
    fabric = device.launch(DeviceSettings(**(order["device"] | {"precision": precision, "devices": 1})))
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        method = module.build(resolved, 19, 0)
        run = Run(method, settings, fabric, Checkpoints(order["method"], "benchmark", Path(scratch)), 0)
    batches = [drawn(module.DOMAINS, settings, n, fabric.device) for n in range(order["first"])]
    speed_up(run, batches, chosen)

    def step(n: int) -> dict[str, torch.Tensor]:
        batch = batches[n % len(batches)]
        run.set_rates()
        run.seed_dropout(batch)
        return run_step(run.method.step(batch), run.optimizers, settings.clip, fabric.autocast)

    def seconds(steps: int, of: list[Any]) -> float:
        began = time.perf_counter()
        of += [step(n) for n in range(steps)]
        if fabric.device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - began) / steps

    first: list[dict[str, torch.Tensor]] = []
    warm = seconds(order["first"], first) * order["first"]
    say(
        {
            "losses": [{name: float(value) for name, value in losses.items()} for losses in first],
            "first_steps_s": warm,
            "batch": settings.batch,
            "device": device.describe(fabric),
        }
    )
    for _ in sys.stdin:
        say(seconds(order["steps"], []))
    say({"peak_mb": peak_mb(fabric)})


def say(what: Any) -> None:
    print(json.dumps(what), flush=True)


def resolved_params(order: dict[str, Any]) -> dict[str, Any]:
    """The method's parameters at the size, the batch and with the passes that were asked for.

    Warm-ups are left out, as they are the cheaper part; weights are drawn at random where a file is named, as they change
    no time.
    """
    from pipeline.engine.session import WEIGHT_FILES, resolve
    from pipeline.methods import method_module

    module = method_module(order["method"])
    resolved = resolve(order["params"], module)
    block = resolved[module.BLOCKS[0]]
    block |= {key: value for key, value in (("crop", order["size"]), ("batch", order["batch"])) if value}
    block |= dict.fromkeys(key for key in WEIGHT_FILES if key in block)
    own = resolved[module.BLOCKS[-1]]
    own |= {"warmup": 0.0} if "warmup" in own else {}
    if "joined" in order["speedups"]:
        if "joined" not in block:
            raise NotRun("it has no passes that one pass could replace with the same result")
        block["joined"] = True
    return resolved


def drawn(domains: dict[str, tuple[str, ...]], settings: Any, n: int, device: Any) -> SimpleNamespace:
    """Random pictures with all that a method asks for, the n-th batch of a training."""
    import numpy as np
    import torch

    from pipeline.shards.batch import Batch

    random, size = torch.Generator().manual_seed(n), (settings.batch, *settings.crop)
    positions = np.arange(settings.batch, dtype=np.int64) + n * settings.batch
    blocks = torch.randint(0, 19, (size[0], -(-size[1] // 8), -(-size[2] // 8)), generator=random)
    label = blocks.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, : size[1], : size[2]].to(device)
    made = {}
    for domain, parts in domains.items():
        made[domain] = Batch(domain, [str(p) for p in positions], positions)
        image = torch.rand(size[0], 3, *size[1:], generator=random) * 2 - 1
        have = {"image": image.to(device), "label": label, "instance": label, "depth": label[:, None] + 2.0}
        have |= {"paired": have["image"], "flow": 3 * torch.randn(size[0], 2, *size[1:], generator=random).to(device)}
        made[domain].flow_valid = label[:, None] < 19
        for part in parts:
            setattr(made[domain], part.rstrip("?"), have[part.rstrip("?")])
    return SimpleNamespace(**made)


def speed_up(run: Any, batches: list[Any], chosen: list[str]) -> None:
    """Those speed-ups that are no parameters."""
    import torch

    if "bf16" in chosen and run.fabric.device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise NotRun("this GPU has no bfloat16")
    if "channels_last" in chosen:
        run.method.nets.to(memory_format=torch.channels_last)
        for batch in batches:
            for domain in vars(batch).values():
                domain.image = domain.image.contiguous(memory_format=torch.channels_last)
    if "fused" in chosen:
        for name, old in run.optimizers.items():
            groups = [group | {"fused": True} for group in old.param_groups]
            run.optimizers[name] = type(old)(groups, fused=True)
    if "compile" in chosen:
        for net in run.method.nets.values():
            net.compile()


# -- all of them --------------------------------------------------------------------------------------------------


class Training:
    """`serve` in a fresh process. Where it cannot go on, `reason` says why."""

    def __init__(self, order: dict[str, Any], minutes: float) -> None:
        command = [sys.executable, "-m", "benchmarks.train_step", "--order", json.dumps(order)]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )
        self.minutes, self.reason = minutes, ""
        self.first = self._answer() or {}
        self.reason = self.first.get("not_run", self.reason)

    def round(self) -> float:
        """Seconds of a step; nan where it has ended."""
        if self.reason:
            return math.nan
        assert self.process.stdin
        with suppress(BrokenPipeError):
            print(file=self.process.stdin, flush=True)
        answer = self._answer()
        return math.nan if answer is None else answer

    def end(self) -> dict[str, Any]:
        """What it says at its end: {"peak_mb": ...}."""
        assert self.process.stdin
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        answer = None if self.reason else self._answer()
        self.process.wait()
        return answer or {}

    def _answer(self) -> Any:
        """Its next line; None where it ended, or was ended because it took too long."""
        late = threading.Timer(60 * self.minutes, self.process.kill)
        late.start()
        assert self.process.stdout
        line, done = self.process.stdout.readline(), not late.finished.is_set()
        late.cancel()
        if line:
            return json.loads(line)
        self.errors.seek(0)
        ended = f"its process ended with {self.process.wait()}: {self.errors.read().strip()[-200:]}"
        self.reason = ended if done else f"not done after {self.minutes:g} minutes"
        return None


def difference(losses: list[dict[str, float]], wanted: list[dict[str, float]]) -> float:
    """The largest difference of a loss, relative to its largest value without the speed-up."""
    size = {name: max(abs(row[name]) for row in wanted) or 1.0 for name in wanted[0]}
    pairs = zip(losses, wanted, strict=True)
    return max(abs(ours[name] - theirs[name]) / size[name] for ours, theirs in pairs for name in size)


def rows_of(method: str, params: dict[str, Any], given: argparse.Namespace) -> list[dict[str, Any]]:
    """The baseline, each speed-up beside it, and together those that were faster with equal losses."""
    keys = ("size", "batch", "first", "steps")
    order = {"method": method, "params": params, "device": params["device"]} | {key: vars(given)[key] for key in keys}
    base, rows = Training(order | {"speedups": []}, given.minutes), []
    of_base = [base.round() for _ in range(given.rounds)]

    def add(name: str, speedups: list[str]) -> None:
        other = Training(order | {"speedups": speedups}, given.minutes)
        pairs = [(base.round(), other.round()) for _ in range(given.rounds)]
        row = {"method": method, "setting": name} | other.first | other.end()
        if other.reason:
            row |= {"not_run": other.reason}
        else:
            of_base.extend(ours for ours, _ in pairs)
            row["images_per_s"] = row["batch"] / statistics.median(theirs for _, theirs in pairs)
            row["times"] = statistics.median(ours / theirs for ours, theirs in pairs)
            row["difference"] = difference(row["losses"], base.first["losses"])
            row["equal"] = row["difference"] <= given.tolerance  # false for nan too
        rows.append(row)

    if not base.reason:
        for name in given.speedups:
            add(name, [name])
        good = [row["setting"] for row in rows if row.get("equal") and row["times"] > 1]
        if len(good) > 1:
            add("+".join(good), good)
    row = {"method": method, "setting": BASELINE} | base.first | base.end()
    if base.reason:
        row |= {"not_run": base.reason}
    else:
        row["images_per_s"] = row["batch"] / statistics.median(of_base)
    return [row, *rows]


def table(rows: list[dict[str, Any]]) -> str:
    """A line a method; below, what was not run and what was faster together."""
    columns = [name for name in SPEEDUPS if any(row["setting"] == name for row in rows)]
    lines = [f"{'method':<14}{BASELINE:>20}" + "".join(f"{name:>26}" for name in columns)]
    for method in dict.fromkeys(row["method"] for row in rows):
        cells = {row["setting"]: _cell(row) for row in rows if row["method"] == method}
        lines.append(f"{method:<14}{cells[BASELINE]:>20}" + "".join(f"{cells.get(name, ''):>26}" for name in columns))
    lines += [f"{r['method']}, {r['setting']}: not run: {r['not_run']}" for r in rows if "not_run" in r]
    lines += [f"{r['method']}, {r['setting']}: {_cell(r)}" for r in rows if "+" in r["setting"] and "losses" in r]
    return "\n".join(lines)


def _cell(row: dict[str, Any]) -> str:
    if "not_run" in row:
        return "not run"
    if row["setting"] == BASELINE:
        return f"{row['images_per_s']:.2f}/s {row['peak_mb']:.0f} MB"
    return f"x{row['times']:.2f} {row['peak_mb']:.0f} MB {row['difference']:.0e}{'' if row['equal'] else ' !'}"


def main(given: argparse.Namespace) -> None:
    from pipeline.methods import method_module, method_names

    params, rows = YAML(typ="safe").load(merged(given.preset)) if given.preset else load(), []
    for method in given.methods or [name for name in method_names() if hasattr(method_module(name), "build")]:
        found = rows_of(method, params, given)
        rows += found
        print(table(found), flush=True)
    device = next((row["device"] for row in rows if "device" in row), "no device")
    print(f"\n{device}; tolerance {given.tolerance:g} over the first {given.first} steps\n{table(rows)}")
    if given.out:
        given.out.write_text(
            json.dumps({"device": device, "settings": vars(given), "rows": rows}, default=str, indent=1)
        )


def answer(order: dict[str, Any]) -> None:
    """`serve`, or the first line of what stood against it."""
    try:
        serve(order)
    except NotRun as reason:
        say({"not_run": str(reason)})
    except Exception as error:  # whatever a compiler, a kernel or the memory says is the answer
        say({"not_run": f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')[:200]}"})


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--methods", nargs="+", help="all that are trained")
    made.add_argument("--preset", help="whose widths, batch and crop; without it params.yaml's")
    made.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="of a crop")
    made.add_argument("--batch", type=int)
    made.add_argument("--speedups", nargs="*", default=list(SPEEDUPS), choices=SPEEDUPS)
    made.add_argument("--first", type=int, default=5, help="steps whose losses are compared; they warm up")
    made.add_argument("--steps", type=int, default=10, help="of a round")
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--minutes", type=float, default=10.0, help="at most, for the first steps, and for a round")
    made.add_argument("--tolerance", type=float, default=1e-2, help="of the losses' relative differences")
    made.add_argument("--out", type=Path, help="JSON of all rows")
    made.add_argument("--order", type=json.loads, help=argparse.SUPPRESS)  # one training, in this process
    chosen = made.parse_args()
    if chosen.order:
        answer(chosen.order)
    else:
        main(chosen)
