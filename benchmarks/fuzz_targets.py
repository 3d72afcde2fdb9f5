"""What benchmarks.fuzz feeds: a target is made in an empty folder, and is a function of bytes and what it begins with.

Of most, the first byte chooses what the rest stands for.
"""

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import fuzz_seeds as seeds
from pipeline import bring, planes
from pipeline.datasets import open_dataset, rows, source, synthia
from pipeline.datasets.flow_pairs import decode_flo
from pipeline.files import decode_image, read_json, sha256_file
from pipeline.sample import KEYS, Sample, decode
from pipeline.shards.index import ShardSet, _index
from pipeline.shards.layout import SCHEMA, set_digest
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards

Function = Callable[[bytes], object]
LOSSLESS = ShardSettings(image_format="png")
Made = tuple[Function, list[bytes]]

DECODERS: list[Callable[[bytes, str], Any]] = [
    planes.plane8, planes.mask, planes.instance16, planes.depth, planes.flow, synthia.raw16_instance,
    *synthia.decoders(synthia.SynthiaOptions(table="seqs", labels="parsed_ids")).values(),
]  # fmt: skip


def numbered(choices: int, data: list[bytes]) -> list[bytes]:
    """Every seed for every choice of the first byte."""
    return [bytes([choice]) + one for choice in range(choices) for one in data]


def picture(folder: Path) -> Made:
    kinds = ("rgb", "gray", "unchanged")

    def function(data: bytes) -> object:
        choice = data[0] if data else 0
        return decode_image(seeds.mended_png(data[1:]), "a.png", kind=kinds[choice % 3], upright=choice > 127)  # type: ignore[arg-type]

    return function, numbered(3, seeds.pictures())


def plane(folder: Path) -> Made:
    def function(data: bytes) -> object:
        return DECODERS[data[0] % len(DECODERS)](seeds.mended_png(data[1:]), "a.png") if data else None

    return function, numbered(len(DECODERS), seeds.pictures())


def sample(folder: Path) -> Made:
    def function(data: bytes) -> object:
        extension = KEYS[data[0] % len(KEYS)] if data else KEYS[0]
        return decode("a", {extension: seeds.mended_png(data[1:])})

    return function, numbered(len(KEYS), [*seeds.pictures()[:5], b'{"frame": 1}'])


def flo(folder: Path) -> Made:
    return partial(decode_flo, where="a.flo"), [b"PIEH" + np.array([2, 1], "<i4").tobytes() + bytes(16)]


def reader(layout: str, folder: Path) -> Made:
    """One file of a set in this layout is what came; all of it is opened and read."""
    world = seeds.worlds()[layout]
    names = sorted(world)

    def function(data: bytes) -> None:
        _fresh(folder)
        hostile = names[data[0] % len(names)] if data else names[0]
        for name, content in (world | {hostile: seeds.mended_png(data[1:])}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        dataset = open_dataset(layout, folder, **seeds.LAYOUT_OPTIONS.get(layout, {}))
        dataset.check()
        for item in dataset.all_items[:8]:
            dataset.read(item, [part for part in item.files if part in dataset.read.decoders])

    return function, [bytes([at]) + world[name] for at, name in enumerate(names)]


def archive(ending: str, folder: Path) -> Made:
    """`make data` of a tar or zip in every layout that needs no option."""
    worlds = {name: world for name, world in seeds.worlds().items() if name not in seeds.LAYOUT_OPTIONS}
    layouts, pack = sorted(worlds), seeds.tar if ending == ".tar" else seeds.zipped
    params = read_params()
    bring.RAW = folder / "raw"

    def function(data: bytes) -> object:
        _fresh(folder)
        (folder / f"a{ending}").write_bytes(seeds.mended_tar(data[1:]) if ending == ".tar" else data[1:])
        return bring.bring(layouts[data[0] % len(layouts)] if data else "folder", folder / f"a{ending}", params)

    return function, [bytes([at]) + pack(worlds[name]) for at, name in enumerate(layouts)]


def _fresh(folder: Path) -> None:
    """An empty folder, and nothing kept of the files that were there."""
    rows._kept.cache_clear()
    source._open_zip.cache_clear()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


# -- shards -------------------------------------------------------------------------------------------------------


def written(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A set of two samples; its description, its rows."""
    grey, flow = seeds.GREY, (np.zeros((3, 4, 2), np.float32), np.ones((3, 4), bool))

    def make(i: int) -> Sample:
        parts: dict[str, Any] = {"image": seeds.RGB, "label": grey, "depth": grey.astype(np.float32), "flow": flow}
        return Sample(f"a{i}", **parts, meta={"sequence": "a", "frame": i})

    write_shards(make, range(2), folder / "set", classes="cityscapes19", split="train", settings=LOSSLESS)
    return json.loads((folder / "set/set.json").read_text()), pq.read_table(folder / "set/index.parquet").to_pylist()


def use(path: Path) -> None:
    opened = ShardSet.open(path)
    opened.histograms()
    assert isinstance(opened.parts, tuple)
    for i in range(min(len(opened), 4)):
        opened.read(i)
    opened.verify()


def set_json(folder: Path) -> Made:
    description, _ = written(folder)

    def function(data: bytes) -> None:
        (folder / "set/set.json").write_bytes(data)
        use(folder / "set")

    return function, [json.dumps(description).encode()]


def described(folder: Path, description: dict[str, Any]) -> None:
    """Describe an index as its maker would, and use the set."""
    index = folder / "set/index.parquet"
    found = _index(index, sum(shard["bytes"] for shard in description["shards"]))
    digest = set_digest(one.as_py() for one in found["digest"])
    vouched = {"index": sha256_file(index), "pictures": len(found), "digest": digest}
    (folder / "set/set.json").write_text(json.dumps(description | vouched))
    use(folder / "set")


def index(folder: Path) -> Made:
    description, _ = written(folder)
    start = (folder / "set/index.parquet").read_bytes()

    def function(data: bytes) -> None:
        (folder / "set/index.parquet").write_bytes(data)
        described(folder, description)

    return function, [start]


def members(folder: Path) -> Made:
    """Rows of any content in a sound index, whose members have the right digests where they can be read."""
    description, start = written(folder)
    shard = (folder / "set/000000.tar").read_bytes()

    def function(data: bytes) -> None:
        with suppress(
            ValueError, TypeError, AttributeError, KeyError, RecursionError, OverflowError, pa.ArrowException
        ):
            found = json.loads(data)
            for row in found:
                for part in row["members"]:
                    content = shard[part["offset"] :][: part["size"]]
                    part["sha256"] = hashlib.sha256(content).hexdigest()
            pq.write_table(pa.Table.from_pylist(found, SCHEMA), folder / "set/index.parquet")
            return described(folder, description)

    return function, [json.dumps(start).encode()]


# -- parameters, weights and models -------------------------------------------------------------------------------


def read_params() -> dict[str, Any]:
    from pipeline.params import read_yaml

    return read_yaml(Path(__file__).parents[1] / "presets/default.yaml")


def blocks() -> Iterator[bytes]:
    """Every block of the default parameters by itself."""
    from pipeline.engine.model import _yaml

    for name, value in read_params().items():
        yield _yaml({name: value}).encode()


def yaml(folder: Path) -> Made:
    """Blocks of parameters, each as its model."""
    from pipeline.params import block, load
    from stages.validate import models

    known, path = models(), folder / "params.yaml"

    def function(data: bytes) -> None:
        path.write_bytes(data)
        params = load(path)
        for name in known.keys() & params.keys():
            block(params, name, known[name])

    return function, [*blocks(), b"a: &a [1, 2]\nb: *a\nc: !!python/object:os.system {}\nd: 2001-01-01\n"]


def json_file(folder: Path) -> Made:
    def function(data: bytes) -> object:
        (folder / "a.json").write_bytes(data)
        return read_json(folder / "a.json")

    return function, [b'{"a": [1, 2.5e-7, null, "\\u00e4"]}']


def adopt(path: Path, method: str) -> None:
    """A weights file as `stages.import_weights` takes it, up to the nets."""
    from pipeline import adopting
    from pipeline.methods import method_module
    from pipeline.nets.weights import read_weights

    adopted = adopting.adopt(method, read_weights(path), path.name, adopting.Given())
    adopting.filled(method_module(method), adopted, path.name)


def published() -> dict[str, Any]:
    from pipeline.nets.resnet_generator import ResnetGenerator
    from pipeline.nets.unet import UNetGenerator

    return {"cyclegan": ResnetGenerator(2, 1).state_dict(), "pix2pix": UNetGenerator(5, 1).state_dict()}


def safetensors(folder: Path) -> Made:
    from safetensors.torch import save

    nets = published()
    methods = list(nets)

    def function(data: bytes) -> None:
        (folder / "a.safetensors").write_bytes(data[1:])
        adopt(folder / "a.safetensors", methods[data[0] % len(methods)] if data else methods[0])

    return function, [bytes([at]) + save(nets[method]) for at, method in enumerate(methods)]


def pth(folder: Path) -> Made:
    """A whole .pth (first byte even), or the pickle inside a sound one (odd)."""
    import torch

    state, stored = published()["cyclegan"], io.BytesIO()
    torch.save(state, stored)
    with zipfile.ZipFile(io.BytesIO(stored.getvalue())) as sound:
        inner = {name: sound.read(name) for name in sound.namelist()}
    (pickled,) = (name for name in inner if name.endswith("data.pkl"))

    def function(data: bytes) -> None:
        whole = data[1:] if not data or data[0] % 2 == 0 else seeds.zipped(inner | {pickled: data[1:]})
        (folder / "a.pth").write_bytes(whole)
        adopt(folder / "a.pth", "cyclegan")

    return function, [b"\0" + stored.getvalue(), b"\1" + inner[pickled]]


def model(folder: Path) -> Made:
    """A model directory of which one file is what came."""
    from pipeline.engine.model import FILES, load_model, save_model
    from pipeline.methods import method_module

    own = {"generator_width": 2, "generator_blocks": 1, "upsampling": "transposed"}
    params = {"cyclegan": own, "imported": {"reads": ["image"], "encoder": False}}
    nets = method_module("cyclegan").exported(params, 19)
    save_model(folder / "sound", "cyclegan", nets, params, "cityscapes19", "0" * 64, "# card\n")

    def function(data: bytes) -> None:
        shutil.rmtree(folder / "model", ignore_errors=True)
        shutil.copytree(folder / "sound", folder / "model")
        (folder / "model" / FILES[data[0] % 3 if data else 0]).write_bytes(data[1:])
        load_model(folder / "model", "cpu")

    return function, [bytes([at]) + (folder / "sound" / FILES[at]).read_bytes() for at in range(3)]


TARGETS: dict[str, Callable[[Path], Made]] = {
    "picture": picture, "plane": plane, "sample": sample, "flo": flo,
    **{f"reader_{layout}": partial(reader, layout) for layout in seeds.worlds()},
    "tar": partial(archive, ".tar"), "zip": partial(archive, ".zip"),
    "set_json": set_json, "index": index, "members": members, "yaml": yaml, "json": json_file,
    "safetensors": safetensors, "pth": pth, "model": model,
}  # fmt: skip
