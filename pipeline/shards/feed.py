"""What a training step is fed with: batches in pure order, augmented on the device."""

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace

from lightning_fabric import Fabric

from pipeline.shards.augment import augment
from pipeline.shards.augment_settings import AugmentSettings
from pipeline.shards.joined import Joined, ShardSource
from pipeline.shards.loader import GlobalBatches
from pipeline.shards.order import Order

__all__ = ["Joined", "ShardFeed", "ShardSource"]


class ShardFeed:
    """Augmented global batches, this rank's slice of them; a batch has an attribute (a Batch) for each domain.

    Args:
        sets: domain -> opened set; parts: domain -> what is decoded of its samples.
        batch_size: samples of each domain in the global batch, over all ranks.
        orders: domain -> which samples stand at its positions, where those are not its epochs.
    """

    def __init__(
        self,
        sets: Mapping[str, ShardSource],
        parts: Mapping[str, Sequence[str]],
        batch_size: int,
        seed: int,
        settings: AugmentSettings,
        fabric: Fabric,
        orders: Mapping[str, Order] | None = None,
    ):
        where = {"rank": fabric.global_rank, "world": fabric.world_size}
        self.stored = GlobalBatches(sets, batch_size, seed, parts=parts, device=fabric.device, orders=orders, **where)
        self.settings, self.seed = settings, seed

    @property
    def waited(self) -> float:
        """Seconds in which training stood still for want of data."""
        return self.stored.waited

    def batches(self, start: int) -> Iterator[SimpleNamespace]:
        """The steps from `start` on, without an end."""
        for step in self.stored.batches(start):
            done = {domain: augment(batch, self.settings, self.seed) for domain, batch in step.items()}
            yield SimpleNamespace(**done)
