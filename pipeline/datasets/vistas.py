"""Mapillary Vistas, v1.2 and v2.0 (Neuhold et al., ICCV 2017), as cityscapes19 by the class names of its config.

    config.json, {training,validation,testing}/images/KEY.jpg, {training,validation}/{labels,instances}/KEY.png   (v1.x)
    config_v2.0.json, {training,validation}/v2.0/{labels,instances}/KEY.png                                       (v2.0)

Labels are PNGs with a palette whose values are places in the config's list; instances are 16-bit, id * 256 + number.
The package of v2.0 holds the labels of v1.2 too (training/v1.2): then the option `version` must say which.
"""

import json
import re
from functools import partial
from typing import Literal

import numpy as np

from pipeline import planes
from pipeline.classes import CITYSCAPES19, IGNORE
from pipeline.datasets.base import Dataset, Decoder, Item, Options, find_folder, make_dataset, safe_key, wrong_layout
from pipeline.datasets.source import Source
from pipeline.files import BAD_JSON, UserError

LAYOUT = "Mapillary Vistas (training/images/*.jpg, training/labels/*.png, config.json)"
PICTURE = re.compile(r"(training|validation|testing)/images/([^/]+)\.(?:jpg|png)")
SPLITS = {"training": "train", "validation": "val", "testing": "test"}

# Vistas name, or the beginning of one up to a '--', -> class; the longest beginning counts. What stands for void in
# Cityscapes (bridge, tunnel, guard rail, parking, rail track, trailer, caravan, back of a sign ...) is void here too.
# Choices, since nobody publishes this table: markings, manholes and potholes are road; kerb and traffic island are
# sidewalk, as in Cityscapes' definition; sand, snow, mountain and water are void.
NAMES: dict[str, str] = {
    "construction--flat--road": "road",
    "construction--flat--road-shoulder": "road",
    "construction--flat--service-lane": "road",
    "construction--flat--bike-lane": "road",
    "construction--flat--crosswalk-plain": "road",
    "marking": "road",
    "marking-only": "road",
    "object--manhole": "road",
    "object--pothole": "road",
    "construction--flat--sidewalk": "sidewalk",
    "construction--flat--pedestrian-area": "sidewalk",
    "construction--flat--curb-cut": "sidewalk",
    "construction--flat--traffic-island": "sidewalk",
    "construction--barrier--curb": "sidewalk",
    "construction--structure--building": "building",
    "construction--structure--garage": "building",
    "construction--barrier--wall": "wall",
    "construction--barrier--fence": "fence",
    "object--support--pole": "pole",
    "object--support--utility-pole": "pole",
    "object--traffic-light": "traffic light",
    "object--traffic-sign--front": "traffic sign",
    "object--traffic-sign--direction-front": "traffic sign",
    "object--traffic-sign--information-parking": "traffic sign",
    "object--traffic-sign--temporary-front": "traffic sign",
    "nature--vegetation": "vegetation",
    "nature--terrain": "terrain",
    "nature--sky": "sky",
    "human--person": "person",
    "human--rider": "rider",
    "object--vehicle--car": "car",
    "object--vehicle--truck": "truck",
    "object--vehicle--bus": "bus",
    "object--vehicle--on-rails": "train",
    "object--vehicle--motorcycle": "motorcycle",
    "object--vehicle--bicycle": "bicycle",
}


class VistasOptions(Options):
    version: Literal["", "v1.2", "v2.0"] = ""  # needed where a package holds both


def open_vistas(source: Source, options: VistasOptions) -> Dataset:
    """Vistas as a Dataset of cityscapes19; its pictures are independent: one sequence a split."""
    base = find_folder(source, *(f"{folder}/images" for folder in SPLITS), layout=LAYOUT)
    version = options.version or _version(source, base)
    names = _config(source, base, version)
    middle = _middle(source, base, version)
    items = []
    for name, file in source.files.items():
        found = PICTURE.fullmatch(name.removeprefix(base)) if name.startswith(base) else None
        if not found:
            continue
        folder, stem = found.groups()
        files = {"image": file}
        for part, kind in (("label", "labels"), ("instance", "instances")):
            if truth := source.files.get(f"{base}{folder}/{middle}{kind}/{stem}.png"):
                files[part] = truth
        items.append(Item(safe_key(stem), SPLITS[folder], folder, stem, files))
    decoders: dict[str, Decoder] = {
        "image": planes.image,
        "label": partial(label, table=train_ids(names), known=range(len(names))),
        "instance": planes.instance16,
    }
    return make_dataset("vistas", source, CITYSCAPES19.name, decoders, items, options)


def _version(source: Source, base: str) -> str:
    found = [v for v in ("v1.2", "v2.0") if any(name.startswith(f"{base}training/{v}/") for name in source.files)]
    if len(found) == 2:
        raise UserError(f"{source.where} holds Vistas v1.2 and v2.0; name one by the option 'version'")
    return found[0] if found else "v1.2"


def _middle(source: Source, base: str, version: str) -> str:
    """Labels lie in training/v2.0/labels, or, where v1.x is alone, in training/labels."""
    return f"{version}/" if any(f"/{version}/labels/" in name for name in source.files) else ""


def _config(source: Source, base: str, version: str) -> list[str]:
    """The names of the classes, in the order of their ids."""
    for name in (f"{base}config_{version}.json", *([f"{base}config.json"] if version == "v1.2" else [])):
        if name in source.files:
            where = source.files[name]
            try:
                return [str(entry["name"]) for entry in json.loads(where.read())["labels"]]
            except (*BAD_JSON, KeyError, TypeError):
                raise UserError(f"{where} has no list 'labels' of entries with a 'name'; fetch it again") from None
    raise wrong_layout(
        source, f"Vistas' list of classes beside the folders ({base}config.json or config_{version}.json)"
    )


def train_ids(names: list[str]) -> np.ndarray:
    """Look-up table (256,) uint8 from places in the config's list to trainIds of cityscapes19."""
    table = np.full(256, IGNORE, np.uint8)
    for place, name in enumerate(names[:256]):
        parts = name.split("--")
        beginnings = ("--".join(parts[:count]) for count in range(len(parts), 0, -1))
        goal = next((NAMES[beginning] for beginning in beginnings if beginning in NAMES), None)
        if goal:
            table[place] = CITYSCAPES19.names.index(goal)
    if not (table == CITYSCAPES19.names.index("road")).any():
        raise UserError("the config of Vistas names no road (construction--flat--road); is it the right config.json?")
    return table


def label(data: bytes, where: str, table: np.ndarray, known: range) -> np.ndarray:
    """trainIds (H, W) uint8 of a labels file."""
    return planes.look_up(planes.plane8(data, where), table, known, where, f"its config has {len(known)} classes")
