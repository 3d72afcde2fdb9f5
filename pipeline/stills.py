"""Single pictures with a category each: scans, of which some are normal, and digits, whose codes are learnt."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipeline.assemble import Made, mark
from pipeline.datasets import Dataset, Item, open_dataset
from pipeline.datasets.settings import DigitSettings, ScanSettings
from pipeline.files import UserError, digest
from pipeline.sample import present


def scan_samples(scans: ScanSettings, raw: Path, name: str) -> Made[Item]:
    """The set `scans_train`, `scans_dev` or `scans_judged`: normal scans to learn from, scans of both kinds to choose
    settings on, and those that are judged; where that is dev (scans.judged), they are those of `scans_dev` once more.

    The meta of each says whether it is `abnormal`. Raises UserError where categories or one of the two kinds are missing.
    """
    dataset = open_dataset(scans.layout, raw / scans.name, **scans.options())
    if name == "scans_judged" and scans.judged != "dev":
        return _made(dataset, told(dataset.items(scans.judged), scans.normal, dataset.where), scans.judged)
    items = told(dataset.items("train"), scans.normal, dataset.where)
    normal = [item for item in items if not item.meta["abnormal"]]
    if len(normal) < 2:
        held = sorted({item.meta["category"] for item in items})
        raise UserError(
            f"{dataset.where} has {len(normal)} pictures of category {scans.normal} in train, which holds the categories "
            f"{', '.join(map(str, held[:20]))}; set scans.normal"
        )
    count = min(max(1, int(len(normal) * scans.held_out + 0.5)), len(normal) - 1)
    if name == "scans_train":
        return _made(dataset, normal[:-count], "train")
    return _made(dataset, [*normal[-count:], *(item for item in items if item.meta["abnormal"])], "dev")


def digit_samples(digits: DigitSettings, raw: Path, name: str) -> Made[Item]:
    """The set `digits_train` or `digits_judged`."""
    dataset = open_dataset(digits.layout, raw / digits.name, **digits.options())
    split = digits.judged if name == "digits_judged" else "train"
    return _made(dataset, dataset.items(split), split)


def told(items: Sequence[Item], normal: int, where: str) -> list[Item]:
    """The items, `abnormal` in the meta of each. Raises UserError where some have no category."""
    if unknown := [item.key for item in items if "category" not in item.meta]:
        raise UserError(f"{where}: {unknown[0]} has no category ({len(unknown)} in all); scans need their labels")
    return [_abnormal(item, item.meta["category"] != normal) for item in items]


def _abnormal(item: Item, found: bool) -> Item:
    return replace(item, meta={**item.meta, "abnormal": found})


def _made(dataset: Dataset, items: Sequence[Item], split: str) -> Made[Item]:
    parts = tuple(present(("image", "label?"), set.intersection(*(set(item.files) for item in items))))
    own = digest([mark(items), parts])
    return Made(partial(dataset.read, parts=parts), items, dataset.classes, split, own)
