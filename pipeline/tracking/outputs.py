"""The outputs of the stages as the runs that MLflow shall show. Nothing here imports mlflow.

Cells and seeds come from params.yaml. dvc.lock, where it is, says with which parameters and from which inputs an output
was made; an output that was made with other parameters than params.yaml holds now is not passed off as theirs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pipeline import files
from pipeline.params import read_yaml


class Kind(NamedTuple):
    """A kind of stage: its name in DVC and where its outputs lie; the words in braces are filled in for every cell."""

    name: str
    record: str  # the result file: its content identifies the output
    model: str = ""
    costs: str = ""
    pictures: str = ""  # a picture, or a folder of predictions


KINDS = {
    "fix_labels": Kind("fix_labels", "data/fixed/source/report.json", pictures="data/fixed/source/sheet.jpg"),
    "optical_flow": Kind(
        "optical_flow@{name}", "results/flow/{name}/report.json", pictures="results/flow/{name}/sheet.jpg"
    ),
    "flow_pairs": Kind("flow_pairs@{name}", "results/flow/{name}/report.json"),
    "shard_source": Kind("shard_source", "data/shards/source/set.json"),
    "shard_target": Kind("shard_target@{set}", "data/shards/{set}/set.json"),
    "shard_pairs": Kind("shard_pairs@{set}", "data/shards/{set}/set.json"),
    "shard_clips": Kind("shard_clips@{set}", "data/shards/{set}/set.json"),
    "shard_scans": Kind("shard_scans@{set}", "data/shards/{set}/set.json"),
    "shard_digits": Kind("shard_digits@{set}", "data/shards/{set}/set.json"),
    "shard_sequences": Kind("shard_sequences@{name}", "data/shards/sequences_{name}/set.json"),
    "train": Kind(
        "train_{translator}@{seed}",
        "results/train/{translator}/{seed}/curves.json",
        model="models/translators/{translator}/{seed}",
        costs="results/costs/train/{translator}/{seed}.json",
    ),
    "translate": Kind(
        "translate_{translator}@{seed}",
        "data/translated/{translator}/{seed}/set.json",
        costs="results/costs/translate/{translator}/{seed}.json",
    ),
    "segment": Kind(
        "segment_{segmenter}@{translator}-{seed}",
        "results/segment/{segmenter}/{translator}/{seed}/curves.json",
        model="models/segmenters/{segmenter}/{translator}/{seed}",
        costs="results/costs/segment/{segmenter}/{translator}/{seed}.json",
    ),
    "evaluate": Kind(
        "evaluate_{segmenter}@{translator}-{seed}",
        "results/evaluate/{segmenter}/{translator}/{seed}/scores.json",
        pictures="results/evaluate/{segmenter}/{translator}/{seed}/predictions",
    ),
    "measure": Kind("measure@{translator}-{seed}", "results/measure/{translator}/{seed}.json"),
    "exactness": Kind("exactness@{translator}-{seed}", "results/exactness/{translator}/{seed}.json"),
    "generation": Kind(
        "generation@{translator}-{seed}",
        "results/generation/{translator}/{seed}/scores.json",
        pictures="results/generation/{translator}/{seed}/pictures",
    ),
    "evaluate_pairs": Kind(
        "evaluate_pairs_{translator}@{seed}",
        "results/pairs/{translator}/{seed}/scores.json",
        pictures="results/pairs/{translator}/{seed}/pictures",
    ),
    "train_scorer": Kind(
        "train_{scorer}@{seed}",
        "results/train/{scorer}/{seed}/curves.json",
        model="models/scorers/{scorer}/{seed}",
        costs="results/costs/train/{scorer}/{seed}.json",
    ),
    "score": Kind(
        "score_{scorer}@{seed}",
        "results/score/{scorer}/{seed}/scores.json",
        costs="results/costs/score/{scorer}/{seed}.json",
        pictures="results/score/{scorer}/{seed}/sheets",
    ),
    "train_sampler": Kind(
        "train_{sampler}@{seed}",
        "results/train/{sampler}/{seed}/curves.json",
        model="models/samplers/{sampler}/{seed}",
        costs="results/costs/train/{sampler}/{seed}.json",
    ),
    "codes": Kind(
        "codes_{sampler}@{seed}",
        "results/codes/{sampler}/{seed}/scores.json",
        pictures="results/codes/{sampler}/{seed}/pictures",
    ),
}


@dataclass(frozen=True)
class Output:
    """What a stage left behind for one cell."""

    stage: str
    cell: dict[str, Any]  # such as {"segmenter": "source_only", "translator": "spigan", "seed": 0}
    params: dict[str, Any] = field(default_factory=dict)  # dotted names, only those that the stage depends on
    digests: dict[str, str] = field(default_factory=dict)  # "input.PATH" and "output.PATH" -> DVC's digest

    def _path(self, pattern: str) -> Path | None:
        path = Path(pattern.format(**self.cell))
        return path if pattern and path.exists() else None

    @property
    def name(self) -> str:
        """DVC's name of the stage, such as "segment_source_only@spigan-0"; `Live` is given the same."""
        return KINDS[self.stage].name.format(**self.cell)

    @property
    def record(self) -> Path:
        return Path(KINDS[self.stage].record.format(**self.cell))

    @property
    def model(self) -> Path | None:
        return self._path(KINDS[self.stage].model)

    @property
    def pictures(self) -> list[Path]:
        path = self._path(KINDS[self.stage].pictures)
        return sorted(path.iterdir()) if path and path.is_dir() else [path] if path else []

    def exists(self) -> bool:
        """Whether the output is complete; a stage whose outputs are being moved into place is not shown yet."""
        return self.record.exists() and (self.model is not None or not KINDS[self.stage].model)

    def identity(self) -> str:
        """Digest of the stage's name and the content of its output.

        Of a model only the small files are read: its fingerprint stands for parameters, inputs and code, the curves
        for the arithmetic, so hundreds of megabytes of weights need no reading at every call.
        """
        model = [self.model / name for name in ("fingerprint", "params.yaml")] if self.model else []
        content = [path for path in [self.record, *model] if path.exists()]
        return files.digest([self.name, [[str(path), files.sha256_file(path)] for path in content]])

    def content(self) -> dict[str, Any]:
        """The result file."""
        return files.read_json(self.record)

    def curves(self) -> Iterator[tuple[str, int, float]]:
        """(name, step, value) of a training; nothing for other stages. A file without curves is an error, not empty."""
        for row in self.content()["curves"] if KINDS[self.stage].model else []:
            step = int(row["step"])
            yield from (
                (name, step, float(value))
                for name, value in row.items()
                if name not in ("step", "kimg") and value is not None  # thousands of pictures: the step in another unit
            )

    def costs(self) -> dict[str, Any]:
        path = self._path(KINDS[self.stage].costs)
        return files.read_json(path) if path else {}

    def finished(self) -> float:
        """When the output was written, seconds since 1970."""
        return self.record.stat().st_mtime

    def started(self) -> float:
        """When the stage began; where no cost was measured, the same as `finished`."""
        return self.finished() - float(self.costs().get("seconds") or 0)


def collect(params: dict[str, Any]) -> tuple[list[Output], dict[str, str]]:
    """(the outputs that exist and belong to `params`, name -> the parameter or input in which the others differ)."""
    lock = Lock.read(params)
    current, others = [], {}
    for stage, cell in cells(params):
        output = Output(stage, cell)
        if not output.exists():
            continue
        maker = lock.maker(output.record)
        difference = lock.difference(maker) if maker else None
        if difference:
            others[output.name] = difference
        else:
            known = lock.params(maker) if maker else _of_model(output.model)
            current.append(Output(stage, cell, known, lock.digests(maker) if maker else {}))
    return current, others


def cells(params: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every (kind of stage, cell) that params.yaml asks for, in the order of dvc.yaml."""
    seeds, pairs = params.get("seeds") or [], params.get("cells") or {}
    sequences = params.get("sequences") or []
    yield "fix_labels", {}
    yield from (("optical_flow", {"name": name}) for name in sequences)
    yield from (("flow_pairs", {"name": name}) for name in params.get("flow_pairs") or [])
    yield "shard_source", {}
    yield from (("shard_target", {"set": name}) for name in params.get("target_sets") or [])
    yield from (("shard_pairs", {"set": name}) for name in params.get("shard_pairs") or [])
    for stage, sets in (("shard_clips", "clip_sets"), ("shard_scans", "scan_sets"), ("shard_digits", "digit_sets")):
        yield from ((stage, {"set": name}) for name in params.get(sets) or [])
    yield from (("shard_sequences", {"name": name}) for name in sequences)
    for translator, own_seeds in (params.get("translators") or {}).items():
        for cell in ({"translator": translator, "seed": seed} for seed in own_seeds or []):
            yield from (("train", cell), ("translate", cell))
    for segmenter, translators in pairs.items():
        for translator, seed in product(translators or [], seeds):
            cell = {"segmenter": segmenter, "translator": translator, "seed": seed}
            yield from (("segment", cell), ("evaluate", cell))
    judging = {"measure": pairs.get("source_only"), **{name: params.get(name) for name in ("exactness", "generation")}}
    for stage, judged in judging.items():
        yield from ((stage, {"translator": name, "seed": seed}) for name, seed in product(judged or [], seeds))
    for translator, own_seeds in (params.get("paired") or {}).items():
        for cell in ({"translator": translator, "seed": seed} for seed in own_seeds or []):
            yield from (("train", cell), ("evaluate_pairs", cell))
    for scorer, own_seeds in (params.get("scorers") or {}).items():
        for cell in ({"scorer": scorer, "seed": seed} for seed in own_seeds or []):
            yield from (("train_scorer", cell), ("score", cell))
    for sampler, own_seeds in (params.get("samplers") or {}).items():
        for cell in ({"sampler": sampler, "seed": seed} for seed in own_seeds or []):
            yield from (("train_sampler", cell), ("codes", cell))


def _of_model(model: Path | None) -> dict[str, Any]:
    """The parameters that a model directory carries; for stages that ran without DVC."""
    path = model / "params.yaml" if model else None
    content = read_yaml(path) if path and path.exists() else {}
    return flatten(content.pop("params", {}) | content)


class Lock:
    """dvc.lock: which stage made a path, from what, with which parameters."""

    def __init__(self, stages: Mapping[str, Any], params: dict[str, Any]) -> None:
        self._stages, self._present = stages, params
        self._outs = {out["path"]: (name, out.get("md5")) for name in stages for out in stages[name].get("outs", [])}
        self._differences: dict[str, str | None] = {}

    @classmethod
    def read(cls, params: dict[str, Any], path: str = "dvc.lock") -> "Lock":
        return cls((read_yaml(path).get("stages") or {}) if Path(path).exists() else {}, params)

    def maker(self, path: Path | str) -> str | None:
        """The stage whose output is `path` or a folder around it."""
        pure = PurePosixPath(path)
        return next((self._outs[str(p)][0] for p in (pure, *pure.parents) if str(p) in self._outs), None)

    def params(self, stage: str) -> dict[str, Any]:
        return flatten(self._stages[stage].get("params", {}).get("params.yaml", {}))

    def digests(self, stage: str) -> dict[str, str]:
        """Digests of the data and models that went in and of what came out; code is not listed."""
        entry = self._stages[stage]
        data = [dep for dep in entry.get("deps", []) if dep["path"].startswith(("data/", "models/", "results/"))]
        inputs = {f"input.{dep['path']}": dep.get("md5", "") for dep in data}
        return inputs | {f"output.{out['path']}": out.get("md5", "") for out in entry.get("outs", [])}

    def difference(self, stage: str) -> str | None:
        """The first parameter or input in which `stage`, or a stage before it, was not run with what is there now."""
        if stage not in self._differences:
            self._differences[stage] = self._find_difference(self._stages[stage], stage)
        return self._differences[stage]

    def _find_difference(self, entry: Mapping[str, Any], stage: str) -> str | None:
        for key, value in entry.get("params", {}).get("params.yaml", {}).items():
            if _lookup(self._present, key) != value:
                return key
        for dep in entry.get("deps", []):
            path, maker = dep["path"], self.maker(dep["path"])
            if maker is None or maker == stage:
                continue
            if path in self._outs and self._outs[path][1] != dep.get("md5"):
                return path
            before = self.difference(maker)
            if before:
                return before
        return None


def _lookup(params: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        params = params.get(part) if isinstance(params, dict) else None
    return params


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one with dotted names; lists stay whole."""
    if not isinstance(value, dict) or not value:
        return {prefix: value} if prefix else {}
    out: dict[str, Any] = {}
    for key, inner in value.items():
        out |= flatten(inner, f"{prefix}.{key}" if prefix else str(key))
    return out


def numbers(value: Any, prefix: str = "") -> dict[str, float]:
    """The numbers in nested mappings, names joined by slashes; null, text, lists and what is no result are left out."""
    if isinstance(value, dict):
        out: dict[str, float] = {}
        for key, inner in value.items():
            if key not in ("seed", "pictures", "format", "protocols", "confusion", "scores"):
                # distances stand under their own full names, as in report/table.json
                out |= numbers(inner, prefix if key == "distances" else f"{prefix}{key}/")
        return out
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {prefix.removesuffix("/"): float(value)}
    return {}
