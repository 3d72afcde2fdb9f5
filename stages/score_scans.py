"""Single scans, for stages.score: those of the graph, and any in a known layout."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.files import UserError
from stages.common import Arguments

LAYOUTS, OPTIONS = ("npz", "idx"), ("split", "normal")
SHOWN = ("auc", "eer", "auc_residual", "auc_features", "auc_pixel", "iou", "dice")


def score_set(model: Any, folder: Path) -> tuple[str, dict[str, Any], float]:
    """The split of the graph's judged scans, their figures, and the seconds that judging took; a sheet lies below `folder`."""
    from pipeline.files import encode_jpeg, progress, write_atomic
    from pipeline.scan_scoring import figures, judge_scans
    from pipeline.scan_sheets import sheet
    from pipeline.shards.index import ShardSet

    test, began = ShardSet.open("data/shards/scans_judged"), time.monotonic()
    parts = [part for part in ("image", "label", "meta") if part in test.parts]
    samples = (test.read(i, parts) for i in progress(range(len(test)), f"score {model.name}"))
    scans = list(judge_scans(model, samples))
    seconds, told = time.monotonic() - began, model.module.describe(model)
    write_atomic(folder / "sheets/scans.jpg", encode_jpeg(sheet(scans, told["residual_threshold"]), 88))
    return test.split, figures(scans, told["threshold"], told["residual_threshold"]), seconds


def score_data(model: Any, given: Arguments) -> tuple[str, dict[str, Any]]:
    """What is said of the chosen scans of any data set, and their figures."""
    from pipeline.scan_scoring import figures, judge_scans

    told = model.module.describe(model)
    normal = told["normal"] if given.normal is None else given.normal
    found = figures(
        list(judge_scans(model, read_scans(given, normal, *told["size"]))),
        told["threshold"], told["residual_threshold"],
    )  # fmt: skip
    return f"{found['scans']} scans", {"normal": normal, **found}


def read_scans(given: Arguments, normal: int, height: int, width: int) -> Iterator[Any]:
    """The samples of a split, or of all that are not train, at a size; `abnormal` in the meta where a category tells it."""
    from pipeline.datasets import open_dataset
    from pipeline.files import progress
    from pipeline.sample import present
    from pipeline.shards.resize import resize

    dataset = open_dataset(given.dataset, given.root, dev_share=0.0)
    items = dataset.items(given.split) if given.split else [i for i in dataset.items() if i.split != "train"]
    if not items:
        raise UserError(f"{dataset.where} holds no split but train; --split train scores that")
    categories = {item.meta["category"] for item in dataset.items() if "category" in item.meta}
    if given.normal is not None and categories and normal not in categories:
        held = ", ".join(map(str, sorted(categories)))
        raise UserError(f"{dataset.where} has no scan of category {normal}, which --normal names; it may be {held}")
    for item in progress(items, f"score {given.dataset}"):
        sample = dataset.read(item, present(("image", "label?"), item.files))
        if "category" in sample.meta:
            sample = replace(sample, meta=sample.meta | {"abnormal": sample.meta["category"] != normal})
        yield resize(sample, height, width)
