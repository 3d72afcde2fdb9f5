"""Model directories: weights, resolved parameters, classes, a card, a fingerprint. Never a pickle; loads anywhere."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from pipeline.classes import ClassTable
from pipeline.files import UserError, atomic_dir, read_json, write_atomic, write_json
from pipeline.label_spaces import class_table
from pipeline.methods import method_module, method_names
from pipeline.params import read_yaml

FILES = ("weights.safetensors", "params.yaml", "classes.json", "card.md", "fingerprint")
SPARE_BYTES = 2**28  # that nets may lack: which values they are is told when weights are loaded


@dataclass
class Model:
    """A trained model: `nets` in eval mode, the `module` of its method, its parameters and its classes."""

    name: str
    module: ModuleType
    nets: nn.ModuleDict
    params: dict[str, Any]
    classes: ClassTable
    fingerprint: str
    optional: tuple[str, ...] = ()  # parts of its samples that it can do without, and was trained with


def save_model(
    out: Path,
    name: str,
    nets: nn.ModuleDict,
    params: dict[str, Any],
    classes: str,
    fingerprint: str,
    card: str,
    optional: Sequence[str] = (),
) -> None:
    """Write a complete model directory at once; byte-identical for equal arguments."""
    from safetensors.torch import save

    tensors = {key: value.detach().cpu().contiguous() for key, value in nets.state_dict().items()}
    with atomic_dir(out) as folder:
        write_atomic(folder / "weights.safetensors", save(tensors))
        write_atomic(folder / "params.yaml", _yaml({"method": name, "optional": list(optional), "params": params}))
        write_json(folder / "classes.json", {"table": classes, "names": list(class_table(classes).names)})
        write_atomic(folder / "card.md", card)
        write_atomic(folder / "fingerprint", fingerprint + "\n")


def load_model(path: Path | str, accelerator: str = "auto") -> Model:
    """Read a model directory, onto the GPU where there is one and `accelerator` (as in params.yaml) allows it.

    Raises UserError for what is missing or does not fit.
    """
    path = Path(path)
    missing = [name for name in FILES if not (path / name).is_file()]
    if missing:
        raise UserError(
            f"{path} is not a model directory: {', '.join(missing)} missing; name one that a training wrote"
        )
    classes = _class_table(path / "classes.json")
    name, params, optional = _resolved(path / "params.yaml")
    module = method_module(name)
    nets = _empty_nets(path, module, params, len(classes))
    load_weights(nets, path / "weights.safetensors")
    cuda = accelerator in ("auto", "cuda") and torch.cuda.is_available()
    nets = nets.to("cuda" if cuda else "cpu").eval().requires_grad_(False)
    return Model(name, module, nets, params, classes, (path / "fingerprint").read_text().strip(), optional)


def load_weights(nets: nn.ModuleDict, file: Path) -> None:
    """Weights from a file into the nets of its model directory. Raises UserError where they do not fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        nets.load_state_dict(load_file(file))
    except OSError as error:  # also where there are no rights, which safetensors calls missing
        raise UserError(f"{file} cannot be read ({error}); change its rights or fetch it again") from None
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"{file} does not fit its params.yaml: {' '.join(str(error).split())[:400]}") from None


def _class_table(file: Path) -> ClassTable:
    listed = read_json(file)
    table = listed.get("table") if isinstance(listed, dict) else None
    try:
        return class_table(str(table))
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def _resolved(file: Path) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """Name and parameters of a model's method, and the optional parts it was trained with."""
    content = read_yaml(file)
    name, params, optional = content.get("method"), content.get("params"), content.get("optional") or []
    if not isinstance(name, str) or not isinstance(params, dict) or not isinstance(optional, list):
        raise UserError(f"{file} lacks the method or its params; name another model or train it again")
    if name not in method_names():
        raise UserError(f"{file}: method '{name}' is unknown; known are {', '.join(method_names())}")
    return name, params, tuple(optional)


def _empty_nets(path: Path, module: ModuleType, params: dict[str, Any], classes: int) -> nn.ModuleDict:
    """The nets of a model directory, once it is known that its weights can fill them."""
    file = path / "params.yaml"
    if not hasattr(module, "exported"):
        raise UserError(
            f"{file}: {module.__name__.rpartition('.')[2]} is a {module.ABILITY}, which has no trained model"
        )
    try:
        with torch.device("meta"):  # takes no memory, whatever width an edited file asks for
            hollow = module.exported(params, classes).state_dict()
        if sum(value.nbytes for value in hollow.values()) > (path / "weights.safetensors").stat().st_size + SPARE_BYTES:
            raise UserError(f"{path / 'weights.safetensors'} does not fit its params.yaml: it holds far fewer values")
        return module.exported(params, classes)
    except (ValidationError, KeyError, TypeError, RuntimeError) as error:
        what = error.errors()[0]["loc"][-1] if isinstance(error, ValidationError) else error
        raise UserError(f"{file} was edited or is of another version (see {what}); train the model again") from None


def _yaml(value: Any) -> str:
    from ruamel.yaml import YAML

    yaml, text = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style = False
    yaml.dump(value, text)
    return text.getvalue()
