"""Write one set of pictures as WebDataset shards with a parquet index: python -m stages.shard target_train

With --url the set is one that lies on a server already: its index is fetched, and a training streams its shards from there.
"""

from pathlib import Path

from pipeline.cluster import cluster_of
from pipeline.datasets.settings import PairSettings, SourceSettings, TargetSettings
from pipeline.params import block, load
from pipeline.shards.settings import ShardSettings
from stages.common import Arguments, parser, run

TARGET_PARTS = {
    "target_train": ("train", ("image",)),
    "target_train_labels": ("train", ("label", "instance?")),
    "target_dev": ("dev", ("image", "label", "instance?")),
    "target_val": ("val", ("image", "label", "instance?")),
}
PAIR_SPLITS = {"pairs_train": "train", "pairs_val": "val"}
SETS = ("source", *TARGET_PARTS, *PAIR_SPLITS, "sequences")


def main(given: Arguments) -> None:
    from pipeline.assemble import pair_samples, sequence_samples, source_samples, target_samples
    from pipeline.files import UserError
    from pipeline.provenance import fingerprint
    from pipeline.shards.remote import take
    from pipeline.shards.writer import write_shards

    if given.set not in SETS:
        raise UserError(f"set '{given.set}' is unknown; known are {', '.join(SETS)}")
    if given.set == "sequences" and not given.name:
        raise UserError("'sequences' needs the name of a folder in data/raw, like world_sequences")
    out = Path("data/shards") / (given.set if given.set != "sequences" else f"sequences_{given.name}")
    if given.url:
        print(f"{len(take(given.url, out)):,} samples of {given.url} are streamed by what reads {out}")
        return
    params = load()
    if given.set == "source":
        made = source_samples(block(params, "source", SourceSettings), Path("data/raw"), Path("data/fixed/source"))
    elif given.set in TARGET_PARTS:
        made = target_samples(block(params, "target", TargetSettings), Path("data/raw"), *TARGET_PARTS[given.set])
    elif given.set in PAIR_SPLITS:
        made = pair_samples(block(params, "pairs", PairSettings), Path("data/raw"), PAIR_SPLITS[given.set])
    else:
        made = sequence_samples(Path("data/raw") / given.name, Path("data/flow") / given.name)
    settings = block(params, "shard", ShardSettings)
    mark = fingerprint([given.set, given.name, settings.model_dump()], made.digest)
    write_shards(
        made.make,
        made.items,
        out,
        classes=made.classes,
        split=made.split,
        settings=settings,
        cluster=cluster_of(params),
        fingerprint=mark,
    )


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("set", help=f"one of {', '.join(SETS)}")
    made.add_argument("name", nargs="?", default="", help="of the sequences in data/raw")
    made.add_argument("--url", help="of a whole set on a server: http(s)://HOST/.../NAME")
    run(main, made)
