"""`make doctor`: what this machine has, what params.yaml will cost on it, and what would fail, before it fails.

Nothing is run and nothing is changed. Figures are of three kinds, and each says which: measured by earlier runs in this
folder, told by the head of the preset, or computed from what is stored for a picture. What is not known is said to be.
"""

import os
import shutil
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import bring, machine, mend, presets
from pipeline.datasets import open_dataset
from pipeline.engine.settings import DeviceSettings
from pipeline.files import UserError, read_json
from pipeline.machine import Machine, gb
from pipeline.params import block, load
from pipeline.shards.settings import ShardSettings
from pipeline.tracking.outputs import Lock, cells, flatten
from pipeline.world.settings import WorldSettings

# Bytes a pixel, measured on the embedded world at 128x256 (flow: on KITTI's drives at 96x320); of shards and mended labels
PLANES = {"image": 0.30, "label": 0.07, "instance": 0.07, "depth": 0.54, "flow": 2.0}
PNG = 3.5  # times a JPEG, see docs/shards.md
MEMBER = 1024  # bytes that a tar adds to each
WORLD = {"source": 2.4, "target": 1.4, "perfect": 1.3, "sequences": 3.1, "night": 2.7, "anomaly": 0.7}  # as simulated
DRAWN = {"scans": 3800, "digits": 212}  # bytes a picture, of one size
NUMBER, HELD = 4, 16  # bytes of a stored weight; in training with its gradient and Adam's two moments
PROCESS = 0.85e9  # bytes that a training takes whatever its nets, measured on the CPU with those of presets/tiny.yaml
TRAININGS = ("train", "segment", "train_scorer", "train_sampler")
SHARDED = {  # block -> planes of a sample in its shards
    "source": ("image", "label", "instance", "depth"), "target": ("image", "label", "instance"),
    "pairs": ("image", "image"), "clips": ("image", "flow"), "scans": ("image", "label"), "digits": ("image",),
}  # fmt: skip
ASKED = {  # block -> list of its sets; the source is always read
    "target": "target_sets", "pairs": "shard_pairs", "clips": "clip_sets", "scans": "scan_sets", "digits": "digit_sets",
}  # fmt: skip

Held = dict[str, tuple[int, int]]  # method that is trained -> numbers in its model, numbers in the nets of its training


class Disk(NamedTuple):
    """What stages will write, in bytes. unknown: data sets whose pictures cannot be counted; faults: why, as a sentence."""

    simulated: float
    shards: float
    translated: float
    models: float
    unknown: list[str]
    faults: list[str]

    @property
    def all(self) -> float:
        return self.simulated + self.shards + self.translated + self.models


def main() -> int:
    try:
        params = load()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found = machine.look()
    _print("this machine", machine.describe(found))
    problems, disk, held = failures(params, found)
    _print(os.environ.get("SIM2STREET_PARAMS", "params.yaml"), which(params) | cost(params, disk, held, found))
    print("what would fail")
    for sentence in problems or ["nothing that can be seen from here"]:
        print(textwrap.fill(sentence, 118, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False))
    return int(bool(problems))


def _print(title: str, lines: dict[str, str]) -> None:
    print(title)
    for name, text in lines.items():
        print(
            textwrap.fill(text, 118, initial_indent=f"  {name:<12}", subsequent_indent=" " * 14, break_on_hyphens=False)
        )
    print()


# -- what it costs --------------------------------------------------------------------------------------------------


def which(params: dict[str, Any]) -> dict[str, str]:
    """The preset that these are, or the nearest one and what differs; with what its head says."""
    name, differing = presets.nearest(params)
    mine = flatten(params)
    others = [f"{key} {mine.get(key, 'left out')}" for key in differing[:8]]
    more = f" and {len(differing) - 8} more" if len(differing) > 8 else ""
    told = f"own; nearest is {name}, but for {', '.join(others)}{more}" if others else name
    return {"preset": told, "its head": f"({name}) {' '.join(presets.head(name))}"}


def cost(params: dict[str, Any], disk: Disk | None, held: Held, found: Machine) -> dict[str, str]:
    """Stages, disk, memory and time in words; nothing of what could not be found out."""
    if disk is None:
        return {"its cost": "not known while what is named below is wrong"}
    known = [(stage, cell) for stage, cell in cells(params) if stage not in TRAININGS or _method(cell) in held]
    trained = [_method(cell) for stage, cell in known if stage in TRAININGS]
    twice = "" if found.reflinks else ", and as much again in DVC's cache"
    lacking = (
        f"; not known: {', '.join(disk.unknown)}, whose pictures are not there to be counted" if disk.unknown else ""
    )
    numbers = max((count for _, count in held.values()), default=0) / 1e6
    peak, time = _earlier(params, trained)
    return {
        "stages": f"{len(known) + len(params['simulate']) + 2}, of which {len(trained)} train",
        "disk": f"computed: {gb(disk.all)}{twice}: {gb(disk.simulated)} simulated, {gb(disk.shards)} shards, "
        f"{gb(disk.translated)} translated, {gb(disk.models)} models{lacking}",
        "memory": f"{peak}computed: at least {gb(least_memory(held))}, for nets of {numbers:.1f} M numbers; what their crops "
        "and batches take comes on top",
        "time": time,
    }


def least_memory(held: Held) -> float:
    """Bytes below which the largest training cannot be."""
    return PROCESS + HELD * max((count for _, count in held.values()), default=0)


def _method(cell: dict[str, Any]) -> str:
    return str(next(cell[kind] for kind in ("segmenter", "translator", "scorer", "sampler") if kind in cell))


def _earlier(params: dict[str, Any], trained: list[str]) -> tuple[str, str]:
    """(peak of memory, time of these trainings) as far as earlier runs in this folder tell them."""
    from pipeline.engine.session import resolve
    from pipeline.methods import method_module

    lock, now = Lock.read(params), flatten(params)
    paths = [path for kind in ("train", "segment") for path in Path("results/costs", kind).rglob("*.json")]
    rows = {row["method"]: (row, lock.maker(path)) for path in paths if (row := read_json(path))["images_per_second"]}
    rows = {name: rows[name] for name in trained if name in rows}
    if not rows:
        return "", "not known: no training of these methods has ended in this folder"
    seconds, others = 0.0, set()
    for name in (name for name in trained if name in rows):
        row, maker = rows[name]
        settings = resolve(params, module := method_module(name))[module.BLOCKS[0]]
        seconds += settings["steps"] * settings["batch"] / row["images_per_second"]
        then = lock.params(maker) if maker else {}
        others |= {key for key, value in then.items() if now.get(key) != value and not key.endswith(("steps", "lr"))}
    devices = " or ".join(sorted({row["device"] for row, _ in rows.values()}))
    missing = list(dict.fromkeys(name for name in trained if name not in rows))
    time = f"measured here, on {devices}: {seconds / 60:.1f} minutes for {sum(n in rows for n in trained)} of the trainings"
    time += f"; these were run with another {', '.join(sorted(others)[:6])}" if others else ""
    time += f"; not known: {', '.join(missing)}" if missing else ""
    return f"measured here: {gb(1e6 * max(row['peak_mb'] for row, _ in rows.values()))}; ", time


def weights(params: dict[str, Any]) -> Held:
    """How large the nets are: they are built without memory, no file is read and nothing is fetched."""
    import torch

    from pipeline.engine.session import WEIGHT_FILES, resolve
    from pipeline.methods import method_module

    listed = [name for kind in presets.SWITCHED for name, on in params[kind].items() if on]
    found = {}
    for name, module in ((name, method_module(name)) for name in listed):
        if not hasattr(module, "build"):
            continue
        resolved = resolve(params, module)
        for given in resolved.values():
            given |= dict.fromkeys(given.keys() & set(WEIGHT_FILES))
            given |= dict.fromkeys(given.keys() & {"features"}, "lite0")
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # features are not read into nets without memory
            nets = module.exported(resolved, 19), module.build(resolved, 19, 0).nets
        kept, trained = (sum(p.numel() for p in net.parameters()) for net in nets)
        found[name] = kept, trained
    return found


def disk_of(params: dict[str, Any], held: Held) -> Disk:
    """What all stages write, but for results and pictures of the report, which are small."""
    from stages import validate

    settings: dict[str, Any] = {**validate.models()}
    world, shard = block(params, "world", WorldSettings), block(params, "shard", ShardSettings)
    made, area = params["simulate"], world.size[0] * world.size[1]
    simulated = sum(_drawn(world, part) * (WORLD[part] * area if part in WORLD else DRAWN[part]) for part in made)
    shards, source, unknown, faults = 0.0, 0.0, [], []
    for name in SHARDED:
        if name in ASKED and not params[ASKED[name]]:
            continue
        given = block(params, name, settings[name])
        try:
            counted = _counted(name, given, world, made)
        except UserError as error:
            counted = None
            faults.append(str(error))
        if counted is None:
            unknown.append(given.name)
            continue
        pictures, pixels = counted
        if name in ("scans", "digits"):
            pixels = given.size**2
        elif shard.height and shard.width:
            pixels = shard.height * shard.width
        planes = PLANES | ({"image": PLANES["image"] * PNG} if shard.image_format == "png" else {})
        one = sum(planes[part] * pixels + MEMBER for part in SHARDED[name])
        shards += pictures * one
        if name == "source":
            source = pictures * one
            shards += pictures * pixels * sum(PLANES[part] for part in SHARDED[name][1:])  # data/fixed
    drives = 2 * world.sequences.count * world.sequences.length if "world_sequences" in params["sequences"] else 0
    shards += drives * area * (PLANES["image"] + 4 * PLANES["flow"])  # both ways, in data/flow and in shards
    unknown += [name for name in params["sequences"] if name != "world_sequences"]
    translated = source * sum(len(seeds) for seeds in params["translators"].values())
    models = sum(
        NUMBER * held[_method(cell)][0] for stage, cell in cells(params) if stage in TRAININGS and _method(cell) in held
    )
    return Disk(simulated, shards, translated, models, unknown, faults)


def _drawn(world: WorldSettings, part: str) -> int:
    """Frames, pairs or pictures of a part of the world."""
    clips, scans = world.anomaly, world.scans
    return {
        "source": world.source, "perfect": world.source, "target": world.target_train + world.target_val,
        "sequences": 2 * world.sequences.count * world.sequences.length, "night": world.night,
        "anomaly": (clips.train + clips.test) * clips.length, "scans": scans.train + scans.abnormal + scans.test,
        "digits": 1797 * world.digits.copies,
    }[part]  # fmt: skip


def _counted(name: str, given: Any, world: WorldSettings, made: list[str]) -> tuple[int, int] | None:
    """(pictures, pixels of the first) of a data set that will be simulated, is in data/raw or in SIM2STREET_DATA; None where it is
    in neither. Raises UserError where it is not what params.yaml says."""
    part = given.name.removeprefix("world_")
    if part in made and part != given.name:
        return _drawn(world, part), world.size[0] * world.size[1]
    root = bring.place(given.name)
    if root is None:
        return None
    layout = "pairs" if name == "pairs" else given.layout
    dataset = open_dataset(layout, root, **given.options())
    first = dataset.read(dataset.all_items[0], ("image",)).image
    assert first is not None
    return len(dataset.all_items), first.shape[0] * first.shape[1]


# -- what would fail ------------------------------------------------------------------------------------------------


def failures(params: dict[str, Any], found: Machine) -> tuple[list[str], Disk | None, Held]:
    """(a sentence for all that would fail, what is written to the disk, numbers in the nets); None and {} where the
    parameters are too wrong to tell."""
    from stages.validate import check, check_files

    sentences = list(_tools())
    if not found.torch_loads:
        return [*sentences, f"torch cannot be loaded ({found.torch}); make setup installs the locked one"], None, {}
    if wrong := check(params):
        return [*sentences, *wrong], None, {}
    sentences += check_files(params)
    device = block(params, "device", DeviceSettings)
    try:
        held = weights(params)
    except UserError as error:  # of a net that cannot be what its parameters say
        return [*sentences, str(error)], None, {}
    disk = disk_of(params, held)
    return (
        [*sentences, *disk.faults, *_device(device, found), *_room(params, disk, found), *_memory(device, held, found)],
        disk,
        held,
    )


def _tools() -> Iterator[str]:
    """Programs, ports and other runs of this folder."""
    if shutil.which("dvc") is None:
        yield "dvc is not on the PATH, and the stages run with the python of the PATH; source .venv/bin/activate, or use make"
    if shutil.which("git") is None:
        yield "git is not on the PATH, so dvc exp run cannot keep experiments; install git"
    if busy := mend.at_work():
        yield f"{busy} is at work in this folder; wait for it or end it"
    elif mend.locked():
        yield f"another DVC command holds {mend.DVC_LOCK} in this folder; wait for it or end it"
    try:
        from pipeline.tracking.__main__ import free_port

        free_port()
    except UserError as error:
        yield f"make mlflow: {error}"


def _device(device: DeviceSettings, found: Machine) -> Iterator[str]:
    """What is asked of the device and is not there."""
    if device.accelerator == "cuda" and not found.gpus:
        yield "params.yaml: device.accelerator is 'cuda', but torch sees no CUDA device; use 'auto' or 'cpu'"
    elif device.accelerator == "mps" and sys.platform != "darwin":
        yield "params.yaml: device.accelerator is 'mps', which only Apple's computers have; use 'auto' or 'cpu'"
    elif _on_gpu(device, found) and device.devices > len(found.gpus):
        yield (
            f"params.yaml: device.devices is {device.devices}, but torch sees {len(found.gpus)} GPU; set it to that or less"
        )
    if device.precision == "bf16-mixed" and _on_gpu(device, found) and not all(gpu.bf16 for gpu in found.gpus):
        yield "params.yaml: device.precision is bf16-mixed, which this GPU does not compute; use 'auto' or '32-true'"


def _on_gpu(device: DeviceSettings, found: Machine) -> bool:
    return device.accelerator in ("auto", "cuda") and bool(found.gpus)


def _room(params: dict[str, Any], disk: Disk, found: Machine) -> Iterator[str]:
    """Whether what is still to be written fits. What lies there of earlier runs will mostly be written over."""
    there = sum(_size(Path(name)) for name in ("data/fixed", "data/flow", "data/shards", "data/translated", "models"))
    copied = sum(_size(origin) for origin in _copied(params))
    left = max(disk.all - there, 0.0)
    here = left + copied + (left if found.one_disk and not found.reflinks else 0)
    if here > found.disk:
        twice = ", twice with DVC's cache," if found.one_disk and not found.reflinks else ""
        yield (
            f"about {gb(here)} will be written here{twice} and {gb(found.disk)} are free; make room, or lower the counts "
            "under world, the seeds or the list of translators in params.yaml"
        )
    if not found.one_disk and left > found.cache_disk:
        yield (
            f"about {gb(left)} will be kept in DVC's cache, {found.cache}, and {gb(found.cache_disk)} are free there; make "
            "room, or move it: dvc cache dir --local PATH"
        )


def _copied(params: dict[str, Any]) -> Iterator[Path]:
    """Data sets that `make data` would copy from SIM2STREET_DATA, as no hard link from data/raw can lead there."""
    for name in bring.used(params):
        origin = bring.place(name)
        if origin is None or origin.is_relative_to(bring.RAW):
            continue
        if origin.stat().st_dev != Path(".").stat().st_dev:
            yield origin


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path] if path.is_file() else []
    return sum(file.stat().st_size for file in files if file.is_file())


def _memory(device: DeviceSettings, held: Held, found: Machine) -> Iterator[str]:
    """Whether the largest training can fit at all."""
    gpu = _on_gpu(device, found)
    needed = least_memory(held) - (PROCESS if gpu else 0)
    have = min((one.free for one in found.gpus), default=0) if gpu else found.available
    if held and needed > have:
        name = max(held, key=lambda name: held[name][1])
        what = "of the GPU's memory" if gpu else "of memory"
        yield (
            f"{name} takes at least {gb(needed)} {what} in training, and {gb(have)} are free; end other programs, or lower "
            f"the widths of its nets in params.yaml"
        )


if __name__ == "__main__":
    sys.exit(main())
