"""The first four steps of every method have the losses that they had when the method was written.

A change of the code that is meant to change nothing shows here first. In float64: what another processor rounds otherwise
in float32 grows a thousandfold over four steps of a GAN. Where a change is meant:

    STORE_LOSSES=1 python -m pytest tests/engine/test_stored_losses.py
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pipeline.engine.loop import train
from tests.engine import toy

STORED = Path(__file__).parent / "stored_losses.json"
AGAIN = "if this is meant, store them again: STORE_LOSSES=1 python -m pytest tests/engine/test_stored_losses.py"


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def first_losses(name: str, variant: str, scratch: Path) -> dict[str, list[float]]:
    block = toy.method_module(name).BLOCKS[0]
    run = toy.start(name, scratch, toy.merge({block: {}} | toy.VARIANTS[variant], {block: {"steps": 4, "tick": 1}}))
    train(run, toy.Drawn(name, run.settings.batch), name)
    return {column: [row[i] for row in run.rows] for i, column in enumerate(run.columns) if i > 1}


@pytest.mark.parametrize(("method", "variant"), toy.CASES)
def test_the_first_losses_are_the_stored_ones(method, variant, tmp_path):
    losses = first_losses(method, variant, tmp_path)
    name = method if variant == "averaged" else f"{method}, {variant}"
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    if os.environ.get("STORE_LOSSES"):
        stored[name] = losses
        STORED.write_text(json.dumps(dict(sorted(stored.items())), indent=1) + "\n")
        return
    assert name in stored, f"{name} has no stored losses yet; {AGAIN}"
    assert list(losses) == list(stored[name]), AGAIN
    for loss, values in losses.items():
        assert values == pytest.approx(stored[name][loss], rel=1e-6), f"{loss}: {AGAIN}"
