"""A model of MLflow's registry predicts on pictures as the model directory does, where this repository is not."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.engine.model import load_model
from pipeline.files import UserError
from pipeline.scoring import predict
from pipeline.tracking import sync
from pipeline.tracking.__main__ import main
from pipeline.tracking.registry import default_name, register
from pipeline.tracking.store import address, folder, opened
from pipeline.translation import to_picture, to_tensor
from tests.commands import ROOT, run_apart
from tests.engine import toy

SEGMENTER = Path("models/segmenters/source_only/spigan/0")
TRANSLATOR = Path("models/translators/spigan/0")
PICTURES = np.random.default_rng(0).integers(0, 256, (2, 37, 53, 3), np.uint8)
USE = """
import json, os, sys
sys.path[:] = [path for path in sys.path if path != os.environ["PROJECT"]]
import mlflow, numpy as np
pictures, found = np.load("pictures.npy"), {}
for uri in sys.argv[1:]:
    model = mlflow.pyfunc.load_model(uri)
    np.save(uri.split("/")[1], model.predict(pictures))
    try:
        model.predict(pictures.astype("float32"))
    except mlflow.MlflowException as error:
        found[uri] = str(error)
own = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "pipeline"]
print(json.dumps([found, own]))
"""


@pytest.fixture
def models(stored: Path) -> Path:
    """A checkout with a segmenter and a translator that can be used."""
    shutil.rmtree("models")
    toy.write_model("source_only", SEGMENTER)
    toy.write_model("spigan", TRANSLATOR)
    return stored


def loaded(uris: list[str], where: Path, store: str) -> tuple[dict[str, str], list[str]]:
    """Predictions of registered models in a fresh process in an empty folder; (what floats are told, files of ours)."""
    where.mkdir()
    np.save(where / "pictures.npy", PICTURES)
    (where / "use.py").write_text(USE)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"MLFLOW_TRACKING_URI": store, "MLFLOW_DISABLE_TELEMETRY": "true", "PROJECT": str(ROOT)}
    done = run_apart(where, "use.py", *uris, under=environment)
    assert done.code == 0, done.err
    found, own = json.loads(done.out)
    return found, own


def test_registered_models_predict_as_their_directories_do(models: Path, tmp_path: Path) -> None:
    sync()
    uris = [register(SEGMENTER), register(TRANSLATOR, "painter")]
    assert uris == ["models:/source_only-spigan-0/1", "models:/painter/1"]
    shutil.move(models, tmp_path / "moved")
    os.chdir(tmp_path / "moved")
    with opened() as store:
        version = store.client.get_model_version("source_only-spigan-0", "1")
        run = store.client.get_run(version.run_id)
    assert run.info.run_name == "segment_source_only@spigan-0" and version.description == "# card\n"

    refused, own = loaded(uris, tmp_path / "elsewhere", address(folder()))
    assert own and all(str(tmp_path / "moved") in path for path in own)  # the code is the model's own copy
    assert all("uint8" in refused[uri] for uri in uris)
    labels = np.load(tmp_path / "elsewhere" / "source_only-spigan-0.npy")
    segmenter, translator = load_model(SEGMENTER, "cpu"), load_model(TRANSLATOR, "cpu")
    assert labels.dtype == np.uint8 and labels.shape == PICTURES.shape[:3] and len(np.unique(labels)) > 1
    np.testing.assert_array_equal(labels, [predict(segmenter, picture) for picture in PICTURES])
    painted = np.load(tmp_path / "elsewhere" / "painter.npy")
    expected = [to_picture(translator.module.translate(translator.nets, to_tensor(one))[0]) for one in PICTURES]
    np.testing.assert_array_equal(painted, expected)
    assert painted.dtype == np.uint8


def test_a_model_is_registered_once_and_a_new_one_is_the_next_version(models: Path, monkeypatch, capsys) -> None:
    shutil.copytree(SEGMENTER, "elsewhere/mine")
    toy.write_model("spigan", Path("elsewhere/other"))
    for arguments in (["elsewhere/mine"], ["elsewhere/mine"], ["elsewhere/other", "--name", "source_only"]):
        monkeypatch.setattr(sys, "argv", ["tracking", "register", *arguments])
        assert main() == 0
    said = capsys.readouterr().out
    assert said.count("models:/source_only/1") == 4 and said.count("models:/source_only/2") == 2
    assert f'mlflow.set_tracking_uri("sqlite:///{models}/.mlflow/mlflow.db")' in said
    with opened() as store:
        assert len(store.client.search_model_versions("name='source_only'")) == 2
        assert [m.name for m in store.client.search_logged_models([store.experiment])] == ["source_only"] * 2
        held = [path.name for path in Path(".mlflow/artifacts/models").rglob("*") if path.is_file()]
    assert "weights.safetensors" in held and not [name for name in held if name.endswith((".pkl", ".pickle", ".pt"))]


def test_what_cannot_be_registered_is_a_sentence(models: Path, dead_port, monkeypatch) -> None:
    with pytest.raises(UserError, match="is not a model directory"):
        register(Path("models"))
    toy.write_model("spade", Path("elsewhere/spade"))
    with pytest.raises(UserError, match="a spade model draws from label and instance maps; MLflow could give it"):
        register(Path("elsewhere/spade"))
    with pytest.raises(UserError, match="did not take the model"):
        register(SEGMENTER, "a/b")
    with opened() as store:
        assert store.client.search_logged_models([store.experiment]) == []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dead_port("dropped").replace("//", "//user:secret@"))
    with pytest.raises(UserError, match="did not take the model") as caught:
        register(SEGMENTER)
    assert "secret" not in str(caught.value)


def test_names() -> None:
    assert default_name(SEGMENTER, "source_only") == "source_only-spigan-0"
    assert default_name(TRANSLATOR, "spigan") == "spigan-0"
    assert default_name(Path("somewhere"), "spigan") == "spigan"
