"""The graph is honest: what a stage depends on in dvc.yaml is what its code imports and reads."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline import closure
from pipeline.closure import code_of, imported_names, loaded_files
from pipeline.engine.session import resolve
from pipeline.files import UserError, sha256_file
from pipeline.methods import is_adversarial, is_paired, method_module, method_names
from tests.commands import run_here

ROOT = Path(__file__).parents[2]
STAGES: dict[str, dict[str, Any]] = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
PARAMS: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")

CONSTANT = {"validate": "writes the same line whatever its code is; it lists what may make it stop instead"}
CONSTANT["code"] = "writes the lists; it reads all of the code"


# -- code ---------------------------------------------------------------------------------------------------------


def stage_file(stage: dict[str, Any]) -> Path:
    found = re.match(r"python -m stages\.(\w+)", stage["cmd"])
    assert found and (file := ROOT / f"stages/{found[1]}.py").is_file(), (
        f"{stage['cmd']}: not 'python -m stages.NAME ...'"
    )
    return file


def lists_of(stage: dict[str, Any]) -> set[str]:
    """The stage's own list, and those of its methods: the one it is told by name, and those of the models it opens."""
    models = [dep.split("/")[2] for dep in stage["deps"] if dep.startswith("models/")]  # models/KIND/METHOD/...
    methods = set(method_names()) & {*stage["cmd"].split(), *models}
    return {f".code/stages/{stage_file(stage).stem}", *(f".code/methods/{method}" for method in methods)}


def code_of_stage(stage: dict[str, Any]) -> set[str]:
    """The files that a stage runs, by the lists it depends on."""
    paths = [Path(dep) for dep in stage["deps"] if dep.startswith(".code/")]
    folders = {"stages": ROOT / "stages", "methods": ROOT / "pipeline/methods"}
    return {name for path in paths for name in code_of(folders[path.parts[1]] / f"{path.name}.py")}


CODE = {name: code_of_stage(stage) for name, stage in STAGES.items() if name not in CONSTANT}


@pytest.mark.parametrize("name", [name for name in STAGES if name not in CONSTANT])
def test_a_stage_depends_on_the_lists_of_the_code_that_it_runs(name):
    stage = STAGES[name]
    listed = {dep for dep in stage["deps"] if dep.startswith((".code", "pipeline", "stages"))}
    assert lists_of(stage) == listed, difference(f"deps of {name}", lists_of(stage), listed)


def test_code_is_what_a_file_imports_however_indirectly_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(closure, "ROOT", tmp_path)
    for cached in (closure.imported_names, closure.module_file, closure._parsed):
        monkeypatch.setattr(closure, cached.__name__, cached.__wrapped__)
    sources = {
        "stages/train.py": "import json\nimport pipeline.deep\n\ndef main():\n    from pipeline import nets\n",
        "pipeline/__init__.py": '"""Only words."""\n',
        "pipeline/deep.py": "from pipeline.deeper import thing\n",
        "pipeline/deeper.py": "thing = 1\n",
        "pipeline/nets/__init__.py": "size = 1\n",
        "pipeline/unused.py": "x = 1\n",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    file = tmp_path / "stages/train.py"
    assert code_of(file) == ["pipeline/deep.py", "pipeline/deeper.py", "pipeline/nets/__init__.py", "stages/train.py"]
    (tmp_path / "pipeline/deeper.py").write_text("def (\n")
    with pytest.raises(UserError, match=r"deeper.py, line 1: .*; mend it"):
        code_of(file)


def test_the_lists_name_the_digests_of_the_code(tmp_path):
    assert run_here(tmp_path, "code").code == 0
    there = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert there >= {name for stage in STAGES.values() for name in stage["deps"] if name.startswith(".code/")}
    wanted = [f"{sha256_file(ROOT / file)}  {file}" for file in code_of(ROOT / "stages/train.py")]
    assert (tmp_path / ".code/stages/train").read_text().splitlines() == wanted


def difference(place: str, wanted: set[str], listed: set[str]) -> str:
    lines = [f"dvc.yaml, {place} (python -m tests.stages.declare writes code):"]
    for verb, names in (("add", wanted - listed), ("remove", listed - wanted)):
        lines += [f"  {verb} {', '.join(sorted(names))}"] if names else []
    return "\n".join(lines)


def test_only_the_report_depends_on_the_code_of_the_report():
    running = {name for name, files in CODE.items() if any(file.startswith("pipeline/report") for file in files)}
    assert running == {"report"}


def test_training_depends_neither_on_readers_nor_on_the_world_nor_on_metrics():
    far = ("pipeline/datasets", "pipeline/world", "pipeline/metrics", "pipeline/report", "pipeline/labels.py")
    for name, files in CODE.items():
        if name.startswith(("train_", "segment_")):
            assert not [file for file in files if file.startswith(far)], name


def test_a_new_method_reruns_nothing_but_the_validation():
    """Or a stage would run again that knows nothing of it: none runs the files of all methods."""
    everything = {f"pipeline/methods/{name}.py" for name in method_names()}
    assert not [name for name, files in CODE.items() if everything <= set(files)]


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
        assert name in CONSTANT or "results/validated" in stage["deps"], f"{name} does not depend on results/validated"


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
        if file.stem not in ("train", "segment", "translate", *CONSTANT):
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


@pytest.mark.parametrize(
    "name", ["code", "simulate", "fix_labels", "optical_flow", "shard", "shard_clips", "shard_stills", "report"]
)
def test_data_stages_and_the_report_never_load_torch(name):
    assert not libraries(loaded_files({ROOT / f"stages/{name}.py"})) & {"torch", "torchvision", "kornia"}


def test_training_loads_neither_dvc_nor_mlflow_before_it_needs_them():
    files = loaded_files({ROOT / f"stages/{name}.py" for name in ("train", "translate", "segment")})
    assert not libraries(files, in_functions=False) & {"dvc", "mlflow"}
