"""Published weights as a model directory for stages.translate or stages.evaluate; see docs/import.md:

python -m stages.import_weights --from latest_net_G.pth --method spade --out models/published/spade
"""

from pathlib import Path
from typing import Any

from pipeline.files import UserError, sha256_file
from stages.common import Arguments, parser, run


def main(given: Arguments) -> None:
    from pipeline import adopting
    from pipeline.engine.model import FILES, save_model
    from pipeline.methods import method_module
    from pipeline.nets.weights import read_weights
    from pipeline.provenance import fingerprint

    file, out = Path(given.file), Path(given.out)
    if out.exists() and not all((out / name).is_file() for name in FILES):
        raise UserError(f"{out} is there and no model directory; name a new folder with --out")
    start = tuple(given.start) if given.start else None
    told = adopting.Given(given.planes, given.upsampling, start, given.inference, given.no_dropout, given.aspp)
    adopted = adopting.adopt(given.method, read_weights(file), file.name, told)
    nets = adopting.filled(method_module(given.method), adopted, file.name)
    source = {"file": file.name, "sha256": sha256_file(file)}
    record = {
        "reads": list(adopted.reads),
        "encoder": False,
        **source,
        "assumed": adopted.assumed,
        "dropped": adopted.dropped,
    }
    params = adopted.params | {"imported": record}
    lines = describe(given.method, adopted, source)
    mark = fingerprint([given.method, params], [source["sha256"]])
    optional = [part[:-1] for part in adopted.reads if part.endswith("?")]
    save_model(out, given.method, nets, params, adopted.classes, mark, "\n".join([*lines, ""]), optional)
    print("\n".join(lines[2:]))
    if method_module(given.method).ABILITY == "segmenter":
        print(f"python -m stages.evaluate --model {out} --dataset NAME --root PATH --split val --out FILE.json")
        return
    folder = "--labels LABEL_MAPS" if "label" in adopted.reads else "--images PICTURES"
    print(f"python -m stages.translate --model {out} {folder} --out FOLDER")


def describe(method: str, adopted: Any, source: dict[str, str]) -> list[str]:
    """The model's card: what was read off, what was assumed, what was changed and what was left out."""
    from pipeline.adopting import STATISTICS

    own = adopted.params.get("segment", {}) | adopted.params[method]
    inferred = {key: value for key, value in own.items() if key not in adopted.assumed}
    lines = [f"# {method}, imported", "", f"- from {source['file']}, SHA-256 {source['sha256']}"]
    lines += [f"- read off its weights: {_listed(inferred)}"]
    lines += [f"- given, or as published: {_listed(adopted.assumed)}"] if adopted.assumed else []
    lines += [f"- {note}" for note in adopted.notes]
    lines += [
        f"- every key is used but {len(adopted.dropped)}, {STATISTICS}:" if adopted.dropped else "- every key is used"
    ]
    return lines + [f"  - {key}" for key in adopted.dropped]


def _listed(options: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in options.items())


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("--from", dest="file", required=True, help="a net's .pth or .safetensors file")
    made.add_argument(
        "--method", required=True, choices=("cyclegan", "cut", "pix2pix", "spade", "pix2pixhd", "adaptsegnet")
    )
    made.add_argument("--out", required=True, help="model directory to write")
    made.add_argument(
        "--planes", help="what a net reads, such as 182+dont_care+edges; default: by their number, as published"
    )
    made.add_argument(
        "--upsampling", choices=("fewer", "normal", "more"), help="spade; default: more for Cityscapes, else normal"
    )
    made.add_argument(
        "--start", nargs=2, type=int, metavar=("HEIGHT", "WIDTH"), help="spade: what a style becomes at first"
    )
    made.add_argument("--inference", choices=("as_trained", "running_statistics"), help="pix2pix; default: as_trained")
    made.add_argument("--no-dropout", action="store_true", default=None, help="pix2pix: trained without")
    made.add_argument("--aspp", choices=("all", "first_two"), help="adaptsegnet: dilated convolutions that are summed")
    run(main, made)
