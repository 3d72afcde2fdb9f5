"""Read the codes of a sampler on digits that it was not trained on, as a stage, or of any such model on any digits:

python -m stages.codes infogan 0
python -m stages.codes --model DIR --dataset idx --root PATH --out FILE.json
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.datasets.settings import DigitSettings
from pipeline.engine.settings import DeviceSettings
from pipeline.files import UserError
from pipeline.params import block, load
from stages.common import Arguments, check_out, parser, run

SHOWN = ("error", "error_many", "error_named", "information", "information_continuous")


def main(given: Arguments) -> None:
    if given.model:
        read_model(given)
    elif None in (given.sampler, given.seed):
        raise UserError("name a sampler and a seed, or --model, --dataset, --root and --out")
    else:
        read_cell(given.sampler, given.seed, load())


def read_cell(name: str, seed: int, params: dict[str, Any]) -> None:
    """The stage: scores.json, what DVC shows as metrics, and pictures to look at."""
    from pipeline.code_scoring import figures, read_digits
    from pipeline.code_sheets import sheets
    from pipeline.engine.model import load_model
    from pipeline.files import atomic_dir, encode_png, progress, write_atomic, write_json
    from pipeline.shards.index import ShardSet

    judged, dataset = ShardSet.open("data/shards/digits_judged"), block(params, "digits", DigitSettings).name
    model = load_model(f"models/samplers/{name}/{seed}", block(params, "device", DeviceSettings).accelerator)
    samples = (judged.read(i, ("image", "meta")) for i in progress(range(len(judged)), f"codes {name}"))
    found = figures(model, read_digits(model, samples, str(judged.path)))
    row = {"sampler": name, "seed": seed, "dataset": dataset, "split": judged.split, **found}
    with atomic_dir(Path(f"results/codes/{name}/{seed}")) as folder:
        for kind, sheet in sheets(model).items():
            write_atomic(folder / "pictures" / f"{kind}.png", encode_png(sheet))
        write_json(folder / "scores.json", row)
    write_json(
        Path(f"results/metrics/{name}/{seed}.json"), {k: round(found[k], 4) for k in SHOWN if found[k] is not None}
    )


def read_model(given: Arguments) -> None:
    """Any trained sampler on any digits."""
    from pipeline.code_scoring import figures, read_digits
    from pipeline.engine.model import load_model
    from pipeline.files import write_json

    if missing := [name for name in ("dataset", "root", "out") if not getattr(given, name)]:
        raise UserError(f"--model needs also {', '.join('--' + name for name in missing)}")
    check_out(given.out)
    model = load_model(given.model)
    if model.module.ABILITY != "sampler":
        raise UserError(f"{given.model} is a {model.module.ABILITY} ({model.name}); it has no codes to read")
    found = figures(model, read_digits(model, open_digits(model, given), given.root))
    row = {"dataset": given.dataset, "split": given.split, "sampler": model.name}
    write_json(given.out, {**row, **found})
    said = ", ".join(f"{name} {found[name]:.4f}" for name in SHOWN if found[name] is not None)
    print(f"{given.dataset}: {found['pictures']} pictures: {said}; see {given.out}")


def open_digits(model: Any, given: Arguments) -> Iterator[Any]:
    """The samples of a split, at the size that the model was trained with."""
    from pipeline.datasets import open_dataset
    from pipeline.files import progress
    from pipeline.shards.resize import resize

    dataset = open_dataset(given.dataset, given.root, dev_share=0.0)
    for item in progress(dataset.items(given.split), f"codes {given.dataset}"):
        yield resize(dataset.read(item, parts=("image",)), *model.params["train"]["crop"])


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("sampler", nargs="?")
    made.add_argument("seed", nargs="?", type=int)
    made.add_argument("--model", help="model directory of a sampler")
    made.add_argument("--dataset", help="idx or npz")
    made.add_argument("--root", help="folder or archive with the data set")
    made.add_argument("--split", default="test", help="test, which it is without it, or another one")
    made.add_argument("--out", help="JSON file to write")
    run(main, made)
