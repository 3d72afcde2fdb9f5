"""Reading params.yaml, and saying in a sentence what is wrong with it.

The models of the parameters stand beside what they configure; this module only reads, checks and explains.
"""

import difflib
import os
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.files import UserError

SWITCHED = (
    "translators",
    "paired",
    "scorers",
    "samplers",
    "cells",
)  # of which a preset names all that is on: what it does not list is off


MAX_DEPTH = 40  # of lists and mappings in each other
MAX_TEXT = 400  # characters of a value or of YAML's own words in a sentence


class Parameters(BaseModel):
    """Base of every block of parameters: typed, frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Block = TypeVar("Block", bound=BaseModel)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """A YAML file as plain dicts and lists. YAML 1.2, so that 1e-06 is a number.

    Aliases are refused, since ten lines of them can stand for more than a memory holds, and so is deep nesting.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.composer import Composer, ComposerError
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.nodes import Node

    class Plain(Composer):
        def return_alias(self, a: Node) -> Node:
            raise ComposerError(None, None, "aliases (*name) are not read; write out what it stands for", a.start_mark)

    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.Composer, yaml.max_depth = Plain, MAX_DEPTH
        content = yaml.load(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; name a file of parameters, like params.yaml") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it in that encoding") from None
    except (YAMLError, ValueError, LookupError) as error:  # the last two: a day like 2001-99-99, `!!bool x`
        where = " ".join(str(error).split())[:MAX_TEXT]
        raise UserError(f"{path} is not valid YAML: {where}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold a mapping of blocks, like the one in presets/default.yaml")
    return content


def load(path: Path | str | None = None) -> dict[str, Any]:
    """All of params.yaml (or of the file that SIM2STREET_PARAMS names)."""
    return read_yaml(path or os.environ.get("SIM2STREET_PARAMS", "params.yaml"))


def parse(model: type[Block], value: Any, where: str) -> Block:
    """A block as its model; every mistake is named with its place and the nearest known name."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise UserError("; ".join(sentences(error, model, where))) from None


def block(params: dict[str, Any], name: str, model: type[Block]) -> Block:
    """The block `name` of params.yaml as its model."""
    if name not in params:
        raise UserError(f"params.yaml has no block '{name}'; take it from presets/default.yaml")
    return parse(model, params[name], name)


def sentences(error: ValidationError, model: type[BaseModel], where: str) -> list[str]:
    """A sentence for each mistake that pydantic found."""
    out = []
    for mistake in error.errors():
        location = [str(part) for part in mistake["loc"]]
        place = ".".join(p for p in (where, *location) if p)
        if mistake["type"] == "extra_forbidden":
            out.append(unknown(place, _siblings(model, location[:-1])))
        elif mistake["type"] == "missing":
            out.append(f"params.yaml: {place} is missing; take it from presets/default.yaml")
        else:
            text = mistake["msg"].removeprefix("Value error, ")
            text = text[0].lower() + text[1:]
            given = "" if isinstance(mistake["input"], dict) else f" is {repr(mistake['input'])[:MAX_TEXT]};"
            out.append(f"params.yaml: {place}{given or ':'} {text.replace('input should', 'it should')}")
    return out


def unknown(place: str, known: list[str]) -> str:
    """The sentence for an unknown name, with the nearest known one."""
    leaf = place.rpartition(".")[2]
    near = difflib.get_close_matches(leaf, known, 1, 0.5)
    hint = f"; did you mean '{place[: -len(leaf)]}{near[0]}'?" if near else f"; known are {', '.join(sorted(known))}"
    return f"params.yaml: '{place}' is unknown{hint}"


def _siblings(model: type[BaseModel], location: list[str]) -> list[str]:
    """Names that would have been right at a place inside a model."""
    current: Any = model
    for part in location:
        field = current.model_fields.get(part) if isinstance(current, type) and issubclass(current, BaseModel) else None
        current = field.annotation if field else None
    if isinstance(current, type) and issubclass(current, BaseModel):
        return list(current.model_fields)
    return list(model.model_fields)
