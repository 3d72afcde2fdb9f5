"""The graph is honest: what a stage lists in dvc.yaml is what its code imports and reads."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.engine.session import resolve
from pipeline.methods import is_adversarial, is_paired, method_module, method_names

ROOT = Path(__file__).parents[2]
STAGES: dict[str, dict[str, Any]] = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
PARAMS: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")

# Code that no stage lists, because it cannot change a result. Package files that hold a docstring alone need no entry.
EXEMPT = {
    "pipeline/methods/__init__.py": "finds a method's file by its name; the file itself is listed",
    "pipeline/tracking": "sends on what the stages write",
}
CONSTANT = "validate"  # writes the same line whatever its code is; it lists what may make it stop instead


# -- code ---------------------------------------------------------------------------------------------------------


@cache
def module_file(dotted: str) -> Path | None:
    """The file of a module of this project; None for other modules and for names inside a module."""
    if dotted.partition(".")[0] not in ("pipeline", "stages"):
        return None
    base = ROOT / dotted.replace(".", "/")
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


@cache
def imported_names(file: Path, in_functions: bool = True) -> frozenset[str]:
    """Dotted names that a file imports: anywhere, or only where importing the file itself loads them."""
    tree, names = ast.parse(file.read_text()), set()
    for node in ast.walk(tree) if in_functions else tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level and node.module, f"{file}: write imports in full, this test follows no relative ones"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def loaded_files(files: set[Path], in_functions: bool = True) -> set[Path]:
    """All files of this project that these import, however indirectly, with the packages on the way; and themselves."""
    seen, todo = set(), list(files)
    while todo:
        if (file := todo.pop()) not in seen:
            seen.add(file)
            for name in imported_names(file, in_functions):
                parts = name.split(".")
                todo += [f for i in range(len(parts)) if (f := module_file(".".join(parts[: i + 1])))]
    return seen


def closure(files: set[Path]) -> set[str]:
    """The code that these files run, without what is exempt."""
    names = {str(file.relative_to(ROOT)) for file in loaded_files(files) if not only_a_docstring(file)}
    return {name for name in names if not name.startswith(tuple(EXEMPT))}


@cache
def only_a_docstring(file: Path) -> bool:
    body = ast.parse(file.read_text()).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def stage_file(stage: dict[str, Any]) -> Path:
    found = re.match(r"python -m (stages\.\w+)", stage["cmd"])
    assert found and (file := module_file(found[1])), f"{stage['cmd']} is not 'python -m stages.NAME ...'"
    return file


def methods_of(stage: dict[str, Any]) -> set[str]:
    """The methods whose files a stage loads: the one it is told by name, and those of the models that it opens."""
    models = [dep.split("/")[2] for dep in stage["deps"] if dep.startswith("models/")]  # models/KIND/METHOD/...
    return set(method_names()) & {*stage["cmd"].split(), *models}


def declared_code(stage: dict[str, Any]) -> set[str]:
    """The Python files among the dependencies; a folder stands for all of its files."""
    listed: set[Path] = set()
    for dep in stage["deps"]:
        if dep.startswith(("pipeline/", "stages/")):
            path = ROOT / dep
            assert path.exists(), f"{dep} does not exist"
            listed |= set(path.rglob("*.py")) if path.is_dir() else {path}
    return {str(path.relative_to(ROOT)) for path in listed if not only_a_docstring(path)}


@pytest.mark.parametrize("name", [name for name in STAGES if name != CONSTANT])
def test_a_stage_declares_the_code_that_it_imports(name):
    stage = STAGES[name]
    methods = {ROOT / "pipeline/methods" / f"{method}.py" for method in methods_of(stage)}
    imported, declared = closure({stage_file(stage), *methods}), declared_code(stage)
    assert imported == declared, difference(f"deps of {name}", imported, declared)


def difference(place: str, wanted: set[str], listed: set[str]) -> str:
    lines = [f"dvc.yaml, {place}:"]
    for verb, names in (("add", wanted - listed), ("remove", listed - wanted)):
        lines += [f"  {verb} {', '.join(sorted(names))}"] if names else []
    return "\n".join(lines)


def test_only_the_report_depends_on_the_code_of_the_report():
    listing = {name for name, stage in STAGES.items() if any("pipeline/report" in dep for dep in stage["deps"])}
    assert listing == {"report"}


def test_training_depends_neither_on_readers_nor_on_the_world_nor_on_metrics():
    far = ("pipeline/datasets", "pipeline/world", "pipeline/metrics", "pipeline/report", "pipeline/labels.py")
    for name, stage in STAGES.items():
        if name.startswith(("train_", "segment_")):
            assert not [dep for dep in stage["deps"] if dep.startswith(far)], name


def test_a_new_method_reruns_nothing_but_the_validation():
    whole = {name for name, stage in STAGES.items() if "pipeline/methods" in stage["deps"]}
    assert whole == {CONSTANT}


def test_every_method_has_its_stages():
    kinds = {"translator": ("train", "translate"), "rival": ("translate",), "segmenter": ("segment", "evaluate")}
    kinds |= {"scorer": ("train", "score"), "sampler": ("train", "codes")}
    for method in method_names():
        for kind in ("train", "evaluate_pairs") if is_paired(method) else kinds.get(method_module(method).ABILITY, ()):
            assert f"{kind}_{method}" in STAGES, f"dvc.yaml has no stage {kind}_{method}"


def test_snapshots_are_made_and_scored_of_adversarial_segmenters_and_no_others():
    for method in (name for name in method_names() if f"segment_{name}" in STAGES):
        made = any("models/snapshots" in str(out) for out in STAGES[f"segment_{method}"]["outs"])
        scored = any("models/snapshots" in dep for dep in STAGES[f"evaluate_{method}"]["deps"])
        assert made == scored == is_adversarial(method), method


def test_all_stages_wait_for_the_validation():
    for name, stage in STAGES.items():
        assert name == CONSTANT or "results/validated" in stage["deps"], f"{name} does not depend on results/validated"


# -- parameters ---------------------------------------------------------------------------------------------------


def leaves(value: Any, place: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{place}.{key}" if place else key)
    else:
        yield place


def declared_params(stage: dict[str, Any]) -> set[str]:
    """The keys that a stage lists, a block standing for all of its keys."""
    out: set[str] = set()
    for dotted in stage.get("params", []):
        value: Any = PARAMS
        for part in dotted.split("."):
            assert part in value, f"dvc.yaml lists {dotted}, which params.yaml does not have"
            value = value[part]
        out |= set(leaves(value, dotted))
    return out


@pytest.mark.parametrize("name", STAGES)
def test_every_listed_parameter_exists(name):
    declared_params(STAGES[name])


@pytest.mark.parametrize("name", [name for name in STAGES if name.startswith(("train_", "segment_"))])
def test_a_training_lists_the_parameters_that_it_reads(name):
    module = method_module(name.partition("_")[2])
    wanted = {*leaves(resolve(PARAMS, module)), *leaves(PARAMS["device"], "device")}
    listed = declared_params(STAGES[name])
    assert wanted == listed, difference(f"params of {name}", wanted, listed)


@pytest.mark.parametrize("name", [name for name in STAGES if name.startswith("translate_")])
def test_a_translation_lists_the_parameters_that_it_reads(name):
    module = method_module(name.partition("_")[2])
    own = module.BLOCKS if module.ABILITY == "rival" else ("device",)  # a trained model brings its parameters along
    wanted = {key for block in ("shard", *own) for key in leaves(PARAMS[block], block)}
    listed = declared_params(STAGES[name])
    assert wanted == listed, difference(f"params of {name}", wanted, listed)


def test_other_stages_list_the_blocks_that_they_read():
    blocks: dict[Path, set[str]] = {}
    for stage in STAGES.values():
        heads = {dotted.partition(".")[0] for dotted in stage.get("params", [])}
        blocks.setdefault(stage_file(stage), set()).update(heads)
    for file, listed in blocks.items():
        if file.stem not in ("train", "segment", "translate", CONSTANT):
            read = blocks_read(file)
            assert read == listed, difference(f"params of the stages of {file.name}", read, listed)


def test_simulate_lists_all_of_the_world():
    assert declared_params(STAGES["simulate"]) == {*leaves(PARAMS["world"], "world")}


def test_where_data_stages_run_makes_no_stage_run_again():
    assert not [
        name for name, stage in STAGES.items() if {*leaves(PARAMS["cluster"], "cluster")} & declared_params(stage)
    ]


def blocks_read(file: Path) -> set[str]:
    """The blocks that a file asks for: block(params, "NAME", model)."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    named = [call.args[1] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "block"]
    return {str(argument.value) for argument in named if isinstance(argument, ast.Constant)}


def test_gamma_belongs_to_spigan_alone():
    assert {name for name, stage in STAGES.items() if "train.gamma" in declared_params(stage)} == {"train_spigan"}


def test_params_yaml_is_the_default_preset():
    status = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "params.yaml"], cwd=ROOT, capture_output=True)
    if status.returncode == 1:
        pytest.skip("params.yaml holds your own changes")
    assert (ROOT / "params.yaml").read_text() == (ROOT / "presets/default.yaml").read_text()


# -- starting fast ------------------------------------------------------------------------------------------------


def libraries(files: set[Path], in_functions: bool = True) -> set[str]:
    return {name.partition(".")[0] for file in files for name in imported_names(file, in_functions)}


@pytest.mark.parametrize("file", sorted({stage_file(stage) for stage in STAGES.values()}), ids=lambda file: file.stem)
def test_the_file_of_a_stage_loads_nothing_heavy_by_itself(file):
    heavy = {"torch", "torchvision", "kornia", "lightning_fabric", "mlflow", "dvc", "pandas", "matplotlib", "pyarrow"}
    assert not libraries(loaded_files({file}, in_functions=False), in_functions=False) & heavy


@pytest.mark.parametrize("name", ["simulate", "fix_labels", "optical_flow", "shard"])
def test_data_stages_never_load_torch(name):
    assert not libraries(loaded_files({ROOT / f"stages/{name}.py"})) & {"torch", "torchvision", "kornia"}


def test_training_loads_neither_dvc_nor_mlflow_before_it_needs_them():
    files = loaded_files({ROOT / f"stages/{name}.py" for name in ("train", "translate", "segment")})
    assert not libraries(files, in_functions=False) & {"dvc", "mlflow"}
