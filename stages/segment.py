"""Train a segmenter on a translator's pictures: python -m stages.segment source_only spigan 0"""

from pathlib import Path

from pipeline.params import load
from stages.common import Arguments, parser, run


def main(given: Arguments) -> None:
    from pipeline.engine.session import run_training
    from pipeline.methods import is_adversarial
    from stages.inputs import method_with, open_sets

    name, cell = given.segmenter, f"{given.segmenter}/{given.translator}/{given.seed}"
    sets = open_sets(method_with(["segmenter"], name).DOMAINS, Path(f"data/translated/{given.translator}/{given.seed}"))
    run_training(
        name, given.seed, load(), sets,
        stage=f"segment_{name}@{given.translator}-{given.seed}", out=Path(f"models/segmenters/{cell}"),
        curves=Path(f"results/segment/{cell}/curves.json"), cost=Path(f"results/costs/segment/{cell}.json"),
        snapshots=Path(f"models/snapshots/{cell}") if is_adversarial(name) else None,
    )  # fmt: skip


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("segmenter", help="a file of pipeline/methods whose ability is segmenter")
    made.add_argument("translator")
    made.add_argument("seed", type=int)
    run(main, made)
