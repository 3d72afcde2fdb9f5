"""Complete training steps against a fixture of the published code: losses of every step, all weights after the last."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.engine.step import run_step
from tests.parity import fill

HERE = Path(__file__).parent
RTOL = 1e-7  # in float64


def record(name: str) -> dict[str, Any]:
    return json.loads((HERE / f"{name}.json").read_text())


def array(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """An input of a fixture, in float64."""
    return torch.from_numpy(fill.array(name, shape)).double()


def check_steps(
    fixture: dict[str, Any],
    method: Any,
    batches: Iterable[Any],
    losses: dict[str, str | Callable[[dict[str, float]], float]],
    nets: dict[str, str],
) -> dict[str, float]:
    """Run the method's steps in float64; returns the largest relative differences.

    losses: published name -> ours, or a function of ours; nets: published name -> ours, with dots for a net within a net.
    """
    ours = {theirs: method.nets.get_submodule(own).double() for theirs, own in nets.items()}
    for theirs, net in ours.items():
        fill_net(theirs, net)
    optimizers, found = method.optimizers(), {"losses": 0.0, "weights": 0.0}
    for batch, stored in zip(batches, fixture["losses"], strict=True):
        values = {name: float(value) for name, value in run_step(method.step(batch), optimizers).items()}
        for name, value in stored.items():
            own = losses[name]
            mine = values[own] if isinstance(own, str) else own(values)
            found["losses"] = max(found["losses"], abs(mine - value) / abs(value))
    for theirs, probes in fixture["after"].items():
        state = {k: v for k, v in ours[theirs].state_dict().items() if not k.endswith("num_batches_tracked")}
        assert state.keys() == probes.keys()
        for key, expected in probes.items():
            seen = fill.probe(f"after:{theirs}.{key}", state[key].numpy())
            norm = max(abs(expected[0]), 1e-12)
            found["weights"] = max(found["weights"], *(abs(a - b) / norm for a, b in zip(seen, expected, strict=True)))
    assert found["losses"] < RTOL and found["weights"] < RTOL, found
    return found


def maps(kind: str, n: int, shape: tuple[int, ...], instances: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels and instances of a fixture's step `n`, the instances so that only their own borders are edges.

    Our planes show borders of classes and of instances (`conditions`), because in some data sets an instance id says
    nothing about the class; published edges are those of instances alone. What ours adds is taken off here.
    """
    label, instance = (
        torch.from_numpy(fill.labels(f"step:{kind}_{part}_{n}", shape, classes))
        for part, classes in (("labels", 35), ("instances", instances))
    )
    return label, instance - 65536 * label


def doubled(losses: dict[str, str]) -> dict[str, Callable[[dict[str, float]], float]]:
    """Losses of a discriminator that are stored whole where half of each is what it learns from."""
    return {theirs: (lambda values, ours=ours: 2 * values[ours]) for theirs, ours in losses.items()}


def fill_net(name: str, net: torch.nn.Module) -> None:
    with torch.no_grad():
        for key, value in net.state_dict().items():
            value.copy_(torch.from_numpy(np.asarray(fill.weight(f"{name}.{key}", tuple(value.shape)))))
