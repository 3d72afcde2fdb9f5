"""A published generator's or segmenter's file as a model of ours: its method's parameters, weights, and what it reads.

Options are read off keys and shapes. What they do not tell is given, or taken as published (`Given`), and recorded.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from types import ModuleType
from typing import Any

import torch
from torch import nn

from pipeline import importing
from pipeline.classes import STREETS
from pipeline.files import UserError
from pipeline.importing import State
from pipeline.label_spaces import CITYSCAPES35, VOID, class_table
from pipeline.nets import pix2pixhd, spade, unet
from pipeline.nets.multiscale import shape_of
from pipeline.nets.weights import load_strictly
from pipeline.recognising import NETS, recognise

PUBLISHED_PLANES = {  # number of planes: what they are in the published nets of SPADE and pix2pixHD
    36: "cityscapes35+edges",
    39: "cityscapes35+edges+3features",
    151: "150+dont_care",  # ADE20K
    184: "182+dont_care+edges",  # COCO-Stuff
}
STATISTICS = "running statistics of instance norms, with which nothing is computed"


@dataclass(frozen=True)
class Given:
    """What shapes do not tell; None: as published."""

    planes: str | None = None  # of label maps, such as "cityscapes35+edges"; see `Planes`
    upsampling: str | None = None  # SPADE
    start: tuple[int, int] | None = None  # SPADE with style: height and width of the map that a style becomes
    inference: str | None = None  # pix2pix
    no_dropout: bool | None = None  # pix2pix
    aspp: str | None = None  # adaptsegnet; has to be given


OPTIONS = {"cyclegan": (), "cut": (), "pix2pix": ("planes", "inference", "no_dropout"), "spade": ("planes", "upsampling", "start"),
           "pix2pixhd": ("planes",), "adaptsegnet": ("aspp",)}  # fmt: skip


@dataclass(frozen=True)
class Adopted:
    """Blocks of parameters, the net's weights, the parts of a sample that it reads, and the space of its labels.

    assumed: what shapes did not tell. notes: sentences about what was changed. dropped: keys left out (`STATISTICS`).
    """

    params: dict[str, Any]
    state: State
    reads: tuple[str, ...] = ("image",)
    classes: str = "cityscapes19"  # of no use where pictures are read
    assumed: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Planes:
    """Input planes of a published net, in order: a class each, don't-care, edges of instances, instance features.

    Written as "182+dont_care+edges", "cityscapes19+edges" or "35+edges+3features": a number of classes or their table.
    """

    classes: str
    dont_care: bool
    edges: bool
    features: int

    @property
    def space(self) -> str:
        return self.classes + (VOID if self.dont_care else "")

    @property
    def count(self) -> int:
        return len(class_table(self.space)) + self.edges + self.features


def adopt(method: str, state: State, where: str, given: Given) -> Adopted:
    """The model of `method` that a published state dict makes; `where` is the file, for messages.

    Raises UserError for the file of another net, for one that our nets cannot compute, and for options of other methods.
    """
    what, methods = recognise(state)
    if method not in methods:
        way = f"import it with --method {methods[0]}" if methods else "give a generator's file (latest_net_G.pth)"
        raise UserError(f"{where} holds {what}, not {NETS[method]}; {way}")
    for option in fields(given):
        if getattr(given, option.name) is not None and option.name not in OPTIONS[method]:
            raise UserError(f"--{option.name.replace('_', '-')} says nothing about {NETS[method]}; leave it out")
    make: dict[str, Callable[[State, str, Given], Adopted]] = {
        "cyclegan": _cyclegan, "cut": _cut, "pix2pix": _pix2pix, "spade": _spade, "pix2pixhd": _pix2pixhd,
        "adaptsegnet": _adaptsegnet,
    }  # fmt: skip
    return make[method](state, where, given)


def filled(module: ModuleType, adopted: Adopted, where: str) -> nn.ModuleDict:
    """The nets that a model directory of the method keeps, with the adopted weights; every misfit is a UserError."""
    params = adopted.params | {"imported": {"reads": list(adopted.reads), "encoder": False}}
    nets = module.exported(params, len(class_table(adopted.classes)))
    (net,) = nets.values()
    load_strictly(net, adopted.state, where)
    return nets


def _cyclegan(state: State, where: str, given: Given) -> Adopted:
    found = importing.resnet_generator(state, where)
    ours = {"channels_in": 3, "channels_out": 3, "norm": "instance", "dropout": False}
    _as_ours(found.options, ours, where)
    own = {"generator_width": found.options["width"], "generator_blocks": found.options["blocks"]}
    return Adopted({"cyclegan": own | {"upsampling": "transposed"}}, found.state, dropped=found.dropped)


def _cut(state: State, where: str, given: Given) -> Adopted:
    found = importing.cut_generator(state, where)
    own = {"generator_width": found.options["width"], "generator_blocks": found.options["blocks"]}
    return Adopted({"cut": own}, found.state, dropped=found.dropped)


def _pix2pix(state: State, where: str, given: Given) -> Adopted:
    _, found, dropped = unet.from_published(state, where)
    _as_ours(found, {"channels_out": 3}, where)
    kept = {key: value for key, value in state.items() if key not in dropped}
    assumed = {"dropout": not given.no_dropout, "inference": given.inference or "as_trained"}
    own = {"levels": found["levels"], "generator_width": found["width"], "norm": found["norm"]}
    params = {"pix2pix": own | assumed}
    if found["channels_in"] == 3 and not given.planes:
        return Adopted(params, kept, assumed=assumed, dropped=dropped)
    planes = _planes(found["channels_in"], given, where)
    kept, notes = _our_planes(kept, ["model.model.0.weight"], planes)
    return _drawn_from_labels(params, kept, planes, assumed, notes, dropped)


def _spade(state: State, where: str, given: Given) -> Adopted:
    planes = _planes(shape_of(state, "head_0.norm_0.mlp_shared.0.weight", where)[1], given, where)
    upsampling = given.upsampling or ("more" if planes.classes == CITYSCAPES35.name else "normal")
    found = spade.infer_generator(state, where, upsampling, given.start)  # type: ignore[arg-type]
    if given.upsampling and given.upsampling != found["upsampling"]:
        raise UserError(f"{where} has the blocks of upsampling '{found['upsampling']}'; leave --upsampling out")
    if given.start and not found.get("z_dim"):
        raise UserError(f"{where} has no style, so nothing starts from one; leave --start out")
    own = {"generator_width": found["width"], "hidden": found["hidden"], "upsampling": found["upsampling"]}
    own |= {"norm": found["norm"], "style": "z_dim" in found} | ({"z_dim": found["z_dim"]} if "z_dim" in found else {})
    multiple, start = 2 ** spade.DOUBLINGS[found["upsampling"]], found.get("start", (1, 1))
    params = {"train": {"crop": [side * multiple for side in start]}, "spade": own}
    reading = [key for key in state if key.endswith("mlp_shared.0.weight")] + ["fc.weight"] * ("z_dim" not in found)
    kept, notes = _our_planes(state, reading, planes)  # no statistics are dropped: SPADE's norms compute with them
    assumed = {"upsampling": found["upsampling"]} | ({"start": list(start)} if "start" in found else {})
    return _drawn_from_labels(params, kept, planes, assumed, notes, [])


def _pix2pixhd(state: State, where: str, given: Given) -> Adopted:
    kept, dropped = importing.clean(state)
    found = (pix2pixhd.infer_local if "model1_1.1.weight" in kept else pix2pixhd.infer_global)(kept, where)
    _as_ours(found, {"local_blocks": found.get("local_blocks") and 3}, where)
    own = {"generator_width": found["width"], "generator_blocks": found["blocks"], "halvings": found["halvings"]}
    planes = _planes(found["channels"], given, where)
    reading = [key for key in kept if re.fullmatch(r"model(\d+_1)?\.1\.weight", key)]
    kept, notes = _our_planes(kept, reading, planes)
    params = {"pix2pixhd": own | {"enhancers": found.get("enhancers", 0)}}
    return _drawn_from_labels(params, kept, planes, {}, notes, dropped)


def _adaptsegnet(state: State, where: str, given: Given) -> Adopted:
    if not given.aspp:
        raise UserError(
            f"{where} cannot tell which of its dilated convolutions are summed; say --aspp first_two for a file of "
            "AdaptSegNet's own code, --aspp all for one of ADVENT's"
        )
    notes = []
    if "layer5.conv2d_list.0.weight" not in state:  # ADVENT's net of one level
        state = {re.sub(r"^layer6\.", "layer5.", key): value for key, value in state.items()}
        notes = ["its only head is layer6 in the file and layer5 here"]
    classes = shape_of(state, "layer5.conv2d_list.0.weight", where)[0]
    tables = [table.name for table in STREETS if len(table) == classes]
    if len(tables) != 1:
        raise UserError(f"{where} scores {classes} classes, for which there is no table; ours has 19 (cityscapes19)")
    level = "multi" if "layer6.conv2d_list.0.weight" in state else "single"
    assumed = {"aspp": given.aspp, "align_corners": True}
    net = {"net": "deeplab_v2", "width": shape_of(state, "conv1.weight", where)[0]} | assumed
    own = {"segment": net, "adaptsegnet": {"level": level}}
    return Adopted(own, state, classes=tables[0], assumed=assumed, notes=notes)


def _drawn_from_labels(
    params: dict[str, Any], state: State, planes: Planes, assumed: dict[str, Any], notes: list[str], dropped: list[str]
) -> Adopted:
    stated = "+".join([planes.classes, *["dont_care"] * planes.dont_care, *["edges"] * planes.edges])
    stated += f"+{planes.features}features" if planes.features else ""
    return Adopted(params, state, ("label", "instance?"), planes.space, {"planes": stated} | assumed, notes, dropped)


def _as_ours(found: dict[str, Any], ours: dict[str, Any], where: str) -> None:
    """One sentence about all that our net has otherwise."""
    odd = [f"{key} {found.get(key)} (ours: {value})" for key, value in ours.items() if found.get(key) != value]
    if odd:
        raise UserError(f"{where} holds a net that ours cannot compute: {', '.join(odd)}")


# -- input planes -------------------------------------------------------------------------------------------------


def _planes(count: int, given: Given, where: str) -> Planes:
    """What the `count` input planes of a net are, as given or as published."""
    text = given.planes or PUBLISHED_PLANES.get(count)
    if text is None:
        raise UserError(
            f"{where} reads {count} planes, which no published net does; say what they are with --planes, such as "
            f"{count - 1}+edges, {count - 2}+dont_care+edges or cityscapes19+edges"
        )
    planes = parse_planes(text)
    if planes.count != count:
        raise UserError(f"{where} reads {count} planes, but {text} are {planes.count}")
    return planes


def parse_planes(text: str) -> Planes:
    """`Planes` of its written form; a UserError that shows what it looks like."""
    form = r"(?P<classes>\w+)(?P<dont_care>\+dont_care)?(?P<edges>\+edges)?(\+(?P<features>\d+)features)?"
    found = re.fullmatch(form, text)
    if not found:
        raise UserError(f"--planes {text} is not understood; write such as cityscapes35+edges, or 182+dont_care+edges")
    classes = f"numbered{found['classes']}" if found["classes"].isdigit() else found["classes"]
    return Planes(classes, bool(found["dont_care"]), bool(found["edges"]), int(found["features"] or 0))


def _our_planes(state: State, reading: list[str], planes: Planes) -> tuple[State, list[str]]:
    """The weights at keys `reading` for our planes (classes with don't-care, then edges), and what was changed.

    The outputs stay the same: edges that a net does not read get weights of 0, and features that are 0 need none.
    """
    changed, notes = dict(state), []
    for key in reading:
        weight = changed[key][:, : planes.count - planes.features]
        absent = weight.new_zeros((weight.shape[0], 0 if planes.edges else 1, *weight.shape[2:]))
        changed[key] = torch.cat([weight, absent], 1)
    if planes.features:
        notes.append(f"its {planes.features} planes of instance features are held at 0, their weights left out")
    if not planes.edges:
        notes.append("it reads no edges: weights of 0 stand where ours reads them")
    return changed, notes
