"""The pictures of a run, as people can look at them: what belongs together stands side by side."""

from pathlib import Path

import numpy as np

from pipeline import files
from pipeline.classes import TABLES, ClassTable
from pipeline.shards.index import ShardSet
from pipeline.tracking.outputs import Output

PAIRS = 4  # pictures that are shown of a translated set


def pictures(output: Output) -> dict[str, bytes]:
    """File name -> content. Without its shards on the disk, a translation has none and a prediction stands alone."""
    if output.stage == "translate":
        return _translations(output)
    if output.stage == "evaluate":
        return _predictions(output)
    return {path.name: path.read_bytes() for path in output.pictures}


def _translations(output: Output) -> dict[str, bytes]:
    """source | translated."""
    source, translated = _shards("data/shards/source"), _shards(output.record.parent)
    if source is None or translated is None:
        return {}
    count = min(PAIRS, len(source), len(translated))
    places = [(2 * i + 1) * len(translated) // (2 * count) for i in range(count)]
    both = (source, translated)
    return {
        f"{source.keys[i]}.jpg": _side_by_side([shards.read(i, ("image",)).image for shards in both]) for i in places
    }


def _predictions(output: Output) -> dict[str, bytes]:
    """picture | prediction | truth; predictions are trainIds, nearly black until they are painted."""
    content = output.content()
    names = content.get("classes")
    table = next((table for table in TABLES.values() if list(table.names) == names), None)
    if table is None:
        return {path.name: path.read_bytes() for path in output.pictures}
    shards = _shards(f"data/shards/target_{content.get('split')}")
    return {f"{path.stem}.jpg": _side_by_side(_around(path, table, shards)) for path in output.pictures}


def _around(path: Path, table: ClassTable, shards: ShardSet | None) -> list[np.ndarray | None]:
    painted = table.paint(files.decode_image(path.read_bytes(), str(path), kind="gray"))
    if shards is None or path.stem not in shards.keys:
        return [painted]
    sample = shards.read(shards.keys.index(path.stem), ("image", "label"))
    truth = None if sample.label is None else TABLES[shards.classes].paint(sample.label)
    return [sample.image, painted, truth]


def _side_by_side(row: list[np.ndarray | None]) -> bytes:
    """One JPEG; what has another height (a set that was resized) is left out."""
    shown = [picture for picture in row if picture is not None]
    return files.encode_jpeg(np.hstack([picture for picture in shown if len(picture) == len(shown[0])]))


def _shards(path: Path | str) -> ShardSet | None:
    try:
        return ShardSet.open(path)
    except files.UserError:
        return None
