"""What more training buys: SPIGAN's gain over source-only against its cost: python -m benchmarks.gain EXPERIMENT... --out NAME

EXPERIMENT is what `stages.report --compare` takes: a report folder, a DVC experiment or a git revision; each has one length
of training. Prints a line for each, and writes NAME.json and NAME.svg.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline.files import UserError, write_json
from pipeline.report.experiments import Experiment, find

Point = dict[str, Any]


def point(experiment: Experiment, translator: str) -> Point:
    """Minutes of training and translation, and points of mIoU above `none`: means over the seeds of the experiment."""
    rows = [row for row in experiment.table if row["segmenter"] == "source_only"]
    own, base = ({row["seed"]: row for row in rows if row["translator"] == name} for name in (translator, "none"))
    seeds = sorted(own.keys() & base.keys())
    if not seeds:
        raise UserError(f"{experiment.name} has no seed with both {translator} and none")
    pairs = [(own[seed], base[seed]) for seed in seeds]
    return {
        "steps": experiment.params["train"]["steps"],
        "minutes": round(fmean(a["seconds"] - b["seconds"] for a, b in pairs) / 60, 2),
        **{f"gain_{key}": fmean(a[key] - b[key] for a, b in pairs) for key in ("miou", "miou16")},
        **{key: fmean(a[key] for a, _ in pairs) for key in ("miou", "miou16", "label_preservation")},
        "seeds": seeds,
        "split": pairs[0][0]["split"],
    }


def plot(points: Sequence[Point], title: str, path: Path) -> None:
    """The gain over minutes, on a logarithmic axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for key, label in (("gain_miou", "mIoU"), ("gain_miou16", "mIoU16")):
        axes.plot([p["minutes"] for p in points], [100 * p[key] for p in points], "o-", label=label)
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks([p["minutes"] for p in points], [f"{p['minutes']:.3g}" for p in points], minor=False)
    axes.minorticks_off()
    axes.set(title=title, xlabel="minutes of training and translation", ylabel="points above source-only")
    axes.legend()
    figure.savefig(path)


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("experiments", nargs="+", metavar="EXPERIMENT")
    options.add_argument("--translator", default="spigan")
    options.add_argument("--out", required=True, type=Path, help="path without an ending")
    given = options.parse_args(arguments)
    points = sorted((point(find(name), given.translator) for name in given.experiments), key=lambda p: p["minutes"])
    for p in points:
        gains = ", ".join(f"{100 * p[f'gain_{key}']:+.1f} {key}" for key in ("miou", "miou16"))
        print(f"{p['steps']:>7} steps, {p['minutes']:6.1f} min: {gains} on {p['split']}, seeds {p['seeds']}")
    write_json(given.out.with_suffix(".json"), {"translator": given.translator, "points": points})
    plot(points, f"{given.translator} against source-only", given.out.with_suffix(".svg"))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
