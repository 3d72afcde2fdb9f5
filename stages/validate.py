"""Check all of params.yaml before anything runs: python -m stages.validate

Its output is constant, so that every stage may depend on it and none runs again for it. With --check it only checks, as
`make run` does before DVC reads the lists in params.yaml and stops at a mistake in its own words.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.cluster import ClusterSettings
from pipeline.datasets.settings import (
    ClipSettings,
    DigitSettings,
    PairSettings,
    ScanSettings,
    SourceSettings,
    TargetSettings,
)
from pipeline.engine.settings import DeviceSettings, SegmentSettings, TrainSettings
from pipeline.files import UserError, write_atomic
from pipeline.methods import is_paired, method_module, method_names
from pipeline.params import Parameters, block, load, parse, unknown
from pipeline.shards.settings import ShardSettings
from pipeline.world.settings import WorldSettings
from stages.common import Arguments, parser, run
from stages.shard import PAIR_SPLITS, TARGET_PARTS
from stages.shard_clips import CLIP_SPLITS
from stages.shard_stills import DIGIT_SETS, SCAN_SETS

LISTS = (
    "simulate", "sequences", "flow_pairs", "target_sets", "seeds", "translators", "cells", "exactness", "generation",
    "shard_pairs", "paired", "clip_sets", "scan_sets", "scorers", "digit_sets", "samplers",
)  # fmt: skip

WEIGHT_FILES = ("vgg16", "resnet101", "features_file", "network_file", "lpips_alexnet")  # keys of any block
PAIR_SETS, CLIP_SETS = list(PAIR_SPLITS), list(CLIP_SPLITS)
WHOLE: dict[str, type[ScanSettings | DigitSettings]] = {"scans": ScanSettings, "digits": DigitSettings}


def main(given: Arguments) -> None:
    params = load()
    problems = check(params) or check_files(params)
    if problems:
        raise UserError("\n".join(problems))
    if not given.check:
        write_atomic(Path("results/validated"), "params.yaml is valid\n")


def models() -> dict[str, type[Parameters]]:
    """The model of every block of params.yaml."""
    from pipeline.farneback import FlowSettings
    from stages.evaluate import EvaluateSettings
    from stages.measure import MeasureSettings

    fixed: dict[str, Any] = {
        "world": WorldSettings, "source": SourceSettings, "target": TargetSettings, "pairs": PairSettings, "clips": ClipSettings,
        "scans": ScanSettings, "digits": DigitSettings,
        "flow": FlowSettings, "shard": ShardSettings, "cluster": ClusterSettings,
        "device": DeviceSettings, "train": TrainSettings, "segment": SegmentSettings, "measure": MeasureSettings,
        "evaluate": EvaluateSettings,
    }  # fmt: skip
    modules = {name: method_module(name) for name in method_names()}
    return fixed | {name: m.Settings for name, m in modules.items() if hasattr(m, "Settings") and name in m.BLOCKS}


def check(params: dict[str, Any]) -> list[str]:
    """Every mistake as a sentence."""
    known, found = models(), []
    for name in params:
        if name not in known and name not in LISTS:
            found.append(unknown(name, [*known, *LISTS]))
    for name, model in known.items():
        if name not in params:
            found.append(f"params.yaml has no block '{name}'; take it from presets/default.yaml")
            continue
        try:
            parse(model, params[name], name)
        except (UserError, ValidationError) as error:
            found.append(str(error))
    return found + _check_lists(params) or _check_methods(params)


def check_files(params: dict[str, Any]) -> list[str]:
    """Weight files and data sets are told to be missing long before they are needed."""
    from pipeline.world.writers import PARTS

    blocks = {name: given for name, given in params.items() if isinstance(given, dict)}
    blocks |= {f"{name}.train": own for name, given in blocks.items() if isinstance(own := given.get("train"), dict)}
    files = {f"{name}.{key}": given.get(key) for name, given in blocks.items() for key in WEIGHT_FILES}
    found = [
        f"params.yaml: {place} names {path}, which is not there; docs/presets.md says how to make it, null does without"
        for place, path in files.items()
        if isinstance(path, str) and not Path(path).is_file()
    ]
    if params["measure"].get("network") == "inception" and not params["measure"].get("network_file"):
        found.append("params.yaml: measure.network is inception, which needs network_file; see docs/presets.md")
    made = [f"world_{part}" for part in params["simulate"]]
    for place, name in data_sets(params):
        if name not in made and not Path("data/raw", name).exists():
            part = name.removeprefix("world_")
            how = (
                f"list {part} in simulate"
                if part in PARTS and part != name
                else f"make data NAME={name} FROM=path brings it"
            )
            found.append(f"params.yaml: {place} is {name}, but there is no data/raw/{name}; {how}")
    return found


def data_sets(params: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The folders of data/raw that the graph reads: where each is named, and its name."""
    yield "source.name", block(params, "source", SourceSettings).name
    if params["target_sets"]:
        yield "target.name", block(params, "target", TargetSettings).name
    if params["shard_pairs"]:
        yield "pairs.name", block(params, "pairs", PairSettings).name
    if params["clip_sets"]:
        yield "clips.name", block(params, "clips", ClipSettings).name
    if params["scan_sets"]:
        yield "scans.name", block(params, "scans", ScanSettings).name
    if params["digit_sets"]:
        yield "digits.name", block(params, "digits", DigitSettings).name
    if params["translators"]["perfect_translation"]:
        yield "what perfect_translation reads", "world_perfect"
    for place in ("sequences", "flow_pairs"):
        yield from ((f"one of {place}", name) for name in params[place])


def _check_lists(params: dict[str, Any]) -> list[str]:
    """The lists that choose what runs must fit each other."""
    from pipeline.world.writers import PARTS

    missing = [
        f"params.yaml has no '{name}'; take it from presets/default.yaml" for name in LISTS if name not in params
    ]
    if missing:
        return missing
    if wrong := _check_shapes(params):
        return wrong
    seeds, translators, cells = params["seeds"], params["translators"], params["cells"]
    abled = {name: method_module(name).ABILITY for name in method_names()}
    paired = [name for name in abled if is_paired(name)]
    translating = [name for name, ability in abled.items() if ability in ("translator", "rival") and name not in paired]
    segmenting, scoring, sampling = (
        [n for n, ability in abled.items() if ability == kind] for kind in ("segmenter", "scorer", "sampler")
    )
    found = []
    switches = {
        "translators": translating,
        "cells": segmenting,
        "paired": paired,
        "scorers": scoring,
        "samplers": sampling,
    }
    for place, known in switches.items():
        found += _check_known(params[place], known, place)
        if lacking := [name for name in known if name not in params[place]]:
            found.append(f"params.yaml: {place} lacks {', '.join(lacking)}; an empty list, [], switches a method off")
    sets = {"target_sets": list(TARGET_PARTS), "shard_pairs": PAIR_SETS, "clip_sets": CLIP_SETS, "scan_sets": SCAN_SETS}
    sets["digit_sets"] = DIGIT_SETS
    for place, known in {"simulate": list(PARTS), **sets}.items():
        found += _check_known(params[place], known, place)
    for place, domain, own_sets, needed in (
        ("paired", "pairs", "shard_pairs", PAIR_SETS),
        ("scorers", "clips", "clip_sets", CLIP_SETS),
        ("scorers", "scans", "scan_sets", SCAN_SETS),
        ("samplers", "digits", "digit_sets", DIGIT_SETS),
    ):
        trained = [n for n, own in params[place].items() if own and n in abled and domain in method_module(n).DOMAINS]
        if trained and set(params[own_sets]) != set(needed):
            found.append(f"params.yaml: {place}.{trained[0]} has seeds, so {own_sets} should be [{', '.join(needed)}]")
    for place, listed in {
        "exactness": params["exactness"],
        "generation": params["generation"],
        **{f"cells.{n}": arms for n, arms in cells.items()},
    }.items():
        for translator in listed:
            if translator not in translators:
                found.append(unknown(f"{place}.{translator}", list(translators)))
            elif set(seeds) - set(translators[translator]):
                found.append(
                    f"params.yaml: {place} uses {translator} with seeds {seeds}, but translators.{translator} is "
                    f"{translators[translator]}; give it the same seeds, or take it out of {place.partition('.')[0]}"
                )
    if params["exactness"] and "perfect_translation" not in cells.get("source_only", []):
        found.append("params.yaml: exactness compares with perfect_translation, which is not in cells.source_only")
    if "perfect_translation" in params["exactness"]:
        found.append("params.yaml: exactness lists perfect_translation, which it compares with; take it out")
    if params["generation"] and "none" not in cells.get("oracle", []):
        found.append("params.yaml: generation is judged by the oracle, and cells.oracle is not [none]")
    for name in params["generation"]:
        if name in translators and "label" not in getattr(method_module(name), "READS", ()):
            found.append(f"params.yaml: generation lists {name}, which does not draw from label maps")
    found += _check_target_sets(params)
    if cells.get("source_only") and "none" not in cells["source_only"]:
        found.append("params.yaml: cells.source_only lacks 'none'; its segmenter judges how labels are preserved")
    return found


def _check_target_sets(params: dict[str, Any]) -> list[str]:
    """The parts of the target that are needed, and why."""
    switched_on = [name for part in ("translators", "cells") for name, listed in params[part].items() if listed]
    needed = {"target_train": "every translator"}
    for name in switched_on:
        if name in method_names() and getattr(method_module(name), "USES_TARGET_LABELS", False):
            needed["target_train_labels"] = name
    split = (params.get("evaluate") or {}).get("split")
    if any(params["cells"].values()) and split in ("dev", "val"):
        needed[f"target_{split}"] = "evaluate.split"
    if (params.get("target") or {}).get("layout") == "kitti" and "target_val" in [*params["target_sets"], *needed]:
        return [
            "params.yaml: target.layout kitti has no val; set evaluate.split to dev, and take target_val out of target_sets"
        ]
    return [
        f"params.yaml: target_sets lacks {name}, which {why} needs"
        for name, why in needed.items()
        if name not in params["target_sets"]
    ]


def _check_shapes(params: dict[str, Any]) -> list[str]:
    """Lists are lists, of names or of seeds."""
    found = []
    if not _whole(params["seeds"]) or not params["seeds"]:
        found.append("params.yaml: seeds is a list of one or more whole numbers below 2^63, like [0, 1]")
    lists = (
        "simulate",
        "sequences",
        "flow_pairs",
        "target_sets",
        "exactness",
        "generation",
        "shard_pairs",
        "clip_sets",
        "scan_sets",
        "digit_sets",
    )
    for name in lists:
        if not _names(params[name]):
            found.append(f"params.yaml: {name} is a list of names; see presets/default.yaml")
    for name, fits, items in (
        ("translators", _whole, "seeds"),
        ("paired", _whole, "seeds"),
        ("scorers", _whole, "seeds"),
        ("samplers", _whole, "seeds"),
        ("cells", _names, "translators"),
    ):
        if not isinstance(params[name], dict) or not all(map(fits, params[name].values())):
            found.append(f"params.yaml: {name} is a mapping of names to lists of {items}; see presets/default.yaml")
    return found


def _check_known(given: Iterable[str], known: list[str], place: str) -> list[str]:
    return [unknown(f"{place}.{name}", known) for name in given if name not in known]


def _check_methods(params: dict[str, Any]) -> list[str]:
    """What the methods that will be trained have to say about their parameters."""
    from pipeline.engine.session import resolve

    chosen = params["translators"] | params["paired"] | params["scorers"] | params["samplers"] | params["cells"]
    devices, found = block(params, "device", DeviceSettings).devices, []
    for name, module in [(name, method_module(name)) for name, listed in chosen.items() if listed]:
        if not hasattr(module, "build"):
            continue
        if "depth" in module.DOMAINS.get("source", ()) and block(params, "source", SourceSettings).depth == "none":
            found.append(
                f"params.yaml: {name} learns from depth, and source.depth is none; set translators.{name} to []"
            )
        try:
            resolved = resolve(params, module)
        except UserError as error:  # in a method's own `train`, which only the merged block shows
            found.append(str(error))
        else:
            shared, *own = module.BLOCKS
            found += _check_batch(f"{name}.train" if own else shared, resolved[shared]["batch"], devices)
            found += module.check(resolved) if hasattr(module, "check") else []
            for kind, model in WHOLE.items():
                if kind in module.DOMAINS:
                    found += _check_whole(own[-1], kind, resolved[shared]["crop"], block(params, kind, model).size)
    return list(dict.fromkeys(found))  # spigan and spigan_no_pi share a block


def _check_batch(place: str, batch: int, devices: int) -> list[str]:
    if batch % devices == 0:
        return []
    return [f"params.yaml: {place}.batch is {batch}, which device.devices, {devices}, cannot share; choose a multiple"]


def _check_whole(place: str, kind: str, crop: list[int], size: int) -> list[str]:
    """Scans and digits are seen whole."""
    if crop == [size, size]:
        return []
    return [
        f"params.yaml: {place} takes {kind} of {crop[0]} x {crop[1]} pixels, and {kind}.size is {size}; "
        f"set {place}.train.crop to [{size}, {size}], or {kind}.size"
    ]


def _names(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(v, str) for v in values) and len(set(values)) == len(values)


def _whole(values: Any) -> bool:
    numbers = isinstance(values, list) and all(type(v) is int and 0 <= v < 2**63 for v in values)
    return numbers and len(set(values)) == len(values)


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("--check", action="store_true", help="write nothing")
    run(main, made)
