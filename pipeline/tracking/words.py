"""How runs are called and described."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import files, params
from pipeline.tracking.outputs import flatten
from pipeline.tracking.store import text

CHANGES = 3  # named in a title; all of them stand in the description
# what is run comes after what it is run with: the first words of a title are all that a table shows
_LAST = (
    "device",
    "simulate",
    "sequences",
    "flow_pairs",
    "seeds",
    "translators",
    "cells",
    "exactness",
    "generation",
    "shard_pairs",
    "paired",
    "clip_sets",
    "scan_sets",
    "scorers",
    "digit_sets",
    "samplers",
    "world",
)


def difference(everything: dict[str, Any]) -> tuple[str, list[str]]:
    """(the preset that is nearest to the parameters, "NAME=VALUE" of what differs from it); ("", []) without presets."""
    present = flatten(everything)
    try:
        presets = {path.stem: flatten(params.read_yaml(path)) for path in sorted(Path("presets").glob("*.yaml"))}
    except files.UserError:
        presets = {}
    if "default" not in presets:
        return "", []
    default = presets["default"]
    wholes = {name: _whole(default, own) for name, own in presets.items()}
    changed = {
        name: {key: value for key, value in present.items() if whole.get(key) != value}
        for name, whole in wholes.items()
    }
    preset = min(changed, key=lambda name: (len(changed[name]), name != "default"))
    return preset, [f"{key}={text(changed[preset][key])}" for key in sorted(changed[preset], key=_rank)]


def _whole(default: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What `make preset` makes of an overlay, flat."""
    listed = {name.partition(".")[0] for name in own} & set(params.SWITCHED)
    return default | {name: [] for name in default if name.partition(".")[0] in listed} | own


def _rank(name: str) -> int:
    block = name.partition(".")[0]
    return _LAST.index(block) + 1 if block in _LAST else 0


def title(everything: dict[str, Any]) -> str:
    """What differs from a preset and its name, such as "train.gamma=0.5 (tiny)"; a table shows the first words only."""
    preset, changes = difference(everything)
    if not preset:
        return files.digest(everything)[:8]
    if not changes:
        return preset
    more = [f"and {len(changes) - CHANGES} more"] if len(changes) > CHANGES else []
    base = "" if preset == "default" else f" ({preset})"
    return f"{', '.join(changes[:CHANGES] + more)[:200]}{base}"


def child_title(name: str, parent: str) -> str:
    """A stage's name with its experiment's, so that runs of several experiments can be told apart in a chart."""
    return name if parent == "default" else f"{name}, {parent}"


def description(everything: dict[str, Any], means: Mapping[str, float]) -> str:
    """Markdown for an experiment: its scores, and what differs from the preset."""
    columns = {"miou": "mIoU", "miou16": "mIoU of 16 classes", "pixel_accuracy": "pixel accuracy"}
    scored = [name.split("/") for name in means if name.endswith("/miou")]
    cells = [f"{name[0]}/{name[1]}" for name in scored if len(name) == 3 and name[1] != "label_preservation"]
    lines = []
    if cells:
        lines += [f"| segmenter | translator | {' | '.join(columns.values())} |", "|---" * (len(columns) + 2) + "|"]
    for cell in cells:
        values = [means.get(f"{cell}/{name}") for name in columns]
        shown = [f"{value:.3f}" if value is not None else "" for value in values]
        lines.append(f"| {' | '.join(cell.split('/') + shown)} |")
    preset, changes = difference(everything)
    if preset:
        lines += ["", f"Preset **{preset}**" + (" with" if changes else ""), ""]
    return text("\n".join(lines + [f"- `{change}`" for change in changes]))
