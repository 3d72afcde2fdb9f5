"""What every reader makes: a Dataset of Items, split into train, dev and val.

A layout is a function `(source, options) -> Dataset`: it finds the files, names them, and says how each part is
decoded. Labels leave a reader as trainIds of one table of `pipeline.classes`; depth as metres; flow as pixels.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pydantic import Field, ValidationError

from pipeline.datasets.source import Source
from pipeline.files import UserError, problems
from pipeline.params import Parameters
from pipeline.sample import Sample

PICTURES = (".png", ".jpg", ".jpeg")
Decoder = Callable[[bytes, str], Any]


class Options(Parameters):
    """What every layout can be told."""

    inside: str = ""  # folder inside the root or archive, where that holds more than one data set
    dev_share: float = Field(default=0.15, ge=0, lt=1)  # of every sequence of the published train, taken from its end
    val_sequences: float = Field(default=0.0, ge=0, lt=1)  # of train's sequences, whole: val of a set that has none


class Stored(Protocol):
    """Where the bytes of a part lie: a File, or a Row of an array file. Small; `str` of it is how errors name it."""

    @property
    def path(self) -> str: ...
    @property
    def size(self) -> int: ...
    def read(self) -> bytes: ...


@dataclass(frozen=True)
class Item:
    """One picture, unread. `files` says where each part that exists lies: image, label, instance, depth, flow ..."""

    key: str  # unique in the data set; letters, digits, '_' and '-' only, so that it can name a tar member
    split: str
    sequence: str
    frame: str
    files: Mapping[str, Stored]
    meta: Mapping[str, Any] = field(default_factory=dict)  # what else is known; goes into the sample's meta


@dataclass(frozen=True)
class Reader:
    """Reads items. Small (it knows no item), so that it can be sent to other processes."""

    name: str
    classes: str
    decoders: Mapping[str, Decoder]

    def __call__(self, item: Item, parts: Iterable[str] = ("image",)) -> Sample:
        """The sample with these parts. Raises UserError for missing, damaged and contradicting files."""
        sample, sizes = Sample(item.key), {}
        meta = {"dataset": self.name, "split": item.split, "sequence": item.sequence, "frame": item.frame}
        meta |= item.meta
        for part in sorted(parts):
            file = item.files.get(part)
            if file is None or part not in self.decoders:
                raise UserError(f"{self.name}: {item.key} has no {part}; ask for {', '.join(sorted(item.files))}")
            data = file.read()
            value = self.decoders[part](data, str(file))
            setattr(sample, part, value)
            sizes[str(file)] = (value[1] if isinstance(value, tuple) else value).shape[:2]
            if part == "image":
                meta["digest"] = hashlib.sha256(data).hexdigest()
        if len(set(sizes.values())) > 1:
            lines = [f"{name} is {width} x {height}" for name, (height, width) in sizes.items()]
            raise problems(f"{self.name}: the sizes of {item.key} differ; fetch its files again:", lines)
        sample.meta = meta | {"size": list(next(iter(sizes.values()), ()))}
        return sample


@dataclass(frozen=True)
class Dataset:
    """A data set in a published layout. `read(item, parts)` gives a Sample."""

    name: str
    where: str
    classes: str  # name of a table in pipeline.classes.TABLES
    read: Reader
    all_items: Sequence[Item]
    stray: Sequence[str] = field(default=())  # label files that belong to no picture

    def items(self, split: str | None = None) -> list[Item]:
        """The items of a split (None: all) in order of sequence and frame. Raises UserError where there are none."""
        found = [item for item in self.all_items if split in (None, item.split)]
        if not found:
            counts = ", ".join(f"{name} ({count})" for name, count in self.counts().items())
            raise UserError(f"{self.name} at {self.where} has no split '{split}'; it has {counts}")
        return found

    def counts(self) -> dict[str, int]:
        """Pictures in each split."""
        names = [item.split for item in self.all_items]
        return {name: names.count(name) for name in dict.fromkeys(("train", "dev", *names)) if name in names}

    def check(self, required: Iterable[str] = ("image",), split: str | None = None) -> dict[str, Any]:
        """Counts of pictures and of parts. Raises one UserError that lists every picture without a required part."""
        items = self.items(split)
        lacking = [
            f"{item.key} has no {part} ({item.files['image']})"
            for item in items
            for part in required
            if part not in item.files
        ]
        if lacking:
            raise problems(f"{self.name} at {self.where} lacks files; fetch them or leave their pictures out:", lacking)
        parts = sorted({part for item in items for part in item.files})
        return {
            "pictures": self.counts(),
            "parts": {part: sum(part in item.files for item in items) for part in parts},
            "stray": len(self.stray),
        }


def natural(name: str) -> list[Any]:
    """Sort key under which frame 10 follows frame 9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def safe_key(*parts: str) -> str:
    """One key out of the parts of a name; what may not stand in a tar member's name becomes '_'.

    Letters of other scripts leave a digest, so that names that differ in them alone give two keys.
    """
    return "_".join(_safe(part) for part in parts if part)


def _safe(part: str) -> str:
    digest = "" if part.isascii() else hashlib.sha256(part.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", part) + digest


def make_dataset(
    name: str,
    source: Source,
    classes: str,
    decoders: Mapping[str, Decoder],
    items: Iterable[Item],
    options: Options,
    stray: Iterable[str] = (),
) -> Dataset:
    """Sort the items, take dev out of train, and refuse two pictures of one name."""
    ordered = sorted(items, key=lambda item: (item.split, natural(item.sequence), natural(item.frame), item.key))
    owners: dict[str, Item] = {}
    twice = []
    for item in ordered:
        if item.key in owners:
            twice.append(f"{item.files['image']} and {owners[item.key].files['image']} are both {item.key}")
        owners[item.key] = item
    if twice:
        raise problems(f"{source.where} holds pictures of one name; name one folder by the option 'inside':", twice)
    final = take_end(_with_val(ordered, options.val_sequences, source), options.dev_share, "dev")
    return Dataset(name, source.where, classes, Reader(name, classes, decoders), final, tuple(sorted(stray)))


def _with_val(items: Sequence[Item], share: float, source: Source) -> Sequence[Item]:
    """The last `share` of train's sequences becomes val, at least one and not all. Whole ones: a net that saw one picture
    of a drive has nearly seen the next. Raises UserError where there is a val already, and where train is one sequence."""
    if not share:
        return items
    if known := sum(item.split == "val" for item in items):
        raise UserError(
            f"{source.where} has a val ({known}) of its own, so none is made of train; leave the option 'val_sequences' at 0"
        )
    sequences = list(dict.fromkeys(item.sequence for item in items if item.split == "train"))
    if len(sequences) < 2:
        raise UserError(
            f"{source.where} has a train of {len(sequences)} sequences, so none can be held out as val; leave the option "
            "'val_sequences' at 0 and score on dev"
        )
    count = min(max(1, int(len(sequences) * share + 0.5)), len(sequences) - 1)
    last = set(sequences[len(sequences) - count :])
    return [replace(item, split="val") if item.split == "train" and item.sequence in last else item for item in items]


def take_end(items: Sequence[Item], share: float, name: str) -> list[Item]:
    """The last `share` of every sequence of train becomes the split `name`: rounded, at least one picture of two or more.

    A contiguous end and not a random choice: neighbouring frames of a drive are nearly the same picture.
    """
    sequences: dict[str, list[Item]] = {}
    for item in items:
        if item.split == "train":
            sequences.setdefault(item.sequence, []).append(item)
    end = set()
    for members in sequences.values():
        count = int(len(members) * share + 0.5)
        if share > 0 and len(members) > 1:
            count = min(max(count, 1), len(members) - 1)
        end |= {item.key for item in members[len(members) - count :]}
    return [replace(item, split=name) if item.split == "train" and item.key in end else item for item in items]


def find_folder(source: Source, *endings: str, layout: str) -> str:
    """Where the folder `.../ending` begins in the source: the text before it ('' or 'a/b/'), the same for all endings.

    Raises UserError with what was expected and found, also where there are several places.
    """
    places: set[str] = set()
    for name in source.files:
        for ending in endings:
            at = f"/{name}".find(f"/{ending}/")
            if at >= 0:
                places.add(name[:at])
    if len(places) == 1:
        return places.pop()
    if places:
        found = ", ".join(repr(place.rstrip("/")) for place in sorted(places))
        raise UserError(f"{source.where} holds {layout} in several folders ({found}); name one by the option 'inside'")
    raise wrong_layout(source, layout)


def wrong_layout(source: Source, expected: str) -> UserError:
    """The sentence for a root that does not hold what was promised."""
    found = ", ".join(source.tops()) or "no picture and no list"
    return UserError(f"{source.where} is not in the expected layout: expected {expected}, found {found}")


def parse_options(model: type[Options], name: str, options: Mapping[str, Any]) -> Any:
    """The options of a layout as its model. Raises UserError with a sentence for each mistake."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        sentences = []
        for mistake in error.errors():
            place = ".".join(str(part) for part in mistake["loc"])
            if mistake["type"] == "missing":
                sentences.append(f"option '{place}' is missing: {model.model_fields[place].description}")
            elif mistake["type"] == "extra_forbidden":
                sentences.append(f"option '{place}' is unknown; known are {', '.join(model.model_fields)}")
            else:
                text = mistake["msg"].removeprefix("Input ").removeprefix("Value error, ")
                sentences.append(f"option '{place}' is {mistake['input']!r}; it {text}")
        raise UserError(f"data set {name}: {'; '.join(sentences)}") from None
