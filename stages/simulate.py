"""Render one part of the embedded world in a published layout: python -m stages.simulate source"""

from pathlib import Path

from pipeline.cluster import cluster_of
from pipeline.params import block, load
from pipeline.world.settings import WorldSettings
from stages.common import Arguments, parser, run


def main(given: Arguments) -> None:
    from pipeline.world.writers import write_part

    params, out = load(), Path("data/raw") / f"world_{given.part}"
    write_part(given.part, out, block(params, "world", WorldSettings), cluster_of(params))


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("part", help="source, target, perfect, sequences, night, anomaly, scans or digits")
    run(main, made)
