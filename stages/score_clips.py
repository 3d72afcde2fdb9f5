"""Clips, for stages.score: those of the graph, and any in a known layout."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.files import UserError
from stages.common import Arguments

LAYOUTS, OPTIONS = ("ucsd_ped", "sequences"), ("clips",)
SHOWN = ("auc_frame", "eer_frame", "auc_pixel", "auc_frame_per_video")


def score_set(model: Any, folder: Path) -> tuple[str, dict[str, Any], float]:
    """The split of the graph's test clips, their figures, and the seconds it took; a sheet a clip lies below `folder`."""
    from pipeline.clip_scoring import figures, judge_clips, keep
    from pipeline.clip_sheets import sheet
    from pipeline.files import encode_jpeg, progress, write_atomic
    from pipeline.shards.index import ShardSet

    test, began = ShardSet.open("data/shards/clips_test"), time.monotonic()
    parts = [part for part in ("image", "flow", "label", "meta") if part in test.parts]
    samples = (test.read(i, parts) for i in progress(range(len(test)), f"score {model.name}"))
    kept = []
    for clip in judge_clips(model, samples):
        kept.append(keep(clip))
        write_atomic(folder / "sheets" / f"{clip.name}.jpg", encode_jpeg(sheet(model, clip, test), 88))
    return test.split, figures(kept), time.monotonic() - began


def score_data(model: Any, given: Arguments) -> tuple[str, dict[str, Any]]:
    """What is said of the chosen test clips of any data set, and their figures."""
    from pipeline.clip_scoring import figures, judge_clips, keep

    found = figures([keep(clip) for clip in judge_clips(model, read_clips(model, given))])
    return f"{found['frames']} frames of {found['clips']} clips", found


def read_clips(model: Any, given: Arguments) -> Iterator[Any]:
    """The samples of the chosen clips (of UCSD's, of the test), made as the shards were that the model was trained on."""
    from pipeline.clips import as_clips, masks, moments, moving
    from pipeline.datasets import open_dataset
    from pipeline.farneback import FlowSettings
    from pipeline.files import progress
    from pipeline.shards.resize import resize

    dataset, drives = open_dataset(given.dataset, given.root, dev_share=0.0), given.dataset == "sequences"
    dataset = as_clips(dataset) if drives else dataset
    wanted = clip_numbers(given.clips)
    items = dataset.items(None if drives else "test")
    there = {_number(item.sequence) for item in items}
    if absent := sorted(wanted - there):
        lacking, held = (", ".join(map(str, numbers)) for numbers in (absent, sorted(there)))
        raise UserError(f"{dataset.where} has no clip {lacking}; --clips may name {held}")
    items = [item for item in items if not wanted or _number(item.sequence) in wanted]
    flow, size = FlowSettings(**model.params["flow"]), model.module.size(model)
    for moment in progress(moments(items, dataset.where), f"score {given.dataset}"):
        yield resize(moving(dataset.read, flow, masks(items), moment), *size)


def clip_numbers(text: str | None) -> set[int]:
    """ "7-12" or "1,3,7-9" as numbers; none for all. Raises UserError for anything else."""
    found: set[int] = set()
    for part in text.split(",") if text else []:
        limits = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        first, last = (int(limits[1]), int(limits[2] or limits[1])) if limits else (1, 0)
        if first > last:
            raise UserError(f"--clips {text}: write it as 7-12, or 1,3,7-9")
        found |= set(range(first, last + 1))
    return found


def _number(sequence: str) -> int:
    return int(re.sub(r"\D", "", sequence) or 0)
