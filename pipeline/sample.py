"""The words of the data path: a Sample is one picture and all that is known about it, stored under WebDataset keys.

| key | stored | in a Sample |
|---|---|---|
| image.jpg, image.png | 8-bit RGB | uint8 (H, W, 3) |
| paired.jpg, paired.png | 8-bit RGB: the same view otherwise, such as by night | uint8 (H, W, 3) |
| label.png | 8-bit trainId, 255 = ignore | uint8 (H, W) |
| instance.png | 16-bit | uint16 (H, W) |
| depth.png | 16-bit centimetres, 65535 = sky or beyond | float32 (H, W) metres, inf for sky |
| flow.png, flow_back.png | KITTI's 16-bit encoding | float32 (H, W, 2) pixels and bool (H, W) valid |
| meta.json | data set, split, sequence, frame, original size, digest of the origin | dict |
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pipeline.files import BAD_JSON, UserError, decode_image, encode_jpeg, encode_png

VIEWS = ("image", "paired")  # the parts that are stored as JPEG or PNG
KEYS = (
    *(f"{part}.{ending}" for part in VIEWS for ending in ("jpg", "png")),
    *("label.png", "instance.png", "depth.png", "flow.png", "flow_back.png", "meta.json"),
)
SKY_CENTIMETRES = 65535
FLOW_STEPS = 64.0  # a pixel
FLOW_ZERO = 2**15

Flow = tuple[np.ndarray, np.ndarray]


@dataclass
class Sample:
    """One picture; what is not known is None. All maps have the picture's height and width."""

    key: str
    image: np.ndarray | None = None
    label: np.ndarray | None = None
    instance: np.ndarray | None = None
    depth: np.ndarray | None = None
    flow: Flow | None = None
    flow_back: Flow | None = None
    paired: np.ndarray | None = None
    meta: dict[str, Any] = field(default_factory=dict)


def present(wanted: Sequence[str], known: Collection[str]) -> list[str]:
    """The names of wanted parts; one that may be absent ("instance?") only where it is known."""
    return [part.rstrip("?") for part in wanted if not part.endswith("?") or part[:-1] in known]


def encode_depth(metres: np.ndarray) -> np.ndarray:
    """Metres (inf = sky) -> 16-bit centimetres; 655.35 m and more become sky."""
    centimetres = np.rint(np.where(np.isfinite(metres), metres, 1e9).astype(np.float64) * 100)
    return np.minimum(centimetres, SKY_CENTIMETRES).astype(np.uint16)


def decode_depth(centimetres: np.ndarray) -> np.ndarray:
    """16-bit centimetres -> float32 metres, inf where 65535."""
    metres = centimetres.astype(np.float32) / np.float32(100)
    metres[centimetres == SKY_CENTIMETRES] = np.inf
    return metres


def encode_flow(flow: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Flow (H, W, 2) in pixels and valid (H, W) -> KITTI's 16-bit (H, W, 3): u, v in 1/64 pixel, valid.

    Vectors beyond +-512 pixels cannot be stored and become invalid.
    """
    steps = np.rint(flow * np.float32(FLOW_STEPS)) + np.float32(FLOW_ZERO)  # exact: a power of two
    fits = (steps >= 1) & (steps <= 65535)
    fits = valid & fits[..., 0] & fits[..., 1]
    out = np.empty((*flow.shape[:2], 3), np.uint16)
    out[..., 2] = fits
    steps[~fits] = FLOW_ZERO
    out[..., :2] = steps
    return out


def decode_flow(stored: np.ndarray) -> Flow:
    """KITTI's 16-bit (H, W, 3) in RGB order -> flow float32 (H, W, 2) in pixels, valid bool (H, W)."""
    valid = stored[..., 2] > 0
    flow = (stored[..., :2].astype(np.float32) - FLOW_ZERO) / np.float32(FLOW_STEPS)
    flow[~valid] = 0
    return flow, valid


def encode(sample: Sample, image_format: Literal["jpg", "png"] = "jpg", quality: int = 95) -> dict[str, bytes]:
    """The members of a sample as they stand in a shard: extension -> bytes, in a fixed order."""
    members: dict[str, bytes] = {}
    for part in VIEWS:
        if (picture := getattr(sample, part)) is not None:
            coded = encode_png(picture) if image_format == "png" else encode_jpeg(picture, quality)
            members[f"{part}.{image_format}"] = coded
    if sample.label is not None:
        members["label.png"] = encode_png(sample.label)
    if sample.instance is not None:
        members["instance.png"] = encode_png(sample.instance.astype(np.uint16))
    if sample.depth is not None:
        members["depth.png"] = encode_png(encode_depth(sample.depth))
    for name in ("flow", "flow_back"):
        flow = getattr(sample, name)
        if flow is not None:
            members[f"{name}.png"] = encode_png(encode_flow(*flow))
    members["meta.json"] = json.dumps(sample.meta, sort_keys=True).encode()
    return members


def decode(key: str, members: dict[str, bytes], where: str = "") -> Sample:
    """A Sample from a shard's members; `where` names the shard in errors. Sizes of all maps must agree."""
    sample = Sample(key)
    for extension, data in members.items():
        name = f"{where}{key}.{extension}"
        match extension:
            case "image.jpg" | "image.png" | "paired.jpg" | "paired.png":
                setattr(sample, extension[:-4], decode_image(data, name))
            case "label.png":
                sample.label = _plane(data, name, np.uint8)
            case "instance.png":
                sample.instance = _plane(data, name, np.uint16)
            case "depth.png":
                sample.depth = decode_depth(_plane(data, name, np.uint16))
            case "flow.png" | "flow_back.png":
                setattr(sample, extension[:-4], _flow(data, name))
            case "meta.json":
                sample.meta = _meta(data, name)
            case _:
                raise UserError(f"{name}: unknown member; a sample holds {', '.join(KEYS)}")
    _check_sizes(sample, where)
    return sample


def _plane(data: bytes, name: str, kind: type) -> np.ndarray:
    plane = decode_image(data, name, kind="unchanged")
    if plane.ndim != 2 or plane.dtype != kind:
        raise UserError(f"{name} is {plane.dtype} of shape {plane.shape}; expected one channel of {np.dtype(kind)}")
    return plane


def _flow(data: bytes, name: str) -> Flow:
    stored = decode_image(data, name, kind="unchanged")
    if stored.dtype != np.uint16 or stored.shape[2:] != (3,):
        raise UserError(f"{name} is {stored.dtype} of shape {stored.shape}; expected three channels of uint16")
    return decode_flow(stored)


def _meta(data: bytes, name: str) -> dict[str, Any]:
    try:
        meta = json.loads(data)
    except BAD_JSON:
        meta = None
    if not isinstance(meta, dict):
        raise UserError(f"{name} is no JSON object; shard the set again")
    return meta


def _check_sizes(sample: Sample, where: str) -> None:
    maps = {name: getattr(sample, name) for name in (*VIEWS, "label", "instance", "depth", "flow", "flow_back")}
    sizes = {name: (m[1] if isinstance(m, tuple) else m).shape[:2] for name, m in maps.items() if m is not None}
    if len(set(sizes.values())) > 1:
        raise UserError(f"{where}{sample.key}: the sizes of its maps differ: {sizes}; shard the set again")
