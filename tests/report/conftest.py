"""A small tree of result files, as the stages leave it: three ranked cells, two that stand apart, two seeds."""

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.classes import CITYSCAPES19
from pipeline.files import encode_jpeg, encode_png
from pipeline.sample import Sample
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards

SIZE = 48, 96
MIOU = {("source_only", "none"): 0.30, ("source_only", "histogram_matching"): 0.34, ("source_only", "spigan"): 0.41,
        ("source_only", "perfect_translation"): 0.48, ("oracle", "none"): 0.60}  # fmt: skip
SEED_STEP = 0.02  # seed 1 is so much better than seed 0
ABSENT = ("train", "terrain")


def parameters() -> dict[str, Any]:
    cells = {"source_only": ["none", "histogram_matching", "spigan", "perfect_translation"], "oracle": ["none"]}
    return {
        "seeds": [0, 1],
        "cells": cells,
        "exactness": ["spigan"],
        "sequences": ["street"],
        "source": {"name": "world_source"},
        "target": {"name": "world_target"},
        "train": {"gamma": 0.1, "lr": 1e-06},
    }


def _put(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(value) if isinstance(value, bytes) else path.write_text(json.dumps(value))


def _scene(number: int, tint: tuple[int, int, int]) -> Sample:
    """Sky, a road and some houses; the tint is the look."""
    height, width = SIZE
    label = np.full(SIZE, 10, np.uint8)
    label[height // 2 :] = 0
    rng = np.random.default_rng(number)
    for left in range(0, width, 16):
        label[height // 2 - rng.integers(4, 20) : height // 2, left : left + 13] = 2
    label[-3:] = 255
    image = np.clip(CITYSCAPES19.paint(label).astype(int) + tint + rng.integers(-9, 9, (*SIZE, 1)), 0, 255)
    depth = np.where(label == 10, np.inf, 4.0 + 90 * np.linspace(1, 0, height)[:, None]).astype(np.float32)
    return Sample(f"{number:07d}", image.astype(np.uint8), label, depth=depth, meta={"frame": number})


def _source(number: int) -> Sample:
    return _scene(number, (0, 0, 0))


def _spigan(number: int) -> Sample:
    return _scene(number, (30, 20, -20))


def _target(number: int) -> Sample:
    return _scene(100 + number, (-20, 0, 30))


def _scores(segmenter: str, translator: str, seed: int) -> dict[str, Any]:
    miou = MIOU[segmenter, translator] + SEED_STEP * seed
    iou = {
        name: None if name in ABSENT else min(1.0, miou * (0.5 + k / 18)) for k, name in enumerate(CITYSCAPES19.names)
    }
    return {
        "translator": translator, "segmenter": segmenter, "seed": seed, "dataset": "world_target", "split": "val",
        "pictures": 3, "protocol": "cityscapes19", "classes": list(CITYSCAPES19.names), "miou": miou, "miou19": miou,
        "miou16": miou + 0.01, "miou13": miou + 0.05, "miou7": None, "pixel_accuracy": miou + 0.3, "iou": iou,
        "protocols": {}, "confusion": [], "uses_target_labels": segmenter == "oracle",
    }  # fmt: skip


def _curves(method: str, seed: int, losses: list[str], steps: int) -> dict[str, Any]:
    noise = random.Random(f"{method}{seed}")
    rows = [
        [k, k * 0.004, *(math.exp(-k / steps * (2 + i)) + 0.05 * noise.random() for i in range(len(losses)))]
        for k in range(steps)
    ]
    return {
        "method": method,
        "seed": seed,
        "curves": [dict(zip(["step", "kimg", *losses], row, strict=True)) for row in rows],
    }


def _cost(stage: str, method: str, seed: int, seconds: float) -> dict[str, Any]:
    return {
        "stage": stage, "method": method, "seed": seed, "seconds": seconds, "peak_mb": 100 + seconds, "device": "cpu",
        "images_per_second": 21.5, "data_wait_share": 0.03, "restarts": 0,
    }  # fmt: skip


def _measure(translator: str, seed: int) -> dict[str, Any]:
    worst = [["0000001", 0.31], ["0000003", 0.42]]
    return {
        "translator": translator, "seed": seed, "pictures": 8,
        "distances": {"frechet_lite0_8": 12.5 - seed, "kid_lite0_8": 0.0123},
        "label_preservation": {"miou": 0.7, "pixel_accuracy": 0.9, "worst": worst},
    }  # fmt: skip


def write_tree(root: Path) -> None:
    """Everything that `parameters()` asks for, below root."""
    for name, make, split in (
        ("source", _source, "train"),
        ("target_train", _target, "train"),
        ("target_val", _target, "val"),
    ):
        out = root / "data/shards" / name
        write_shards(make, list(range(8)), out, classes="cityscapes19", split=split, settings=ShardSettings())
    for seed in (0, 1):
        for translator in ("none", "histogram_matching", "spigan", "perfect_translation"):
            out = root / f"data/translated/{translator}/{seed}"
            write_shards(_spigan, list(range(8)), out, classes="cityscapes19", split="train", settings=ShardSettings())
            _put(root / f"results/measure/{translator}/{seed}.json", _measure(translator, seed))
        exact = {"translator": "spigan", "seed": seed, "pictures": 8, "psnr": 18.25, "ssim": 0.61}
        _put(root / f"results/exactness/spigan/{seed}.json", exact)
        _put(root / f"results/train/spigan/{seed}/curves.json", _curves("spigan", seed, ["loss/D", "loss/G.gan"], 400))
        _put(root / f"results/costs/train/spigan/{seed}.json", _cost("train", "spigan", seed, 300))
        _put(root / f"results/costs/translate/spigan/{seed}.json", _cost("translate", "spigan", seed, 20))
        for segmenter, translator in MIOU:
            folder = root / f"results/evaluate/{segmenter}/{translator}/{seed}"
            _put(folder / "scores.json", _scores(segmenter, translator, seed))
            for number in (0, 1):
                _put(folder / f"predictions/{100 + number:07d}.png", encode_png(_target(number + seed).label))
            curves = _curves(segmenter + translator, seed, ["loss/ce"], 50)
            _put(root / f"results/segment/{segmenter}/{translator}/{seed}/curves.json", curves)
            cost = _cost("segment", segmenter, seed, 80)
            _put(root / f"results/costs/segment/{segmenter}/{translator}/{seed}.json", cost)
    fixed = {"files": 8, "unknown_ids": [], "histogram": {"road": 0.31, "sky": 0.4}, "instances": True, "missing": None}
    _put(root / "data/fixed/source/report.json", fixed)
    _put(root / "results/flow/street/report.json", {"pairs": 10, "end_point_error": 0.42})
    _put(root / "data/fixed/source/sheet.jpg", encode_jpeg(np.tile(_source(0).image, (2, 3, 1))))


@pytest.fixture(scope="session")
def base_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree, written once: tests that change it take `tree`."""
    root = tmp_path_factory.mktemp("run")
    write_tree(root)
    return root


@pytest.fixture
def tree(base_tree: Path, tmp_path: Path) -> Path:
    """A copy of the tree to change."""
    import shutil

    return Path(shutil.copytree(base_tree, tmp_path / "run"))


@pytest.fixture
def params() -> dict[str, Any]:
    return parameters()


@pytest.fixture(scope="session")
def built(base_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the whole tree."""
    from pipeline import report

    out = tmp_path_factory.mktemp("out") / "report"
    report.build(parameters(), base_tree, out)
    return out
