"""What a training starts from: its method, and the sets of pictures that it is trained on."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from pipeline.files import UserError
from pipeline.methods import method_module
from pipeline.shards.feed import Joined, ShardSource
from pipeline.shards.index import ShardSet

PAIRS_TRAIN = Path("data/shards/pairs_train")
CLIPS_TRAIN, CLIPS_HELD_OUT = Path("data/shards/clips_train"), Path("data/shards/clips_held_out")
SCANS_TRAIN, SCANS_DEV, DIGITS_TRAIN = (Path("data/shards", n) for n in ("scans_train", "scans_dev", "digits_train"))
TARGET_TRAIN, TARGET_TRAIN_LABELS = Path("data/shards/target_train"), Path("data/shards/target_train_labels")


def method_with(abilities: Sequence[str], name: str) -> ModuleType:
    """The method `name`; a UserError where it is of another kind, and so would be trained into nonsense."""
    module = method_module(name)
    if module.ABILITY not in abilities:
        raise UserError(f"method '{name}' is a {module.ABILITY}, not a {' or a '.join(abilities)}")
    return module


def open_sets(domains: Mapping[str, tuple[str, ...]], source: Path) -> dict[str, ShardSource]:
    """The shard sets of a method's domains, labelled ones first, as its classes are those of the first."""
    made: dict[str, Callable[[], ShardSource]] = {
        "source": lambda: ShardSet.open(source, stream=True),
        "labelled_target": lambda: Joined(ShardSet.open(TARGET_TRAIN), ShardSet.open(TARGET_TRAIN_LABELS)),
        "target": lambda: ShardSet.open(TARGET_TRAIN, stream=True),
        "pairs": lambda: ShardSet.open(PAIRS_TRAIN, stream=True),
        "clips": lambda: ShardSet.open(CLIPS_TRAIN, stream=True),
        "clips_held_out": lambda: ShardSet.open(CLIPS_HELD_OUT),
        "scans": lambda: ShardSet.open(SCANS_TRAIN, stream=True),
        "scans_dev": lambda: ShardSet.open(SCANS_DEV),
        "digits": lambda: ShardSet.open(DIGITS_TRAIN, stream=True),
    }
    return {domain: make() for domain, make in made.items() if domain in domains}
