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

from pipeline.losses_semantic import semantics
from tests.parity import fill

HERE = Path(__file__).parent
FLOAT64_RTOL = 1e-7  # as every fixture's tolerance text says
# A ReLU's input lies within float32 noise of 0, on this or that side of it by the processor: gradients in float32 then differ
# by up to 3e-3, on nets that agree to 6e-9 in float64 (pix2pix_unet256_batch_eval: +1.7e-7 in float64, -2.6e-7 in float32, of
# 524,288 inputs with rms 0.74). Their limit is that which the fixtures of the ResNets state.
ON_KINK = {
    "cyclegan_resnet6_instance", "cyclegan_resnet6_oddsize", "pix2pix_unet256_batch_eval", "pix2pixhd_local",
    "simgan_refiner", "spade_encoder_resized", "spade_generator_instance_dontcare", "spade_generator_more_train",
    "spade_generator_most_train", "spade_generator_normal_train",
}  # fmt: skip
KINK_RTOL = 1e-2
OTHER_PROCESSOR = (
    2  # times the stated limit of samples, in float32: another processor rounds otherwise than the fixtures' own
)

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
                value.copy_(torch.from_numpy(np.asarray(fill.weight(key, value.shape) * self._scale(key))))
        return net

    def _scale(self, key: str) -> Any:
        """What a weight is multiplied by, by the end of its key; in the weight's own precision."""
        scales = self.record.get("scale") or {}
        return next((np.float32(factor) for end, factor in scales.items() if key.endswith(end)), 1)

    def check(self, net: nn.Module, call: Callable[..., Any] | None = None) -> None:
        """One pass in float32, one in float64 with the same weights and inputs, both against the fixture.

        call: what to run instead of `net` itself, where the published net does a little more or less than ours.
        """
        passes = {"f32": self._run(net, call or net)}
        passes["f64"] = self._run(self._with_first_buffers(net.double()), call or net)
        tolerance = self.record["tolerance"]
        outputs = self.record["outputs"]
        for precision, arrays in passes.items():
            for path, stored in outputs.items():
                self._samples(precision, arrays[f"output:{path}"], stored)
        zeros = self.record.get("zero_gradients")
        zeros = zeros["keys"] if zeros else []
        expected = {f"output:{path}": stored["probe"] for path, stored in outputs.items()}
        gradients = self.record["gradients"] | self.record["input_gradients"]
        expected |= {f"grad:{key}": stored for key, stored in gradients.items() if stored is not None}
        expected |= {f"after:{key}": stored for key, stored in self.record.get("buffers_after", {}).items()}
        assert expected.keys() == passes["f32"].keys()
        for name in expected:
            values = {precision: arrays.pop(name) for precision, arrays in passes.items()}
            if name.removeprefix("grad:") in zeros:
                limits = {"f32": tolerance["zero_norm_max"], "f64": 1e-12}
                self._note("zeros", values, lambda value, _: np.linalg.norm(value), limits, name)
            else:
                kind = {"output": "outputs", "grad": "gradients", "after": "buffers"}[name.partition(":")[0]]
                limits = {"f32": tolerance[f"{kind}_rtol"], "f64": FLOAT64_RTOL}
                if kind == "gradients" and self.name in ON_KINK:
                    limits["f32"] = KINK_RTOL
                self._probe(kind, values, expected[name], limits, name)

    def _with_first_buffers(self, net: nn.Module) -> nn.Module:
        """Buffers as the fixture gave them: a pass in train mode has moved running statistics."""
        for key in self.record.get("buffers_after", {}):
            buffer = net.get_buffer(key)
            buffer.copy_(torch.from_numpy(np.asarray(fill.weight(key, buffer.shape))))
        return net

    def _run(self, net: nn.Module, call: Callable[..., Any]) -> dict[str, np.ndarray]:
        """Outputs and gradients of one forward and backward pass, and the buffers after it, by their probes' names."""
        dtype = next(net.parameters()).dtype
        inputs = {given["name"]: _input(given, dtype) for given in self.record["inputs"]}
        if "before_the_recorded_pass" in self.record:
            with torch.no_grad():
                net.train()
                call(*inputs.values()), call(*inputs.values())
                net.eval()
        outputs = _flat(call(*inputs.values()))
        if outputs.keys() != self.record["outputs"].keys():  # some fixtures give outputs names of their own
            outputs = dict(zip(self.record["outputs"], outputs.values(), strict=True))
        losses = []
        for path, output in outputs.items():
            cotangent = torch.from_numpy(fill.array(f"cotangent:{self.name}:{path}", tuple(output.shape)))
            losses.append((output * cotangent.to(dtype)).mean())
        torch.stack(losses).sum().backward()
        arrays = {f"output:{path}": output.detach().numpy() for path, output in outputs.items()}
        differentiable = {name: value for name, value in inputs.items() if value.requires_grad}
        for key, value in {**differentiable, **dict(net.named_parameters())}.items():
            if key in self.record["gradients"] and self.record["gradients"][key] is None:  # published, and not used
                assert value.grad is None, key
                continue
            assert value.grad is not None, key
            arrays[f"grad:{key}"] = value.grad.numpy()
            value.grad = None
        for key in self.record.get("buffers_after", {}):
            arrays[f"after:{key}"] = net.get_buffer(key).numpy().copy()
        return arrays

    def _samples(self, precision: str, output: np.ndarray, stored: dict[str, Any]) -> None:
        assert list(output.shape) == stored["shape"]
        steps = tuple(slice(None, None, n) for n in stored["stride"])
        samples = np.load(HERE / f"{self.name}.npz")[stored["npz"]]
        self.found[f"{precision} samples"] = float(np.abs(output[steps] - samples).max())
        limit = self.record["tolerance"]["output_samples_atol"]
        assert self.found[f"{precision} samples"] <= limit * (OTHER_PROCESSOR if precision == "f32" else 1)

    def _probe(self, kind: str, values: Arrays, stored: dict[str, Any], limits: dict[str, float], name: str) -> None:
        """As fill.probe, but the direction is drawn once for both precisions: fc6 alone has 102 M elements."""
        direction = fill.direction(name, values["f64"].size)
        length = np.linalg.norm(direction)

        def worst(value: np.ndarray, precision: str) -> float:
            flat = value.astype(np.float64, copy=False).ravel()
            norm, along = stored[precision]
            difference = max(abs(np.linalg.norm(flat) - norm), abs(flat @ direction / length - along))
            return difference / norm if norm else difference  # a counter of batches may stand at 0

        self._note(kind, values, worst, limits, name)

    def _note(self, kind: str, values: Arrays, measure: Measure, limits: dict[str, float], name: str) -> None:
        for precision, value in values.items():
            found = float(measure(value, precision))
            self.found[f"{precision} {kind}"] = max(self.found.get(f"{precision} {kind}", 0.0), found)
            assert found <= limits[precision], (name, precision, found)


def _input(given: dict[str, Any], dtype: torch.dtype) -> torch.Tensor:
    """An array, a label map, or semantics: one-hot labels and the edges of an instance map."""
    name, shape = given["name"], given["shape"]
    if given["kind"] == "labels":
        return torch.from_numpy(fill.labels(name, shape, given["classes"]))
    if given["kind"] == "semantics":
        number, channels, *size = shape
        label = torch.from_numpy(fill.labels(f"{name}_labels", (number, *size), channels - 1))
        instance = torch.from_numpy(fill.labels(f"{name}_instances", (number, *size), 20))
        return semantics(label, channels - 1, instance).to(dtype).requires_grad_()
    return torch.from_numpy(fill.array(name, shape, given["low"], given["high"])).to(dtype).requires_grad_()


def _flat(output: Any, path: str = "") -> dict[str, torch.Tensor]:
    """A tensor as "0", nested lists as "0.0", "0.1" and so on."""
    if isinstance(output, torch.Tensor):
        return {path or "0": output}
    parts = [_flat(part, f"{path}.{n}".removeprefix(".")) for n, part in enumerate(output)]
    return {name: tensor for part in parts for name, tensor in part.items()}
