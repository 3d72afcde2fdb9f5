"""One net against its fixture: the published net's outputs and gradients for weights and inputs made by fill.py."""

import json
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


@dataclass
class Fixture:
    """`check` returns the largest differences found, relative to the stored norms, and asserts the stated tolerance."""

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

    def check(self, net: nn.Module, double: bool) -> dict[str, float]:
        """One forward and backward pass in float64 or float32 against the fixture."""
        (given,) = self.record["inputs"]
        image = torch.from_numpy(fill.array(given["name"], given["shape"], given["low"], given["high"]))
        image = (image.double() if double else image).requires_grad_()
        output = net(image)
        ((path, stored),) = self.record["outputs"].items()
        cotangent = torch.from_numpy(fill.array(f"cotangent:{self.name}:{path}", tuple(output.shape)))
        scalar = (output * cotangent.to(output)).mean()
        scalar.backward()
        self.found = {"outputs": 0.0, "gradients": 0.0, "samples": 0.0, "zeros": 0.0}
        self._compare(output, stored, path)
        self._probe("outputs", f"output:{path}", output.detach(), stored["probe"], double)
        for key, value in {given["name"]: image, **dict(net.named_parameters())}.items():
            self._gradient(key, value.grad, double)
            value.grad = None  # 134 M parameters: give the memory back at once
        return self.found

    def _compare(self, output: torch.Tensor, stored: dict[str, Any], path: str) -> None:
        assert list(output.shape) == stored["shape"]
        steps = tuple(slice(None, None, n) for n in stored["stride"])
        samples = np.load(HERE / f"{self.name}.npz")[stored["npz"]]
        self.found["samples"] = float(np.abs(output.detach().numpy()[steps] - samples).max())
        assert self.found["samples"] <= self.record["tolerance"]["output_samples_atol"]

    def _gradient(self, key: str, value: torch.Tensor | None, double: bool) -> None:
        assert value is not None, key
        zeros = self.record["zero_gradients"]
        if key in (zeros["keys"] if zeros else []):
            largest = float(value.norm())
            assert largest <= (1e-12 if double else self.record["tolerance"]["zero_norm_max"]), key
            self.found["zeros"] = max(self.found["zeros"], largest)
            return
        stored = (self.record["gradients"] | self.record["input_gradients"])[key]
        self._probe("gradients", f"grad:{key}", value, stored, double)

    def _probe(self, kind: str, name: str, value: torch.Tensor, stored: dict[str, Any], double: bool) -> None:
        norm, along = stored["f64" if double else "f32"]
        got = fill.probe(name, value.numpy())
        worst = max(abs(got[0] - norm), abs(got[1] - along)) / norm
        self.found[kind] = max(self.found[kind], worst)
        assert worst <= (FLOAT64_RTOL if double else self.record["tolerance"][f"{kind}_rtol"]), name
