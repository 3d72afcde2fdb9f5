"""The training loop: pure order, exact resume, losses that stay on the device until the tick."""

import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.costs import Cost, process_peak_mb
from pipeline.engine.checkpoint import Checkpoints
from pipeline.engine.ema import Ema
from pipeline.engine.schedules import factor
from pipeline.engine.settings import RunSettings
from pipeline.engine.snapshots import Snapshots
from pipeline.engine.step import Update, mean_over_ranks, run_step
from pipeline.files import UserError, out_of_memory, progress, write_atomic
from pipeline.nets.dropout import seed_dropout
from pipeline.shards.order import uniforms

CHECKPOINT_SECONDS = 20.0


class Method(Protocol):
    """What the engine needs of a method. `state` and `load_state` hold what is neither net nor optimizer (pools)."""

    nets: nn.ModuleDict

    def optimizers(self) -> dict[str, Optimizer]: ...
    def step(self, batch: Any) -> Iterator[Update]: ...
    def state(self) -> dict[str, Any]: ...
    def load_state(self, state: dict[str, Any]) -> None: ...


class Feed(Protocol):
    """Batches from a given step on; `waited` counts the seconds that the device waited for data."""

    @property
    def waited(self) -> float: ...
    def batches(self, start: int) -> Iterator[Any]: ...


@dataclass
class Run:
    """A training in progress: everything that is state, besides the method's own."""

    method: Method
    settings: RunSettings
    fabric: Fabric
    checkpoints: Checkpoints
    seed: int
    snapshots: Snapshots | None = None
    optimizers: dict[str, Optimizer] = field(init=False)
    rates: dict[str, list[float]] = field(init=False)
    ema: Ema | None = field(init=False)
    step: int = 0
    columns: list[str] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)

    def __post_init__(self) -> None:
        self.method.nets.to(self.fabric.device).train()
        self.optimizers = self.method.optimizers()
        self.rates = {name: [g["lr"] for g in o.param_groups] for name, o in self.optimizers.items()}
        self.ema = Ema(self.method.nets, self.settings.ema) if self.settings.ema else None

    @property
    def nets(self) -> nn.ModuleDict:
        """The nets that are kept in the end."""
        return self.ema.nets if self.ema else self.method.nets

    def state(self) -> dict[str, Any]:
        return {
            "nets": self.method.nets.state_dict(),
            "optimizers": {name: o.state_dict() for name, o in self.optimizers.items()},
            "ema": self.ema.nets.state_dict() if self.ema else None,
            "method": self.method.state(),
            "step": self.step,
            "columns": self.columns,
            "rows": self.rows,
            "cost": vars(self.cost),
        }

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        state = self.checkpoints.newest()
        if state is None:
            return
        self.method.nets.load_state_dict(state["nets"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if self.ema:
            self.ema.nets.load_state_dict(state["ema"])
        self.method.load_state(state["method"])
        self.step, self.columns, self.rows = state["step"], state["columns"], state["rows"]
        self.cost = Cost(**state["cost"])
        self.cost.restarts += 1
        print(f"resumed at step {self.step} of {self.settings.steps}", file=sys.stderr)

    def seed_dropout(self, batch: Any) -> None:
        """Name the dropout streams of this batch after the run and the pictures' places in the training order."""
        positions = next(iter(vars(batch).values())).positions
        draws = uniforms(self.seed, "dropout", positions, 1)[:, 0]
        seed_dropout(self.method.nets, [int(draw * 2**53) for draw in draws])

    def set_rates(self) -> None:
        scale = factor(self.settings.schedule, self.step, self.settings.steps)
        for name, optimizer in self.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self.rates[name], strict=True):
                group["lr"] = rate * scale


class Terminated(SystemExit):
    """SIGTERM: a checkpoint was written, exit code 143."""


def train(run: Run, feed: Feed, label: str, live: Callable[[int, dict[str, float]], None] | None = None) -> None:
    """Run `run` to its last step, from its newest checkpoint on.

    Raises UserError that names the loss and the step when a loss is not finite; the checkpoints before it stay.
    """
    run.resume()
    settings, began, base = run.settings, time.monotonic(), Cost(**vars(run.cost))
    saved, pending, stop = began, [], _catch_sigterm()
    bar = progress(range(run.step, settings.steps), label)
    for batch, _ in zip(feed.batches(run.step), bar, strict=False):
        run.set_rates()
        run.seed_dropout(batch)
        with _within_memory(run):
            pending.append(run_step(run.method.step(batch), run.optimizers, settings.clip, run.fabric.autocast))
        if run.ema:
            run.ema.update(run.method.nets, run.step)
        run.step += 1
        if run.snapshots and run.fabric.global_rank == 0:
            run.snapshots.take(run.step, run.nets)
        if run.step % settings.tick:
            continue
        row = _close_tick(run, pending)
        pending = []
        run.cost.seconds = base.seconds + time.monotonic() - began
        run.cost.waited = base.waited + feed.waited
        run.cost.peak_mb = max(run.cost.peak_mb, peak_mb(run.fabric))
        if live:
            live(run.step, row)
        due = time.monotonic() - saved > CHECKPOINT_SECONDS and run.step < settings.steps
        if run.fabric.global_rank == 0 and (due or stop):  # after the last tick too: its outputs are not yet written
            run.checkpoints.save(run.step, run.state())
            saved = time.monotonic()
        if stop:
            raise Terminated(143)
    _say_what_bounds(run, label)


def _catch_sigterm() -> list[int]:
    """A list that becomes non-empty when SIGTERM arrives: the loop ends at its next tick with a checkpoint."""
    caught: list[int] = []
    with contextlib.suppress(ValueError):  # not in the main thread: the caller handles signals
        signal.signal(signal.SIGTERM, lambda number, frame: caught.append(number))
    return caught


@contextlib.contextmanager
def _within_memory(run: Run) -> Iterator[None]:
    """What a device without memory says, in a sentence with the parameters that a step's memory depends on."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        height, width = run.settings.crop
        raise UserError(
            f"the memory of {run.fabric.device} is used up by step {run.step} with its batch of {run.settings.batch} crops of "
            f"{height} x {width}; set a smaller batch or crop, where params.yaml has them for this method"
        ) from error


def _close_tick(run: Run, pending: list[dict[str, Tensor]]) -> dict[str, float]:
    """Bring the losses of a tick to the host, check them, and append their means to the curves."""
    names = list(pending[0])
    table = torch.stack([torch.stack([losses[name].float() for name in names]) for losses in pending])
    table = mean_over_ranks(table).double().cpu()  # so that every rank sees, and refuses, what one of them met
    bad = (~torch.isfinite(table)).nonzero()
    if len(bad):
        first, which = bad[0].tolist()
        step = run.step - len(pending) + first
        raise UserError(
            f"loss '{names[which]}' became {table[first, which].item()} at step {step}; "
            f"lower the learning rate (lr), set clip, or look at the pictures of that batch{run.checkpoints.told()}"
        )
    if not run.columns:
        run.columns = ["step", "kimg", *(f"loss/{name}" for name in names)]
    means = table.mean(0).tolist()
    kimg = run.step * run.settings.batch / 1000
    run.rows.append([run.step, kimg, *means])
    return dict(zip(run.columns[1:], [kimg, *means], strict=True))


def peak_mb(fabric: Fabric) -> float:
    """Peak memory so far in MB: of the GPU where there is one, of this process elsewhere."""
    if fabric.device.type == "cuda":
        return torch.cuda.max_memory_allocated(fabric.device) / 1e6
    return process_peak_mb()


def _say_what_bounds(run: Run, label: str) -> None:
    if run.fabric.global_rank or not run.cost.seconds:
        return
    share = run.cost.waited / run.cost.seconds
    rate = run.settings.steps * run.settings.batch / run.cost.seconds
    bound = f"data ({share:.0%} of the time waiting; more cores or fewer members help)" if share > 0.2 else "the device"
    print(
        f"{label}: {run.cost.seconds:.0f} s, {rate:.1f} images/s, {run.cost.peak_mb:.0f} MB; bound by {bound}",
        file=sys.stderr,
    )


def write_curves(path: Path, run: Run, method: str, seed: int) -> None:
    """The record of a training: mean losses of every tick; no times, so that it is equal whatever happened."""
    rows = ",\n".join(json.dumps(dict(zip(run.columns, row, strict=True))) for row in run.rows)
    head = json.dumps({"method": method, "seed": seed})
    write_atomic(path, f'{head[:-1]}, "curves": [\n{rows}\n]}}\n')
