"""Pairs of real frames with true flow: Middlebury (Baker et al. 2011) and KITTI (Menze, Geiger 2015).

other-data/NAME/frame1{0,1}.png  other-gt-flow/NAME/flow10.flo                            (Middlebury)
training/image_2/NNNNNN_1{0,1}.png  training/flow_noc/NNNNNN_10.png, or flow_occ          (KITTI)
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import planes
from pipeline.datasets.base import PICTURES, wrong_layout
from pipeline.datasets.source import File, Source, open_source
from pipeline.files import MAX_PIXELS, UserError
from pipeline.sample import Flow

UNKNOWN = 1e9  # Middlebury marks unknown flow by components above this
MIDDLEBURY = re.compile(r"(.*)other-gt-flow/([^/]+)/flow10\.flo")
KITTI = re.compile(r"(.*)training/flow_(?:noc|occ)/(\d+)_10\.png")


@dataclass(frozen=True)
class FlowPair:
    """Two frames and the true flow from the first to the second, unread."""

    name: str
    first: File
    second: File
    flow: File

    def read(self) -> tuple[np.ndarray, np.ndarray, Flow]:
        """RGB uint8 (H, W, 3) twice, and (flow float32 (H, W, 2), valid bool (H, W))."""
        a, b = (planes.image(file.read(), str(file)) for file in (self.first, self.second))
        decode = decode_flo if str(self.flow).endswith(".flo") else planes.flow
        flow = decode(self.flow.read(), str(self.flow))
        if not a.shape[:2] == b.shape[:2] == flow[1].shape:
            raise UserError(f"{self.flow} and its two frames differ in size; fetch them again")
        return a, b, flow


def find_pairs(root: Path | str) -> list[FlowPair]:
    """All pairs in a folder or archive, by name. Raises UserError where there is none."""
    source = open_source(root)
    pairs = []
    for name in source.names():
        if found := MIDDLEBURY.fullmatch(name):
            frames = [f"{found[1]}other-data/{found[2]}/frame{number}" for number in (10, 11)]
            label = f"middlebury_{found[2]}"
        elif found := KITTI.fullmatch(name):
            frames = [f"{found[1]}training/image_2/{found[2]}_{number}" for number in (10, 11)]
            label = f"kitti_{found[2]}"
        else:
            continue
        first, second = (_picture(source, frame) for frame in frames)
        pairs.append(FlowPair(label, first, second, source.files[name]))
    if not pairs:
        raise wrong_layout(
            source, "Middlebury (other-gt-flow/NAME/flow10.flo) or KITTI (training/flow_noc/*_10.png) pairs"
        )
    return pairs


def _picture(source: Source, stem: str) -> File:
    for suffix in PICTURES:
        if stem + suffix in source.files:
            return source.files[stem + suffix]
    raise UserError(f"{source.where} has a true flow but no frame {stem}.png (or .jpg); fetch it")


def decode_flo(data: bytes, where: str) -> Flow:
    """Middlebury's .flo: 'PIEH', width, height, then u, v as float32 by rows, little-endian."""
    if data[:4] != b"PIEH" or len(data) < 12:
        raise UserError(f"{where} is not a .flo file (it must begin with PIEH); fetch it again")
    width, height = struct.unpack("<ii", data[4:12])
    sane = width > 0 and height > 0 and width * height <= MAX_PIXELS
    if not sane or len(data) != 12 + 8 * width * height:
        raise UserError(f"{where} says {width} x {height} but has {len(data):,} bytes; it is cut short or damaged")
    flow: np.ndarray = np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2).astype(np.float32)
    valid = np.all(np.abs(flow) < UNKNOWN, axis=-1)
    flow[~valid] = 0
    return flow, valid
