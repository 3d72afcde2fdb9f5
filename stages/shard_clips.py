"""Write one set of a fixed camera's clips, with their optical flow, as shards: python -m stages.shard_clips clips_train"""

from pathlib import Path

from pipeline.cluster import cluster_of
from pipeline.datasets.settings import ClipSettings
from pipeline.farneback import FlowSettings
from pipeline.params import block, load
from pipeline.shards.settings import ShardSettings
from stages.common import Arguments, parser, run

CLIP_SPLITS = {"clips_train": "train", "clips_held_out": "val", "clips_test": "test"}


def main(given: Arguments) -> None:
    from pipeline.clips import clip_samples
    from pipeline.provenance import fingerprint
    from pipeline.shards.writer import write_shards

    params = load()
    settings = block(params, "shard", ShardSettings)
    clips, flow = block(params, "clips", ClipSettings), block(params, "flow", FlowSettings)
    made = clip_samples(clips, flow, Path("data/raw"), CLIP_SPLITS[given.set])
    write_shards(
        made.make, made.items, Path("data/shards") / given.set, classes=made.classes, split=made.split,
        settings=settings, cluster=cluster_of(params), fingerprint=fingerprint([given.set, settings.model_dump()], made.digest),
    )  # fmt: skip


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("set", choices=list(CLIP_SPLITS))
    run(main, made)
