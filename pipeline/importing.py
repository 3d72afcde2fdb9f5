"""Published weights -> the options of the net they fit and a clean state dict: CycleGAN's and CUT's nets.

Options are read off keys and shapes. Every key of the file is either used, or dropped for a stated reason and listed, or
named in the error. Reading the file itself is `pipeline.nets.weights.read_weights` (weights_only).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from pipeline.files import UserError, problems

State = dict[str, torch.Tensor]
Shapes = dict[str, tuple[int, ...]]

RUNNING = ("running_mean", "running_var", "num_batches_tracked")
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Imported:
    """`options` of the net, `state` that fits it, keys that were `dropped` (statistics that no layer uses)."""

    options: dict[str, Any]
    state: State
    dropped: list[str] = field(default_factory=list)


def clean(state: Mapping[str, torch.Tensor]) -> tuple[State, list[str]]:
    """Strip `module.` (DataParallel) and take away what early instance norms tracked; also the keys taken away.

    Running statistics belong to an instance norm, which has no weight, where there is none beside them. Batch norms keep
    theirs.
    """
    plain = {key.removeprefix("module."): value for key, value in state.items()}
    dropped = [key for key in plain if _leaf(key) in RUNNING and f"{_stem(key)}.weight" not in plain]
    return {key: value for key, value in plain.items() if key not in dropped}, dropped


def check(state: Mapping[str, torch.Tensor], expected: Mapping[str, Sequence[int]], where: str) -> None:
    """A UserError that names every missing, unexpected and mis-shaped key; `where` is the file, for the message.

    Batch norms' counters may be missing: weights of 2017 and older lack them, and nothing computes with them.
    """
    lines = [f"missing: {key}" for key in expected if key not in state and _leaf(key) != COUNTER]
    lines += [f"unexpected: {key}" for key in state if key not in expected]
    lines += [
        f"{key}: {tuple(state[key].shape)} in the file, {tuple(shape)} in the net"
        for key, shape in expected.items()
        if key in state and tuple(state[key].shape) != tuple(shape)
    ]
    if lines:
        raise problems(f"The weights in {where} do not fit the net; give the file made for it.", lines)


def resnet_generator(published: Mapping[str, torch.Tensor], where: str) -> Imported:
    """CycleGAN's `ResnetGenerator` (also pix2pix's with netG resnet, and CUT's without its blurs).

    Options: channels_in, channels_out, width, blocks, norm ("batch", "instance" or "none"), dropout. Dropout shifts the
    second convolution of every block from `conv_block.5` to `.6`.
    """
    state, dropped = clean(published)
    first = _kernel(state, "model.1.weight", where)
    blocks = _blocks(state)
    last = _kernel(state, f"model.{17 + blocks}.weight", where)
    norm = _norm(state, "model.2", "model.1")
    options: dict[str, Any] = {
        "channels_in": first[1],
        "channels_out": last[0],
        "width": first[0],
        "blocks": blocks,
        "norm": norm,
    }
    options["dropout"] = any(key.endswith("conv_block.6.weight") and v.ndim == 4 for key, v in state.items())
    check(state, resnet_generator_shapes(**options), where)
    return Imported(options, state, dropped)


def resnet_generator_shapes(
    channels_in: int, channels_out: int, width: int, blocks: int, norm: str, dropout: bool
) -> Shapes:
    """Keys and shapes of the published generator with these options."""
    w, middle, second = width, 4 * width, 6 if dropout else 5
    shapes: Shapes = {}
    for at, shape in ((1, (w, channels_in, 7, 7)), (4, (2 * w, w, 3, 3)), (7, (middle, 2 * w, 3, 3))):
        shapes |= _normed(f"model.{at}", shape, shape[0], norm)
    for at in range(10, 10 + blocks):
        for inner in (1, second):
            shapes |= _normed(f"model.{at}.conv_block.{inner}", (middle, middle, 3, 3), middle, norm)
    for at, shape in ((10 + blocks, (middle, 2 * w, 3, 3)), (13 + blocks, (2 * w, w, 3, 3))):
        shapes |= _normed(f"model.{at}", shape, shape[1], norm)  # transposed: its outputs come second
    return shapes | _biased(f"model.{17 + blocks}", (channels_out, w, 7, 7))


def patchgan(published: Mapping[str, torch.Tensor], where: str) -> Imported:
    """CycleGAN's and pix2pix's `NLayerDiscriminator`. Options: channels, width, layers, norm."""
    state, dropped = clean(published)
    first = _kernel(state, "model.0.weight", where)
    layers = _convolutions(state) - 2
    options: dict[str, Any] = {
        "channels": first[1],
        "width": first[0],
        "layers": layers,
        "norm": _norm(state, "model.3", "model.2"),
    }
    check(state, patchgan_shapes(**options), where)
    return Imported(options, state, dropped)


def patchgan_shapes(channels: int, width: int, layers: int, norm: str) -> Shapes:
    """Keys and shapes of the published discriminator with these options."""
    shapes = _biased("model.0", (width, channels, 4, 4))
    widths = _widths(width, layers)
    for n in range(1, layers + 1):
        shapes |= _normed(f"model.{3 * n - 1}", (widths[n], widths[n - 1], 4, 4), widths[n], norm)
    return shapes | _biased(f"model.{3 * layers + 2}", (1, widths[-1], 4, 4))


def cut_generator(published: Mapping[str, torch.Tensor], where: str) -> Imported:
    """CUT's anti-aliased `ResnetGenerator` for RGB pictures. Options: width, blocks."""
    state, dropped = clean(published)
    options: dict[str, Any] = {"width": _kernel(state, "model.1.weight", where)[0], "blocks": _blocks(state)}
    check(state, cut_generator_shapes(**options), where)
    return Imported(options, state, dropped)


def cut_generator_shapes(width: int, blocks: int) -> Shapes:
    """Keys and shapes of CUT's generator with these options."""
    w, middle = width, 4 * width
    shapes = _biased("model.1", (w, 3, 7, 7)) | _biased("model.4", (2 * w, w, 3, 3))
    shapes |= {"model.7.filt": (2 * w, 1, 3, 3)} | _biased("model.8", (middle, 2 * w, 3, 3))
    shapes |= {"model.11.filt": (middle, 1, 3, 3)}
    for at in range(12, 12 + blocks):
        for inner in (1, 5):
            shapes |= _biased(f"model.{at}.conv_block.{inner}", (middle, middle, 3, 3))
    for at, before in ((12 + blocks, middle), (16 + blocks, 2 * w)):
        shapes |= {f"model.{at}.filt": (before, 1, 4, 4)}
        shapes |= _biased(f"model.{at + 1}", (before // 2, before, 3, 3))
    return shapes | _biased(f"model.{21 + blocks}", (3, w, 7, 7))


def cut_discriminator(published: Mapping[str, torch.Tensor], where: str) -> Imported:
    """CUT's anti-aliased `NLayerDiscriminator` for RGB pictures. Options: width, layers."""
    state, dropped = clean(published)
    width = _kernel(state, "model.0.weight", where)[0]
    options: dict[str, Any] = {"width": width, "layers": _convolutions(state) - 2}
    check(state, cut_discriminator_shapes(**options), where)
    return Imported(options, state, dropped)


def cut_discriminator_shapes(width: int, layers: int) -> Shapes:
    """Keys and shapes of CUT's discriminator with these options."""
    widths = _widths(width, layers)
    shapes = _biased("model.0", (width, 3, 4, 4))
    for n in range(1, layers + 1):
        shapes |= {f"model.{4 * n - 2}.filt": (widths[n - 1], 1, 3, 3)}
        shapes |= _biased(f"model.{4 * n - 1}", (widths[n], widths[n - 1], 4, 4))
    return shapes | _biased(f"model.{4 * layers + 2}", (1, widths[-1], 4, 4))


def cut_projector(published: Mapping[str, torch.Tensor], where: str) -> Imported:
    """CUT's `PatchSampleF` with its MLPs. Options: channels (of each layer's map), width.

    A file saved before the first pass of the published code is empty, and refused.
    """
    state, dropped = clean(published)
    width = _kernel(state, "mlp_0.0.weight", where, 2)[0]
    layers = len(_numbers(state, r"mlp_(\d+)\."))
    channels = [_kernel(state, f"mlp_{n}.0.weight", where, 2)[1] for n in range(layers)]
    options: dict[str, Any] = {"channels": channels, "width": width}
    check(state, cut_projector_shapes(**options), where)
    return Imported(options, state, dropped)


def cut_projector_shapes(channels: Sequence[int], width: int) -> Shapes:
    """Keys and shapes of CUT's projector with these options."""
    shapes: Shapes = {}
    for n, count in enumerate(channels):
        shapes |= _biased(f"mlp_{n}.0", (width, count)) | _biased(f"mlp_{n}.2", (width, width))
    return shapes


def _normed(key: str, shape: tuple[int, ...], channels: int, norm: str) -> Shapes:
    """A convolution and the norm behind it: biases stand before an instance norm alone, as published."""
    if norm == "instance":
        return {f"{key}.weight": shape, f"{key}.bias": (channels,)}
    shapes: Shapes = {f"{key}.weight": shape}
    if norm == "batch":
        stem, at = key.rsplit(".", 1)
        after = f"{stem}.{int(at) + 1}"
        shapes |= {f"{after}.{leaf}": (channels,) for leaf in ("weight", "bias", "running_mean", "running_var")}
        shapes[f"{after}.{COUNTER}"] = ()
    return shapes


def _biased(key: str, shape: tuple[int, ...]) -> Shapes:
    return {f"{key}.weight": shape, f"{key}.bias": (shape[0],)}


def _widths(width: int, layers: int) -> list[int]:
    return [width * min(2**n, 8) for n in range(layers + 1)]


def _norm(state: State, norm: str, convolution: str) -> str:
    """Which norm stands at key `norm`, behind the layer at key `convolution`."""
    if f"{norm}.weight" in state:
        return "batch"
    return "instance" if f"{convolution}.bias" in state else "none"


def _blocks(state: State) -> int:
    return len(_numbers(state, r"model\.(\d+)\.conv_block\."))


def _convolutions(state: State) -> int:
    return sum(bool(re.fullmatch(r"model\.\d+\.weight", key)) and value.ndim == 4 for key, value in state.items())


def _numbers(keys: Iterable[str], pattern: str) -> set[str]:
    return {match[1] for key in keys if (match := re.match(pattern, key))}


def _kernel(state: State, key: str, where: str, dimensions: int = 4) -> tuple[int, ...]:
    """The shape from which options are read; without it the file is of another net."""
    if key not in state or state[key].ndim != dimensions:
        held = ", ".join(list(state)[:3]) or "nothing"
        raise UserError(f"The weights in {where} are of another net: {key} is missing; they hold {held} and so on.")
    return tuple(state[key].shape)


def _leaf(key: str) -> str:
    return key.rsplit(".", 1)[-1]


def _stem(key: str) -> str:
    return key.rpartition(".")[0]
