"""Compare a translator's pictures with the exact ones that the simulator rendered: python -m stages.exactness spigan 0"""

from pathlib import Path

from pipeline.params import block, load
from stages.common import Arguments, parser, run
from stages.measure import MeasureSettings


def main(given: Arguments) -> None:
    from pipeline.files import write_json
    from pipeline.judging import exactness
    from pipeline.shards.index import ShardSet

    settings = block(load(), "measure", MeasureSettings)
    translated = ShardSet.open(f"data/translated/{given.translator}/{given.seed}")
    perfect = ShardSet.open(f"data/translated/perfect_translation/{given.seed}")
    figures = exactness(translated, perfect, settings.network, settings.network_file, settings.pictures)
    write_json(
        Path(f"results/exactness/{given.translator}/{given.seed}.json"),
        {"translator": given.translator, "seed": given.seed, **figures},
    )


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("translator")
    made.add_argument("seed", type=int)
    run(main, made)
