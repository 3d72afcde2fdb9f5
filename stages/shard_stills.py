"""Write one set of scans or of digits as shards, without loss and at one size: python -m stages.shard_stills scans_train"""

from pathlib import Path

from pipeline.cluster import cluster_of
from pipeline.datasets.settings import DigitSettings, ScanSettings
from pipeline.params import block, load
from pipeline.shards.settings import ShardSettings
from stages.common import Arguments, parser, run

SCAN_SETS = ["scans_train", "scans_dev", "scans_judged"]
DIGIT_SETS = ["digits_train", "digits_judged"]


def main(given: Arguments) -> None:
    from pipeline.provenance import fingerprint
    from pipeline.shards.writer import write_shards
    from pipeline.stills import digit_samples, scan_samples

    params, raw = load(), Path("data/raw")
    if given.set in SCAN_SETS:
        scans = block(params, "scans", ScanSettings)
        made, size = scan_samples(scans, raw, given.set), scans.size
    else:
        digits = block(params, "digits", DigitSettings)
        made, size = digit_samples(digits, raw, given.set), digits.size
    settings = ShardSettings(samples_per_shard=1000, image_format="png", height=size, width=size)
    write_shards(
        made.make, made.items, Path("data/shards") / given.set, classes=made.classes, split=made.split,
        settings=settings, cluster=cluster_of(params), fingerprint=fingerprint([given.set, settings.model_dump()], made.digest),
    )  # fmt: skip


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("set", choices=[*SCAN_SETS, *DIGIT_SETS])
    run(main, made)
