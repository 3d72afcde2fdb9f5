"""Presets: overlays on presets/default.yaml, merged into params.yaml by `python -m pipeline.presets NAME`.

Not Hydra groups: those rewrite params.yaml at every experiment and silently drop hand edits.
"""

import argparse
import copy
import difflib
import io
import os
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

from pipeline.files import UserError, write_atomic
from pipeline.params import SWITCHED, read_yaml, unknown

FOLDER, PARAMS = Path("presets"), Path("params.yaml")


def names() -> list[str]:
    """Every preset: the files of presets/."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def merged(name: str) -> str:
    """params.yaml of a preset: default.yaml with the overlay's values in place, comments kept."""
    if name not in names():
        raise UserError(f"preset '{name}' is unknown; known are {', '.join(names())}")
    yaml = _yaml()
    content = yaml.load((FOLDER / "default.yaml").read_text())
    if name != "default":
        _overlay(content, read_yaml(FOLDER / f"{name}.yaml"), name, "")
    text = io.StringIO()
    yaml.dump(content, text)
    return text.getvalue()


def _overlay(content: Any, overlay: dict[str, Any], name: str, place: str) -> None:
    for key, value in overlay.items():
        if key not in content:
            sentence = unknown(f"{place}{key}", list(content)).removeprefix("params.yaml: ")
            raise UserError(f"presets/{name}.yaml: {sentence}")
        if key in SWITCHED:  # switched off, not left out: the graph asks for each by name
            if not isinstance(value, dict):
                raise UserError(f"presets/{name}.yaml: {key} is a mapping of names to lists; see presets/default.yaml")
            value = {**dict.fromkeys(content[key], []), **value}
        free = bool(place) and key == "train"  # what differs for a method: any keys of the block train
        if free and isinstance(value, dict):
            value = {**content[key], **value}
        if isinstance(value, dict) and not free and key not in SWITCHED:
            _overlay(content[key], value, name, f"{place}{key}.")
        else:
            content[key] = _short(value)
            if isinstance(value, dict) and key not in SWITCHED:
                content[key].fa.set_flow_style()


def _short(value: Any) -> Any:
    """Lists of plain values on one line, as a person would write them."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, dict):
        return CommentedMap({key: _short(inner) for key, inner in value.items()})
    if isinstance(value, list):
        line = CommentedSeq(value)
        line.fa.set_flow_style()
        return line
    return value


def apply(name: str, force: bool = False) -> str:
    """Write params.yaml of a preset and return what changed; hand edits are never overwritten without `force`."""
    new = merged(name)
    old = PARAMS.read_text() if PARAMS.exists() else ""
    diff = "".join(
        difflib.unified_diff(old.splitlines(True), new.splitlines(True), "params.yaml", f"preset {name}", n=0)
    )
    if old and not force and not _is_preset():
        raise UserError(
            f"params.yaml holds values of no preset, so it was edited by hand and is left as it is; commit or copy it, "
            f"then add FORCE=1 (make) or --force. The preset would change:\n{diff}"
        )
    write_atomic(PARAMS, new)
    return diff


def _is_preset() -> bool:
    """Whether params.yaml holds the values of a preset; without its text, which takes seconds for all of them."""
    current, default = read_yaml(PARAMS), read_yaml(FOLDER / "default.yaml")
    return any(values(name, default) == current for name in names())


def values(name: str, default: dict[str, Any]) -> dict[str, Any]:
    """What params.yaml of a preset holds, given what default.yaml does."""
    content = copy.deepcopy(default)
    if name != "default":
        _overlay(content, read_yaml(FOLDER / f"{name}.yaml"), name, "")
    return content


def nearest(params: dict[str, Any]) -> tuple[str, list[str]]:
    """The preset that differs least from these parameters, and the dotted names of what differs: none where it is it."""
    from pipeline.tracking.outputs import flatten

    default, mine, differing = read_yaml(FOLDER / "default.yaml"), flatten(params), {}
    for name in names():
        theirs = flatten(values(name, default))
        differing[name] = [key for key in theirs | mine if theirs.get(key) != mine.get(key)]
    name = min(differing, key=lambda name: len(differing[name]))
    return name, differing[name]


def head(name: str) -> tuple[str, str]:
    """(cost, score to expect) in the comment that a preset opens with; each goes on to a line that ends a sentence."""
    lines = takewhile(lambda line: line.startswith("#"), (FOLDER / f"{name}.yaml").read_text().splitlines())
    comment, found = [line.removeprefix("#").strip() for line in lines], []
    for start in ("Cost:", "Score to expect"):
        begins = next((i for i, line in enumerate(comment) if line.startswith(start)), len(comment))
        ends = next((i for i in range(begins, len(comment)) if comment[i].endswith(".")), len(comment))
        found.append(" ".join(comment[begins : ends + 1]) or f"{start.rstrip(':')}: not told.")
    return found[0], found[1]


def _yaml(kind: str = "rt") -> Any:
    from ruamel.yaml import YAML

    yaml = YAML(typ=kind, pure=True)
    yaml.width = 4096
    yaml.preserve_quotes = True

    def empty(representer: Any, _: None) -> Any:
        return representer.represent_scalar("tag:yaml.org,2002:null", "null")

    if kind == "rt":
        yaml.representer.add_representer(type(None), empty)
    return yaml


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("name", help=f"one of {', '.join(names())}")
    made.add_argument(
        "--force",
        action="store_true",
        default=os.environ.get("FORCE", "") not in ("", "0"),
        help="overwrite hand edits",
    )
    given = made.parse_args()
    try:
        print(apply(given.name, given.force) or "params.yaml is already this preset", end="\n")
        from pipeline.bring import bring_missing

        bring_missing(read_yaml(PARAMS))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
