"""What made a result: the digest of parameters, inputs and code under which half-done work may be continued."""

import importlib.metadata
import sys
from typing import Any

from pipeline.files import digest, sha256_file

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
    """Digest of every module of the project that this process has loaded."""
    loaded = {name: getattr(module, "__file__", None) for name, module in sorted(sys.modules.items())}
    ours = {name: file for name, file in loaded.items() if file and name.split(".")[0] in ("pipeline", "stages")}
    return digest({name: sha256_file(file) for name, file in ours.items()})


def fingerprint(parameters: Any, inputs: Any) -> str:
    """What must be equal for half-done work to be continued: parameters, digests of the inputs, code, libraries."""
    return digest({"parameters": parameters, "inputs": inputs, "code": code_digest(), "libraries": versions()})
