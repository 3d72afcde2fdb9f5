"""Score a method that looks for anomalies, as a stage, or any such model on any clips in a known layout:

python -m stages.score flow_anomaly 0
python -m stages.score --model DIR --dataset ucsd_ped --root PATH --clips 7-12 --out FILE.json
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pipeline.datasets.settings import ClipSettings
from pipeline.engine.settings import DeviceSettings
from pipeline.files import UserError
from pipeline.params import block, load
from stages.common import Arguments, parser, run

SHOWN = ("auc_frame", "eer_frame", "auc_pixel", "auc_frame_per_video")


def main(given: Arguments) -> None:
    if given.model:
        score_model(given)
    elif None in (given.scorer, given.seed):
        raise UserError("name a scorer and a seed, or --model, --dataset, --root and --out")
    else:
        score_cell(given.scorer, given.seed, load())


def score_cell(name: str, seed: int, params: dict[str, Any]) -> None:
    """The stage: scores.json, what DVC shows as metrics, and sheets to look at."""
    from pipeline.clip_scoring import figures, judge_clips, keep
    from pipeline.clip_sheets import sheet
    from pipeline.engine.model import load_model
    from pipeline.files import atomic_dir, encode_jpeg, progress, write_atomic, write_json
    from pipeline.shards.index import ShardSet

    test, dataset = ShardSet.open("data/shards/clips_test"), block(params, "clips", ClipSettings).name
    model = load_model(f"models/scorers/{name}/{seed}", block(params, "device", DeviceSettings).accelerator)
    parts = [part for part in ("image", "flow", "label", "meta") if part in test.parts]
    samples = (test.read(i, parts) for i in progress(range(len(test)), f"score {name}"))
    kept = []
    with atomic_dir(Path(f"results/score/{name}/{seed}")) as folder:
        for clip in judge_clips(model, samples):
            kept.append(keep(clip))
            write_atomic(folder / "sheets" / f"{clip.name}.jpg", encode_jpeg(sheet(model, clip, test), 88))
        row = {
            "scorer": name,
            "seed": seed,
            "dataset": dataset,
            "split": test.split,
            **model.module.describe(model),
            **figures(kept),
        }
        write_json(folder / "scores.json", row)
    write_json(Path(f"results/metrics/{name}/{seed}.json"), {k: round(row[k], 4) for k in SHOWN if row[k] is not None})


def score_model(given: Arguments) -> None:
    """Any trained scorer on any clips."""
    from pipeline.clip_scoring import figures, judge_clips, keep
    from pipeline.engine.model import load_model
    from pipeline.files import write_json

    if missing := [name for name in ("dataset", "root", "out") if not getattr(given, name)]:
        raise UserError(f"--model needs also {', '.join('--' + name for name in missing)}")
    model = load_model(given.model)
    if model.module.ABILITY != "scorer":
        raise UserError(f"{given.model} is a {model.module.ABILITY} ({model.name}); it scores no anomalies")
    found = figures([keep(clip) for clip in judge_clips(model, read_clips(model, given))])
    write_json(given.out, {"dataset": given.dataset, "scorer": model.name, **model.module.describe(model), **found})
    said = ", ".join(f"{name} {found[name]:.4f}" for name in SHOWN if found[name] is not None)
    print(
        f"{given.dataset}: {found['frames']} frames of {found['clips']} clips: {said or 'no labels'}; see {given.out}"
    )


def read_clips(model: Any, given: Arguments) -> Iterator[Any]:
    """The samples of the chosen test clips, made as the shards were that the model was trained on."""
    from pipeline.clips import as_clips, masks, moments, moving
    from pipeline.datasets import open_dataset
    from pipeline.farneback import FlowSettings
    from pipeline.files import progress
    from pipeline.shards.resize import resize

    layouts = get_args(ClipSettings.model_fields["layout"].annotation)
    if given.dataset not in layouts:
        raise UserError(f"--dataset {given.dataset}: clips come as {' or '.join(layouts)}")
    dataset = open_dataset(given.dataset, given.root, dev_share=0.0)
    dataset = as_clips(dataset) if given.dataset == "sequences" else dataset
    wanted = clip_numbers(given.clips)
    items = [
        item
        for item in dataset.items("test" if given.dataset == "ucsd_ped" else None)
        if not wanted or _number(item.sequence) in wanted
    ]
    if absent := sorted(wanted - {_number(item.sequence) for item in items}):
        raise UserError(f"{dataset.where} has no clip {', '.join(map(str, absent))}; see --clips")
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


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("scorer", nargs="?")
    made.add_argument("seed", nargs="?", type=int)
    made.add_argument("--model", help="model directory of a scorer")
    made.add_argument("--dataset", help="ucsd_ped or sequences")
    made.add_argument("--root", help="folder or archive with the data set")
    made.add_argument("--clips", help="numbers of test clips, such as 7-12 or 1,3; all without it")
    made.add_argument("--out", help="JSON file to write")
    run(main, made)
