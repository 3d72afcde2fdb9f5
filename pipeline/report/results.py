"""Reading the result files of the cells that params.yaml names; a folder is never listed to find out what there is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.files import UserError, problems, read_json

# The roles that the report knows by name; every other translator and segmenter is just a name.
NONE = "none"  # the translator that hands the source pictures on
PERFECT = "perfect_translation"  # the source's scenes rendered in the target's look: the ceiling of every translator
SOURCE_ONLY = "source_only"  # the segmenter that sees source labels only
ORACLE = "oracle"  # the segmenter that is trained on target labels

SCORE_KEYS = (
    "dataset",
    "split",
    "pictures",
    "protocol",
    "classes",
    "miou",
    "pixel_accuracy",
    "iou",
    "uses_target_labels",
)
COST_KEYS = (
    "stage",
    "method",
    "seed",
    "seconds",
    "peak_mb",
    "device",
    "images_per_second",
    "data_wait_share",
    "restarts",
)


@dataclass(frozen=True)
class Run:
    """One cell and seed with what its stages wrote. `measure` and `exactness` are empty where they do not apply."""

    translator: str
    segmenter: str
    seed: int
    scores: dict[str, Any]
    measure: dict[str, Any]
    exactness: dict[str, Any]
    curves: dict[str, Any]
    predictions: Path


@dataclass(frozen=True)
class Results:
    """All that the report shows, in the order of params.yaml."""

    runs: list[Run]
    seeds: list[int]
    translators: list[str]
    training: dict[str, dict[int, dict[str, Any]]]  # translator -> seed -> curves; only of those that are trained
    measures: dict[str, dict[int, dict[str, Any]]]  # translator -> seed -> distances, label preservation
    costs: list[dict[str, Any]]


def cells(params: dict[str, Any]) -> list[tuple[str, str]]:
    """(segmenter, translator) of every cell, in the order of params.yaml; none where no segmenter is switched on."""
    blocks = params.get("cells")
    if not isinstance(blocks, dict):
        raise UserError("params.yaml: cells names no segmenter; list the translators of each there, or []")
    return [(segmenter, translator) for segmenter, translators in blocks.items() for translator in translators or []]


def load(params: dict[str, Any], root: Path) -> Results:
    """Open every result file of the cells. Raises one UserError that lists all missing files and their stages."""
    pairs, seeds = cells(params), list(params["seeds"])
    translators = list(dict.fromkeys(translator for _, translator in pairs)) or _switched_on(params)
    exact = [x for x in params.get("exactness") or [] if x in translators]
    _require(root, pairs, exact, seeds)
    # No others are measured: what lies there of them is another run's.
    measured = [translator for segmenter, translator in pairs if segmenter == SOURCE_ONLY]
    measures = {x: _by_seed(root, f"results/measure/{x}", seeds, ".json") for x in measured}
    runs = [
        _run(root, segmenter, translator, seed, measures, exact) for segmenter, translator in pairs for seed in seeds
    ]
    alone = [
        name for part in ("paired", "scorers", "samplers") for name, own in (params.get(part) or {}).items() if own
    ]
    training = {x: _by_seed(root, f"results/train/{x}", seeds, "/curves.json") for x in (*translators, *alone)}
    return Results(
        runs=runs,
        seeds=seeds,
        translators=translators,
        training={x: curves for x, curves in training.items() if curves},
        measures={x: found for x, found in measures.items() if found},
        costs=_costs(root, pairs, [*translators, *alone], seeds),
    )


def _switched_on(params: dict[str, Any]) -> list[str]:
    """Translators whose pictures are all that there is to show: no segmenter is trained on them."""
    found = [name for name, seeds in (params.get("translators") or {}).items() if seeds]
    if not found:
        raise UserError("params.yaml: cells names no cell and translators no seed; there is nothing to report")
    return found


def _require(root: Path, pairs: list[tuple[str, str]], exact: list[str], seeds: list[int]) -> None:
    needed = {f"results/exactness/{x}/{seed}.json": "exactness" for x in exact for seed in seeds}
    for segmenter, translator in pairs:
        for seed in seeds:
            needed[f"results/evaluate/{segmenter}/{translator}/{seed}/scores.json"] = f"evaluate_{segmenter}"
            needed[f"results/segment/{segmenter}/{translator}/{seed}/curves.json"] = f"segment_{segmenter}"
            if translator != NONE and segmenter == SOURCE_ONLY:  # whose translators the graph measures
                needed[f"results/measure/{translator}/{seed}.json"] = "measure"
    lines = [
        f"{path} is missing; run the stage {stage}" for path, stage in needed.items() if not (root / path).is_file()
    ]
    if len(lines) == 1:
        raise UserError(f"{lines[0]} (dvc repro)")
    if lines:
        raise problems("The report needs results that are not there (dvc repro makes them):", lines)


def _run(
    root: Path, segmenter: str, translator: str, seed: int, measures: dict[str, dict[int, Any]], exact: list[str]
) -> Run:
    folder = root / "results/evaluate" / segmenter / translator / str(seed)
    scores = read_json(folder / "scores.json")
    lacking = [key for key in SCORE_KEYS if key not in scores]
    if lacking:
        raise UserError(
            f"{folder / 'scores.json'} lacks {', '.join(lacking)}; run the stage evaluate_{segmenter} again"
        )
    return Run(
        translator=translator,
        segmenter=segmenter,
        seed=seed,
        scores=scores,
        # The oracle learns from target pictures: how far the source's are from them says nothing about it.
        measure={} if segmenter == ORACLE else measures.get(translator, {}).get(seed, {}),
        exactness=read_json(root / f"results/exactness/{translator}/{seed}.json") if translator in exact else {},
        curves=read_json(root / f"results/segment/{segmenter}/{translator}/{seed}/curves.json"),
        predictions=folder / "predictions",
    )


def _by_seed(root: Path, stem: str, seeds: list[int], ending: str) -> dict[int, dict[str, Any]]:
    paths = {seed: root / f"{stem}/{seed}{ending}" for seed in seeds}
    return {seed: read_json(path) for seed, path in paths.items() if path.is_file()}


def _costs(root: Path, pairs: list[tuple[str, str]], translators: list[str], seeds: list[int]) -> list[dict[str, Any]]:
    """Cost files of the cells, each with `translator` and `segmenter` ("" for a translator's or a scorer's own stages)."""
    places = [(stage, "", x, f"{stage}/{x}") for stage in ("train", "translate", "score") for x in translators]
    places += [("segment", y, x, f"segment/{y}/{x}") for y, x in pairs]
    found = []
    for stage, segmenter, translator, stem in places:
        for seed, cost in _by_seed(root, f"results/costs/{stem}", seeds, ".json").items():
            known = {key: cost.get(key) for key in COST_KEYS}
            found.append(known | {"stage": stage, "segmenter": segmenter, "translator": translator, "seed": seed})
    return found
