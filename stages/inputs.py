"""Where the sets of pictures lie that a method is trained on."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.shards.feed import Joined, ShardSource
from pipeline.shards.index import ShardSet

TARGET_TRAIN, TARGET_TRAIN_LABELS = Path("data/shards/target_train"), Path("data/shards/target_train_labels")


def open_sets(domains: Mapping[str, tuple[str, ...]], source: Path) -> dict[str, ShardSource]:
    """The shard sets of a method's domains, labelled ones first, as its classes are those of the first."""
    made: dict[str, Callable[[], ShardSource]] = {
        "source": lambda: ShardSet.open(source),
        "labelled_target": lambda: Joined(ShardSet.open(TARGET_TRAIN), ShardSet.open(TARGET_TRAIN_LABELS)),
        "target": lambda: ShardSet.open(TARGET_TRAIN),
    }
    return {domain: make() for domain, make in made.items() if domain in domains}
