"""Farneback optical flow over every sequence of a data set, or its errors on pairs with a measured flow:

python -m stages.optical_flow world_sequences
python -m stages.optical_flow --pairs flow_pairs
"""

from pathlib import Path

from pipeline.cluster import cluster_of
from pipeline.params import block, load
from stages.common import Arguments, parser, run


def main(given: Arguments) -> None:
    from pipeline.farneback import FlowSettings
    from pipeline.files import atomic_dir, write_json
    from pipeline.flow import flow_of_pairs, flow_of_sequences

    params = load()
    settings = block(params, "flow", FlowSettings)
    raw, shown = Path("data/raw") / given.name, Path("results/flow") / given.name
    if given.pairs:
        with atomic_dir(shown) as folder:
            write_json(folder / "report.json", flow_of_pairs(raw, settings))
        return
    with atomic_dir(shown) as folder:  # what the report shows, apart from the vectors that are sharded
        report = flow_of_sequences(raw, Path("data/flow") / given.name, settings, cluster_of(params), folder)
    print(f"{report['pairs']} pairs; mean end-point error {report['end_point_error']}")


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("name", help="folder in data/raw")
    made.add_argument("--pairs", action="store_true", help="it holds Middlebury or KITTI pairs with true flow")
    run(main, made)
