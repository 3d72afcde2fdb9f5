"""Farneback optical flow over every sequence of a data set: python -m stages.optical_flow world_sequences"""

from pathlib import Path

from pipeline.params import block, load
from stages.common import Arguments, parser, run


def main(given: Arguments) -> None:
    from pipeline.flow import FlowSettings, flow_of_sequences

    settings = block(load(), "flow", FlowSettings)
    report = flow_of_sequences(Path("data/raw") / given.name, Path("data/flow") / given.name, settings, workers=2)
    print(f"{report['pairs']} pairs; mean end-point error {report['end_point_error']}")


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("name", help="folder in data/raw")
    run(main, made)
