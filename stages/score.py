"""Score a method that looks for anomalies, as a stage, or any such model on any clips or scans in a known layout:

python -m stages.score flow_anomaly 0
python -m stages.score --model DIR --dataset ucsd_ped --root PATH --clips 7-12 --out FILE.json
python -m stages.score --model DIR --dataset npz --root PATH --split test --normal 0 --out FILE.json
"""

from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.datasets.settings import ClipSettings, ScanSettings
from pipeline.engine.settings import DeviceSettings
from pipeline.files import UserError
from pipeline.params import block, load
from stages import score_clips, score_scans
from stages.common import Arguments, check_out, parser, run

KINDS = {"clips": score_clips, "scans": score_scans}  # domain of a scorer -> how what it looks at is read and judged


def main(given: Arguments) -> None:
    if given.model:
        score_model(given)
    elif None in (given.scorer, given.seed):
        raise UserError("name a scorer and a seed, or --model, --dataset, --root and --out")
    else:
        score_cell(given.scorer, given.seed, load())


def score_cell(name: str, seed: int, params: dict[str, Any]) -> None:
    """The stage: scores.json, what DVC shows as metrics, sheets to look at, and what it cost."""
    from pipeline.costs import Cost, process_peak_mb, write_cost
    from pipeline.engine.model import load_model
    from pipeline.files import atomic_dir, write_json

    model = load_model(f"models/scorers/{name}/{seed}", block(params, "device", DeviceSettings).accelerator)
    domain, kind = kind_of(model)
    data = block(params, "clips", ClipSettings) if domain == "clips" else block(params, "scans", ScanSettings)
    with atomic_dir(Path(f"results/score/{name}/{seed}")) as folder:
        split, found, seconds = kind.score_set(model, folder)
        row = {
            "scorer": name,
            "seed": seed,
            "dataset": data.name,
            "split": split,
            **model.module.describe(model),
            **found,
        }
        write_json(folder / "scores.json", row)
    shown = {key: round(row[key], 4) for key in kind.SHOWN if row[key] is not None}
    write_json(Path(f"results/metrics/{name}/{seed}.json"), shown)
    cost, device = Cost(seconds=seconds, peak_mb=process_peak_mb()), next(model.nets.parameters()).device.type
    path = Path(f"results/costs/score/{name}/{seed}.json")
    write_cost(path, f"score_{name}@{seed}", name, seed, cost, device, len(row["scores"]))


def kind_of(model: Any) -> tuple[str, ModuleType]:
    """The domain that a scorer looks at, and how that is read and judged."""
    return next((domain, kind) for domain, kind in KINDS.items() if domain in model.module.DOMAINS)


def score_model(given: Arguments) -> None:
    """Any trained scorer on any clips or scans."""
    from pipeline.engine.model import load_model
    from pipeline.files import write_json

    if missing := [name for name in ("dataset", "root", "out") if not getattr(given, name)]:
        raise UserError(f"--model needs also {', '.join('--' + name for name in missing)}")
    check_out(given.out)
    model = load_model(given.model)
    if model.module.ABILITY != "scorer":
        raise UserError(f"{given.model} is a {model.module.ABILITY} ({model.name}); it scores no anomalies")
    domain, kind = kind_of(model)
    check_options(given, f"{given.model} ({model.name})", domain, kind)
    counted, found = kind.score_data(model, given)
    write_json(given.out, {"dataset": given.dataset, "scorer": model.name, **model.module.describe(model), **found})
    said = ", ".join(f"{name} {found[name]:.4f}" for name in kind.SHOWN if found[name] is not None)
    print(f"{given.dataset}: {counted}: {said or 'no figures without labels of both kinds'}; see {given.out}")


def check_options(given: Arguments, model: str, domain: str, kind: ModuleType) -> None:
    """UserError for a layout or an option of what this model does not look at."""
    if given.dataset not in kind.LAYOUTS:
        raise UserError(
            f"{model} scores {domain}, which --dataset {given.dataset} does not hold; name {' or '.join(kind.LAYOUTS)}"
        )
    options = [name for other in KINDS.values() for name in other.OPTIONS if name not in kind.OPTIONS]
    if foreign := [f"--{name}" for name in options if getattr(given, name) is not None]:
        raise UserError(f"{model} scores {domain}, for which there is no {', '.join(foreign)}; leave that out")


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("scorer", nargs="?")
    made.add_argument("seed", nargs="?", type=int)
    made.add_argument("--model", help="model directory of a scorer")
    made.add_argument("--dataset", help="of clips ucsd_ped or sequences; of scans npz or idx")
    made.add_argument("--root", help="folder or archive with the data set")
    made.add_argument("--clips", help="numbers of test clips, such as 7-12 or 1,3; all without it")
    made.add_argument("--split", help="of scans: train, val or test; all but train without it")
    made.add_argument("--normal", type=int, help="of scans: the category that is normal; without it the model's own")
    made.add_argument("--out", help="JSON file to write")
    run(main, made)
