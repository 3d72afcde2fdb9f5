"""What DVC makes of the graph and of params.yaml: the cells that exist, what a change reruns, what -S writes."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.params import load

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # DVC's own


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A DVC project without git that holds the graph and the default parameters, but neither code nor data."""
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    shutil.copy(ROOT / "presets/default.yaml", tmp_path / "params.yaml")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    return tmp_path


@pytest.fixture
def graph(folder: Path) -> Callable[[], Any]:
    """The graph as DVC resolves it: checked for cycles and for outputs that two stages claim."""
    from dvc.repo import Repo

    def read() -> Any:
        with Repo(str(folder)) as repo:
            repo.check_graph(repo.index.stages)
            return repo.index

    return read


def names(stages: Any) -> set[str]:
    return {stage.name for stage in stages if stage.name}


def change(folder: Path, **blocks: Any) -> None:
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    params.update(blocks)
    yaml.dump(params, folder / "params.yaml")


def test_the_default_preset_has_its_cells(graph):
    found = names(graph().stages)
    arms = load(ROOT / "presets/default.yaml")["cells"]["source_only"]
    assert {"spigan", "spigan_no_pi", "histogram_matching", "none"} <= set(arms)
    for arm in arms:
        assert {f"translate_{arm}@0", f"segment_source_only@{arm}-0", f"evaluate_source_only@{arm}-0"} <= found
    assert {"train_spigan@0", "train_spigan_no_pi@0", "segment_oracle@none-0", "shard_target@target_val"} <= found


def test_an_empty_list_switches_a_method_off(folder, graph):
    before = names(graph().stages)
    params = load(folder / "params.yaml")
    cells = params["cells"] | {"source_only": ["none"], "oracle": []}
    change(folder, translators=params["translators"] | {"spigan": []}, cells=cells, exactness=[])
    gone = before - names(graph().stages)
    assert {"train_spigan@0", "translate_spigan@0", "segment_oracle@none-0", "segment_source_only@fourier-0"} <= gone
    assert not gone & {"translate_none@0", "segment_source_only@none-0", "report"}


def test_a_segmenter_has_a_cell_for_each_of_its_translators(folder, graph):
    before = names(graph().stages)
    change(folder, cells=load(folder / "params.yaml")["cells"] | {"adaptsegnet": ["none", "spigan"]})
    made = {f"{kind}_adaptsegnet@{arm}-0" for kind in ("segment", "evaluate") for arm in ("none", "spigan")}
    assert names(graph().stages) - before == made
    only = {"segment_adaptsegnet@none-0", "evaluate_adaptsegnet@none-0"}
    found = reruns(graph(), "adaptsegnet.space")
    assert only < found == made | {"report"}


def reruns(index: Any, parameter: str) -> set[str]:
    """The stages that list a parameter of params.yaml, and all that depend on them."""
    import networkx

    block = parameter.partition(".")[0]
    first = [
        stage for stage in index.stages for dep in stage.params if {parameter, block} & set(getattr(dep, "params", []))
    ]
    return names(first).union(*(names(networkx.ancestors(index.graph, stage)) for stage in first))


def test_gamma_reruns_spigan_and_what_depends_on_it_alone(graph):
    after = {f"{kind}@spigan-0" for kind in ("segment_source_only", "evaluate_source_only", "measure", "exactness")}
    assert reruns(graph(), "train.gamma") == {"train_spigan@0", "translate_spigan@0", "report"} | after


def test_flow_parameters_retrain_nothing(graph):
    found = reruns(graph(), "flow.winsize")
    assert "optical_flow@world_sequences" in found
    assert not [name for name in found if name.startswith(("train_", "translate_", "segment_"))]


def test_scoring_parameters_retrain_nothing(graph):
    index = graph()
    found = reruns(index, "measure.pictures") | reruns(index, "evaluate.gallery")
    assert "report" in found
    assert not [name for name in found if name.startswith(("train_", "translate_", "segment_", "shard_"))]


def test_a_small_number_set_by_dvc_arrives_as_a_number_and_the_file_stays_readable(folder):
    from dvc.utils.hydra import apply_overrides

    file = folder / "params.yaml"
    before, remarks = load(file), comments(file)
    apply_overrides(file, ["train.lr=0.000001", "train.gamma=0.5"])
    after = load(file)
    assert isinstance(after["train"]["lr"], float)
    assert after == before | {"train": before["train"] | {"lr": 1e-6, "gamma": 0.5}}
    assert comments(file) == remarks


def comments(file: Path) -> list[str]:
    return [line.partition("#")[2].strip() for line in file.read_text().splitlines() if "#" in line]


def test_a_misspelt_parameter_is_refused_by_dvc_itself(folder):
    from dvc.exceptions import InvalidArgumentError
    from dvc.utils.hydra import apply_overrides

    before = (folder / "params.yaml").read_bytes()
    with pytest.raises(InvalidArgumentError) as caught:
        apply_overrides(folder / "params.yaml", ["train.gama=1"])
    assert "train.gama" in str(caught.value.__cause__)
    assert (folder / "params.yaml").read_bytes() == before
