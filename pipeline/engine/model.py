"""Model directories: weights, resolved parameters, classes, a card, a fingerprint. Never a pickle; loads anywhere."""

import io
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from pipeline.classes import TABLES, ClassTable
from pipeline.files import UserError, atomic_dir, read_json, write_atomic, write_json
from pipeline.methods import method_module
from pipeline.params import read_yaml

FILES = ("weights.safetensors", "params.yaml", "classes.json", "card.md", "fingerprint")


@dataclass
class Model:
    """A trained model: `nets` in eval mode, the `module` of its method, its parameters and its classes."""

    name: str
    module: ModuleType
    nets: nn.ModuleDict
    params: dict[str, Any]
    classes: ClassTable
    fingerprint: str


def save_model(
    out: Path, name: str, nets: nn.ModuleDict, params: dict[str, Any], classes: str, fingerprint: str, card: str
) -> None:
    """Write a complete model directory at once; byte-identical for equal arguments."""
    from safetensors.torch import save_file

    tensors = {key: value.detach().cpu().contiguous() for key, value in nets.state_dict().items()}
    with atomic_dir(out) as folder:
        save_file(tensors, folder / "weights.safetensors")
        write_atomic(folder / "params.yaml", _yaml({"method": name, "params": params}))
        write_json(folder / "classes.json", {"table": classes, "names": list(TABLES[classes].names)})
        write_atomic(folder / "card.md", card)
        write_atomic(folder / "fingerprint", fingerprint + "\n")


def load_model(path: Path | str, device: torch.device | str = "cpu") -> Model:
    """Read a model directory; what is missing or does not fit is named in a sentence."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    missing = [name for name in FILES if not (path / name).is_file()]
    if missing:
        raise UserError(
            f"{path} is not a model directory: {', '.join(missing)} missing; name one that a training wrote"
        )
    resolved, listed = read_yaml(path / "params.yaml"), read_json(path / "classes.json")
    name, params = resolved["method"], resolved["params"]
    if listed.get("table") not in TABLES:
        raise UserError(
            f"{path}/classes.json: class table {listed.get('table')!r} is unknown; known are {', '.join(TABLES)}"
        )
    classes = TABLES[listed["table"]]
    module = method_module(name)
    nets = module.exported(params, len(classes))
    try:
        nets.load_state_dict(load_file(path / "weights.safetensors"))
    except (SafetensorError, RuntimeError) as error:
        raise UserError(
            f"{path}/weights.safetensors does not fit its params.yaml: {' '.join(str(error).split())[:400]}"
        ) from None
    nets = nets.to(device).eval().requires_grad_(False)
    return Model(name, module, nets, params, classes, (path / "fingerprint").read_text().strip())


def _yaml(value: Any) -> str:
    from ruamel.yaml import YAML

    yaml, text = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style = False
    yaml.dump(value, text)
    return text.getvalue()
