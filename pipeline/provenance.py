"""What made a result: the digest of parameters, inputs and code under which half-done work may be continued."""

import importlib.metadata
import sys
from pathlib import Path
from typing import Any

from pipeline.files import digest, sha256_file

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("pipeline", "stages")
LIBRARIES = (
    "torch",
    "torchvision",
    "kornia",
    "numpy",
    "opencv-python-headless",
    "lightning-fabric",
    "webdataset",
    "pyarrow",
)


def versions() -> dict[str, str]:
    """Versions of the libraries that decide results."""
    out = {}
    for name in LIBRARIES:
        try:
            out[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return out


def code_digest() -> str:
    """Digest of every file of the project that this process has loaded, the stage's own (`__main__`) among them."""
    loaded = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in (*PARTS, "__main__")]
    files = {Path(file).resolve() for module in loaded if (file := getattr(module, "__file__", None))}
    ours = {file.relative_to(ROOT) for file in files if file.is_relative_to(ROOT)}
    return digest({str(file): sha256_file(ROOT / file) for file in ours if file.parts[0] in PARTS})


def fingerprint(parameters: Any, inputs: Any) -> str:
    """What must be equal for half-done work to be continued: parameters, digests of the inputs, code, libraries."""
    return digest({"parameters": parameters, "inputs": inputs, "code": code_digest(), "libraries": versions()})
