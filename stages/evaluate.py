"""Score a segmenter: a cell of the table, as a stage, or any model on any supported data set:

python -m stages.evaluate source_only spigan 0
python -m stages.evaluate --model DIR --dataset NAME --root PATH --split SPLIT --out FILE.json
"""

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.engine.settings import DeviceSettings
from pipeline.files import UserError
from pipeline.params import Parameters, block, load
from stages.common import Arguments, check_out, parser, run


class EvaluateSettings(Parameters):
    """On which split the table stands; settings are chosen on dev alone."""

    split: Literal["dev", "val"] = "val"
    gallery: Annotated[int, Field(ge=0)] = 8  # predictions kept for the report


def main(given: Arguments) -> None:
    if given.model:
        evaluate_model(given)
    elif None in (given.segmenter, given.translator, given.seed):
        raise UserError("name a segmenter, a translator and a seed, or --model, --dataset, --root, --split and --out")
    else:
        evaluate_cell(given.segmenter, given.translator, given.seed, load())


def evaluate_cell(segmenter: str, translator: str, seed: int, params: dict[str, Any]) -> None:
    """The stage: scores.json, what DVC shows as metrics, and some predictions for the gallery."""
    from pipeline.cluster import cluster_of
    from pipeline.datasets.settings import TargetSettings
    from pipeline.engine.model import load_model
    from pipeline.files import atomic_dir, encode_png, write_atomic, write_json
    from pipeline.methods import is_adversarial, method_module
    from pipeline.scoring import predictor
    from pipeline.shards.index import ShardSet
    from pipeline.sharing import launch_ranks

    settings, target = block(params, "evaluate", EvaluateSettings), block(params, "target", TargetSettings)
    val = ShardSet.open(f"data/shards/target_{settings.split}")
    device, threads = block(params, "device", DeviceSettings), cluster_of(params).workers
    shared, cell = launch_ranks(device), f"{segmenter}/{translator}/{seed}"
    model = load_model(f"models/segmenters/{cell}", device.accelerator)
    predict_one = predictor(model, val.classes)
    scored = partial(score_set, val=val, threads=threads, shared=shared)
    row = {
        "translator": translator, "segmenter": segmenter, "seed": seed, "dataset": target.name, "split": settings.split,
        **scored(predict_one, f"evaluate {settings.split}"), "uses_target_labels": any(method_module(name).USES_TARGET_LABELS for name in (segmenter, translator)),
    }  # fmt: skip
    if is_adversarial(segmenter):
        row["snapshots"] = score_snapshots(cell, val.classes, scored, device.accelerator, row["miou"])
    if shared.rank:
        return
    with atomic_dir(Path(f"results/evaluate/{cell}")) as folder:
        write_json(folder / "scores.json", row)
        kept = min(settings.gallery, len(val))
        for place in range(kept):  # evenly spaced: the neighbours in a drive are nearly the same picture
            i = (2 * place + 1) * len(val) // (2 * kept)
            sample = val.read(i, ("image",))
            assert sample.image is not None
            write_atomic(folder / "predictions" / f"{sample.key}.png", encode_png(predict_one(sample.image)))
    shown = {name: round(row[name], 4) for name in ("miou", "miou16", "pixel_accuracy") if row[name] is not None}
    write_json(Path(f"results/metrics/{cell}.json"), shown)


def score_set(predict_one: Any, label: str, val: Any, threads: int, shared: Any) -> dict[str, Any]:
    """Scores over a set of shards, of which each rank takes its part; pictures are decoded in threads beside the net."""
    from pipeline.cluster import in_threads
    from pipeline.files import progress
    from pipeline.scoring import score

    mine = range(shared.rank, len(val), shared.world)
    with closing(in_threads(partial(val.read, parts=("image", "label")), progress(mine, label), threads)) as samples:
        return score(predict_one, samples, val.classes, shared)


def score_snapshots(cell: str, classes: str, scored: Any, accelerator: str, final: float) -> dict[str, list[float]]:
    """steps and miou of a training's last snapshots; the last of them is the model, whose miou is `final`."""
    from pipeline.engine.model import load_model, load_weights
    from pipeline.engine.snapshots import read_snapshots
    from pipeline.scoring import predictor

    model = load_model(f"models/segmenters/{cell}", accelerator)
    predict_one, files = predictor(model, classes), read_snapshots(Path(f"models/snapshots/{cell}"))
    found = []
    for file in list(files.values())[:-1]:
        load_weights(model.nets, file)
        found.append(scored(predict_one, f"evaluate snapshot {file.stem}")["miou"])
    return {"steps": list(files), "miou": [*found, final]}


def evaluate_model(given: Arguments) -> None:
    """Any trained segmenter on any supported data set."""
    from pipeline.cluster import in_threads
    from pipeline.datasets import open_dataset
    from pipeline.engine.model import load_model
    from pipeline.files import progress, write_json
    from pipeline.scoring import predictor, score

    missing = [name for name in ("dataset", "root", "split", "out") if not getattr(given, name)]
    if missing:
        raise UserError(f"--model needs also {', '.join('--' + name for name in missing)}")
    check_out(given.out)
    model = load_model(given.model)
    if model.module.ABILITY != "segmenter":
        raise UserError(f"{given.model} is a {model.module.ABILITY} ({model.name}); it cannot be scored as a segmenter")
    dataset = open_dataset(
        given.dataset, given.root, **({"dev_share": 0.0} if given.split != "dev" else {}) | _options(given.option)
    )
    dataset.check(("image", "label"), given.split)
    items = dataset.items(given.split)
    read, shown = partial(dataset.read, parts=("image", "label")), progress(items, f"evaluate {given.dataset}")
    with closing(in_threads(read, shown, 2)) as samples:
        result = score(predictor(model, dataset.classes), samples, dataset.classes)
    order = (
        "pictures",
        "protocol",
        "miou",
        "miou19",
        "miou16",
        "miou13",
        "miou7",
        "pixel_accuracy",
        "iou",
        "protocols",
        "confusion",
    )
    write_json(given.out, {"dataset": given.dataset, "split": given.split, **{name: result[name] for name in order}})
    print(
        f"{given.dataset} {given.split}: mIoU {result['miou']:.4f} over {result['pictures']} pictures; see {given.out}"
    )


def _options(pairs: list[str]) -> dict[str, Any]:
    """--option table=seqs dev_share=0.2 as a dict, numbers as numbers."""
    from ruamel.yaml import YAML, YAMLError

    out = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"--option {pair}: write it as name=value")
        try:
            out[name] = YAML(typ="safe", pure=True).load(value)
        except YAMLError:
            raise UserError(f"--option {pair}: {value} is no YAML value; quote it, as in {name}='\"...\"'") from None
    return out


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("segmenter", nargs="?")
    made.add_argument("translator", nargs="?")
    made.add_argument("seed", nargs="?", type=int)
    made.add_argument("--model", help="model directory of a segmenter")
    made.add_argument("--dataset", help="synthia, cityscapes, kitti, vistas, camvid, idd_lite or folder")
    made.add_argument("--root", help="folder or archive with the data set")
    made.add_argument("--split", help="train, dev, val or test")
    made.add_argument("--out", help="JSON file to write")
    made.add_argument("--option", nargs="*", default=[], help="options of the data set, as name=value")
    run(main, made)
