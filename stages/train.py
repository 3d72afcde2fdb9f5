"""Train a translator, a scorer or a sampler: python -m stages.train spigan 0"""

from pathlib import Path

from pipeline.params import load
from stages.common import Arguments, parser, run


def main(given: Arguments) -> None:
    from pipeline.engine.session import run_training
    from stages.inputs import method_with, open_sets

    name, seed = given.method, given.seed
    module = method_with(["translator", "scorer", "sampler"], name)
    sets = open_sets(module.DOMAINS | getattr(module, "HELD_OUT", {}), Path("data/shards/source"))
    results = Path("results")
    run_training(
        name, seed, load(), sets,
        stage=f"train_{name}@{seed}", out=Path(f"models/{module.ABILITY}s/{name}/{seed}"),
        curves=results / f"train/{name}/{seed}/curves.json", cost=results / f"costs/train/{name}/{seed}.json",
    )  # fmt: skip


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("method", help="a file of pipeline/methods whose ability is translator, scorer or sampler")
    made.add_argument("seed", type=int)
    run(main, made)
