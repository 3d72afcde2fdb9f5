"""Small data sets in the published layouts, and the way to the genuine ones."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.files import encode_jpeg, encode_png

SIZE = (8, 12)


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """put(name, array or bytes) writes a file below tmp_path; put(name) a grey picture."""

    def write(name: str, content: np.ndarray | bytes | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            content = np.full((*SIZE, 3), 99, np.uint8)
        if isinstance(content, np.ndarray):
            content = encode_jpeg(content) if name.endswith(".jpg") else encode_png(content)
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def genuine() -> Callable[[str], Path]:
    """genuine(name) is an archive of real data; without SIM2STREET_DATA the test is skipped and says why."""

    def find(name: str) -> Path:
        root = os.environ.get("SIM2STREET_DATA")
        if not root:
            pytest.skip("SIM2STREET_DATA is not set: it names the folder with real data")
        if not (Path(root) / name).exists():
            pytest.skip(f"SIM2STREET_DATA has no {name}")
        return Path(root) / name

    return find
