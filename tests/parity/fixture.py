"""One net against its fixture: the published net's outputs and gradients for weights and inputs made by fill.py."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.parity import fill

HERE = Path(__file__).parent
FLOAT64_RTOL = 1e-7  # as every fixture's tolerance text says

Arrays = dict[str, np.ndarray]  # by precision: "f32", "f64"
Measure = Callable[[np.ndarray, str], Any]


@dataclass
class Fixture:
    """`check` asserts the stated tolerances; `found` holds the largest differences, relative to the stored norms."""

    name: str
    found: dict[str, float] = field(default_factory=dict)

    @cached_property
    def record(self) -> dict[str, Any]:
        return json.loads((HERE / f"{self.name}.json").read_text())

    def fill(self, net: nn.Module) -> nn.Module:
        """Give `net` the fixture's weights; its keys and shapes must be the published ones, in order."""
        assert [[key, list(value.shape)] for key, value in net.state_dict().items()] == self.record["state"]
        with torch.no_grad():
            for key, value in net.state_dict().items():
                value.copy_(torch.from_numpy(np.asarray(fill.weight(key, value.shape))))
        return net

    def check(self, net: nn.Module) -> None:
        """One pass in float32, one in float64 with the same weights and inputs, both against the fixture."""
        passes = {"f32": self._run(net), "f64": self._run(net.double())}
        tolerance = self.record["tolerance"]
        ((path, stored),) = self.record["outputs"].items()
        for precision, arrays in passes.items():
            self._samples(precision, arrays[f"output:{path}"], stored)
        zeros = self.record["zero_gradients"]
        zeros = zeros["keys"] if zeros else []
        expected = {f"output:{path}": stored["probe"]}
        expected |= {f"grad:{key}": v for key, v in (self.record["gradients"] | self.record["input_gradients"]).items()}
        assert expected.keys() == passes["f32"].keys()
        for name in expected:
            values = {precision: arrays.pop(name) for precision, arrays in passes.items()}
            if name.removeprefix("grad:") in zeros:
                limits = {"f32": tolerance["zero_norm_max"], "f64": 1e-12}
                self._note("zeros", values, lambda value, _: np.linalg.norm(value), limits, name)
            else:
                kind = "outputs" if name.startswith("output:") else "gradients"
                limits = {"f32": tolerance[f"{kind}_rtol"], "f64": FLOAT64_RTOL}
                self._probe(kind, values, expected[name], limits, name)

    def _run(self, net: nn.Module) -> dict[str, np.ndarray]:
        """Output and gradients of one forward and backward pass, by the names of their probes."""
        (given,) = self.record["inputs"]
        ((path, _),) = self.record["outputs"].items()
        dtype = next(net.parameters()).dtype
        image = torch.from_numpy(fill.array(given["name"], given["shape"], given["low"], given["high"]))
        image = image.to(dtype).requires_grad_()
        output = net(image)
        cotangent = torch.from_numpy(fill.array(f"cotangent:{self.name}:{path}", tuple(output.shape)))
        (output * cotangent.to(dtype)).mean().backward()
        arrays = {f"output:{path}": output.detach().numpy()}
        for key, value in {given["name"]: image, **dict(net.named_parameters())}.items():
            assert value.grad is not None, key
            arrays[f"grad:{key}"] = value.grad.numpy()
            value.grad = None
        return arrays

    def _samples(self, precision: str, output: np.ndarray, stored: dict[str, Any]) -> None:
        assert list(output.shape) == stored["shape"]
        steps = tuple(slice(None, None, n) for n in stored["stride"])
        samples = np.load(HERE / f"{self.name}.npz")[stored["npz"]]
        self.found[f"{precision} samples"] = float(np.abs(output[steps] - samples).max())
        assert self.found[f"{precision} samples"] <= self.record["tolerance"]["output_samples_atol"]

    def _probe(self, kind: str, values: Arrays, stored: dict[str, Any], limits: dict[str, float], name: str) -> None:
        """As fill.probe, but the direction is drawn once for both precisions: fc6 alone has 102 M elements."""
        direction = fill._stream("probe:" + name).standard_normal(values["f32"].size)
        length = np.linalg.norm(direction)

        def worst(value: np.ndarray, precision: str) -> float:
            flat = value.astype(np.float64, copy=False).ravel()
            norm, along = stored[precision]
            return max(abs(np.linalg.norm(flat) - norm), abs(flat @ direction / length - along)) / norm

        self._note(kind, values, worst, limits, name)

    def _note(self, kind: str, values: Arrays, measure: Measure, limits: dict[str, float], name: str) -> None:
        for precision, value in values.items():
            found = float(measure(value, precision))
            self.found[f"{precision} {kind}"] = max(self.found.get(f"{precision} {kind}", 0.0), found)
            assert found <= limits[precision], (name, precision, found)
