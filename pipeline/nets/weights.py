"""Reading published weights: never unpickled as code, never loaded in part without saying so."""

import re
import warnings
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.files import UserError, problems


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """State dict of a .pth/.pt file (read with weights_only) or a .safetensors file, on the CPU; else a UserError."""
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no weights file {path}; give the path of an existing .pth or .safetensors file.")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _load(path)
    except UserError:
        raise
    except Exception as error:  # a text file or noise, read as a pickle, ends in nearly any
        if code := re.search(r"GLOBAL (\S+)", str(error)):
            raise UserError(
                f"{path} calls {code[1]} when it is read, and code is not run here; give a file with weights alone, "
                "such as net.state_dict() saves."
            ) from error
        raise UserError(f"{path} is not a readable weights file; fetch it again or give another one.") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(_named(k) and torch.is_tensor(v) for k, v in state.items()):
        raise UserError(f"{path} holds no plain table of weights; export the net's state_dict into it.")
    if odd := [key for key, value in state.items() if not _stored(value)]:
        raise UserError(f"{path} promises more values of {odd[0]} than it holds; export the net's state_dict into it.")
    return {key.removeprefix("module."): value for key, value in state.items()}


def _named(key: object) -> bool:
    """Whether a key is a name that a sentence may contain."""
    return isinstance(key, str) and key.isprintable()


def _stored(value: torch.Tensor) -> bool:
    """Whether each value stands in memory by itself: one may be told to stand for a net of terabytes."""
    plain = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
    return plain and value.untyped_storage().nbytes() >= value.numel() * value.element_size()


def _load(path: Path) -> Any:
    if zipfile.is_zipfile(path):  # torch packs nothing
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > path.stat().st_size:
                raise UserError(f"{path} is packed, which weights never are; save it again with torch.save.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about pickle protocols; what cannot be read is an error
        return torch.load(path, map_location="cpu", weights_only=True)


def load_strictly(
    net: nn.Module, state: dict[str, torch.Tensor], where: str | Path, skip: Collection[str] = ()
) -> None:
    """Load `state` into `net`; every missing, unexpected or mis-shaped key is named in one UserError.

    `where` is the file for the message; keys of the file that start with one of `skip` are left aside.
    """
    state = {key: value for key, value in state.items() if not key.startswith(tuple(skip))}
    wanted = net.state_dict()
    counters = {key: value for key, value in wanted.items() if key.endswith("num_batches_tracked")}
    state = counters | state  # weights of 2017 and older lack them, and nothing computes with them
    lines = [f"missing: {key}" for key in wanted if key not in state]
    lines += [f"unexpected: {key}" for key in state if key not in wanted]
    lines += [
        f"{key}: {tuple(state[key].shape)} in the file, {tuple(value.shape)} in the net"
        for key, value in wanted.items()
        if key in state and state[key].shape != value.shape
    ]
    if lines:
        raise problems(f"The weights in {where} do not fit {type(net).__name__}; give the file made for it.", lines)
    net.load_state_dict(state)
