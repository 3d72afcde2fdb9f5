"""Model directories in MLflow's registry, for `mlflow.pyfunc.load_model`.

A version holds the directory as it is (safetensors) and a copy of the code that reads it: nothing is pickled, and it
loads where this repository is not.
"""

import contextlib
import importlib.metadata
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.tracking.outputs import flatten
from pipeline.tracking.store import Store, address, brief, folder, key, opened, server, shown, text

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel

    from pipeline.engine.model import Model

UPLOAD_TIMEOUT = "120"  # seconds for one answer; unlike sync, somebody waits for this, and weights are large
# what reading a model directory imports; pinned, so that MLflow needs not guess
LIBRARIES = ("kornia", "mlflow", "numpy", "opencv-python-headless", "pydantic", "ruamel.yaml", "safetensors", "scipy",
             "torch", "torchvision", "joblib", "tqdm")  # fmt: skip


def register(directory: Path, name: str | None = None) -> str:
    """Add a model directory to the registry; returns its address, "models:/NAME/VERSION".

    The same weights under the same name are one version, however often they are registered. Raises UserError where the
    directory is no usable model or MLflow does not take it.
    """
    from pipeline.engine.model import load_model
    from pipeline.translation import reads

    model = load_model(directory, "cpu")
    if model.module.ABILITY == "translator" and "image" not in reads(model):
        raise files.UserError(
            f"{directory}: a {model.name} model draws from {' and '.join(part.rstrip('?') for part in reads(model))} maps; "
            "MLflow could give it pictures only"
        )
    if model.module.ABILITY == "scorer":
        raise files.UserError(
            f"{directory}: {model.name} scores anomalies, for which a served model has no answer; "
            "score clips and scans with python -m stages.score --model"
        )
    if model.module.ABILITY == "sampler":
        raise files.UserError(
            f"{directory}: {model.name} draws pictures from codes, and MLflow could give it pictures only; "
            "read the codes of pictures with python -m stages.codes --model"
        )
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", UPLOAD_TIMEOUT)
    try:
        with opened() as store:
            return _register(store, directory, model, name or default_name(directory, model.name))
    except Exception as error:  # of many libraries
        where = shown(server() or "the local store .mlflow")
        raise files.UserError(f"{where} did not take the model {directory} ({brief(error)})") from error


def how_to_load(uri: str) -> str:
    """The lines of Python that load a registered model."""
    where = shown(server() or address(folder()))
    return f'mlflow.set_tracking_uri("{where}")\nmodel = mlflow.pyfunc.load_model("{uri}")'


def default_name(directory: Path, method: str) -> str:
    """models/segmenters/source_only/spigan/0 -> "source_only-spigan-0"; elsewhere the method's name."""
    parts = directory.resolve().parts
    own = next((parts[i + 1 :] for i, part in enumerate(parts) if part in ("translators", "segmenters")), ())
    return "-".join(own) or method


def _register(store: Store, directory: Path, model: "Model", name: str) -> str:
    client = store.client
    digest = files.sha256_file(directory / "weights.safetensors")
    for version in client.search_model_versions(f"name='{name}'"):
        if version.tags.get("model.sha256") == digest:
            return f"models:/{name}/{version.version}"
    runs = client.search_runs([store.experiment], f"tags.`model.sha256` = '{digest}'", max_results=1)
    run = runs[0].info.run_id if runs else None
    facts = {"model.sha256": digest, "model.fingerprint": model.fingerprint, "method": model.name}
    kind = model.module.ABILITY
    logged = client.create_logged_model(store.experiment, name, run, facts, _parameters(model), kind)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            _save(Path(temporary, "model"), directory, model, logged)
            client.log_model_artifacts(logged.model_id, str(Path(temporary, "model")))
        client.finalize_logged_model(logged.model_id, "READY")
    except Exception:
        client.delete_logged_model(logged.model_id)
        raise
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name, {"kind": kind, "classes": model.classes.name}, _usage(kind))
    card = (directory / "card.md").read_text()
    source = f"models:/{logged.model_id}"
    with _named(address(folder())):
        made = client.create_model_version(name, source, run, facts, description=card, model_id=logged.model_id)
    return f"models:/{name}/{made.version}"


@contextlib.contextmanager
def _named(uri: str) -> Iterator[None]:
    """MLflow's SQL store looks up a version's model at the address of the environment, whatever its client's is."""
    before = os.environ.get("MLFLOW_TRACKING_URI", "")
    os.environ["MLFLOW_TRACKING_URI"] = uri
    try:
        yield
    finally:
        os.environ["MLFLOW_TRACKING_URI"] = before


def _parameters(model: "Model") -> dict[str, str]:
    return {key(name): text(value) for name, value in flatten(model.params).items()}


def _save(path: Path, directory: Path, model: "Model", logged: "LoggedModel") -> None:
    """MLflow's form of a model, in a folder."""
    import mlflow.pyfunc
    from mlflow.models import Model as Description

    description = Description(
        artifact_path=logged.artifact_location,
        model_uuid=logged.model_id,
        run_id=logged.source_run_id,
        model_id=logged.model_id,
    )
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*An input example was not provided")  # the signature says it
        code = Path(temporary, "pipeline")
        shutil.copytree(Path(files.__file__).parent, code, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        mlflow.pyfunc.save_model(
            path,
            loader_module="pipeline.tracking.served",
            data_path=str(directory),
            code_paths=[str(code)],
            mlflow_model=description,
            signature=_signature(model.module.ABILITY),
            pip_requirements=_requirements(),
        )


def _signature(kind: str) -> Any:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    pictures = TensorSpec(np.dtype("uint8"), (-1, -1, -1, 3))
    labels = TensorSpec(np.dtype("uint8"), (-1, -1, -1))
    return ModelSignature(Schema([pictures]), Schema([pictures if kind == "translator" else labels]))


def _requirements() -> list[str]:
    """Versions without the local part: "+cpu" stands in no index."""
    versions = {name: importlib.metadata.version(name).partition("+")[0] for name in LIBRARIES}
    return [f"{name}=={version}" for name, version in sorted(versions.items())]


def _usage(kind: str) -> str:
    out = "translated pictures of the same shape" if kind == "translator" else "trainIds (N, H, W) uint8"
    return f"`predict` takes RGB pictures (N, H, W, 3) uint8 and returns {out}."
