"""Decoding of label, instance and depth files: exact, or refused.

Two traps stand behind this file. Pillow reads a 16-bit RGB PNG by keeping the high byte of every value, so that all
class ids become 0. OpenCV turns a PNG with a palette into colours, so that the ids are lost. Each is read by the other
one here.
"""

import io

import numpy as np

from pipeline.files import MAX_PIXELS, UserError, decode_image, picture_header
from pipeline.sample import decode_depth, decode_flow


def image(data: bytes, where: str, upright: bool = False) -> np.ndarray:
    """8-bit RGB (H, W, 3)."""
    return decode_image(data, where, upright=upright)


def is_palette(data: bytes) -> bool:
    """Whether these are PNG bytes whose values are indices into a palette."""
    return data[:4] == b"\x89PNG" and data[25:26] == b"\x03"


def plane8(data: bytes, where: str) -> np.ndarray:
    """One 8-bit channel (H, W), values as stored; indices where the PNG has a palette."""
    if is_palette(data):
        return _palette_indices(data, where)
    _, _, depth_bits, channels = picture_header(data, where)
    if (depth_bits, channels) != (8, 1):
        raise UserError(f"{where} has {channels} channel(s) of {depth_bits} bits; one of 8 bits was expected")
    if data[:4] != b"\x89PNG":
        kind = "a JPEG, which blurs ids into each other" if data[:2] == b"\xff\xd8" else "a TIFF or BMP"
        raise UserError(f"{where} is {kind}; labels must be PNG")
    return decode_image(data, where, kind="unchanged")


def _palette_indices(data: bytes, where: str) -> np.ndarray:
    from PIL import Image

    height, width, _, _ = picture_header(data, where)
    if height * width > MAX_PIXELS:
        raise UserError(f"{where} is {width} x {height} pixels, more than the {MAX_PIXELS:,} that are decoded")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            return np.array(picture, np.uint8)
    except (OSError, SyntaxError, ValueError):
        raise UserError(f"{where}: the PNG is cut short or damaged; fetch the file again") from None


def mask(data: bytes, where: str) -> np.ndarray:
    """A grey mask of two values, PNG (also of 1 bit) or BMP: uint8 (H, W), 0 or 1."""
    stored = _palette_indices(data, where) if is_palette(data) else decode_image(data, where, kind="unchanged")
    if stored.ndim != 2:
        raise UserError(f"{where} has {stored.shape[2]} channels; a mask has one, save it as grey")
    return two_values(stored, where)


def two_values(stored: np.ndarray, where: str) -> np.ndarray:
    """0 and 255, or 0 and 1 -> uint8 0 and 1. Raises UserError that names other values."""
    values = np.flatnonzero(np.bincount(stored.ravel())).tolist()
    if not (set(values) <= {0, 255} or set(values) <= {0, 1}):
        shown = ", ".join(map(str, values[:12])) + (" ..." if len(values) > 12 else "")
        raise UserError(f"{where} holds the values {shown}; a mask has two: 0 and 255, or 0 and 1")
    return (stored > 0).astype(np.uint8)


def instance16(data: bytes, where: str) -> np.ndarray:
    """One 16-bit channel (H, W), values as stored."""
    _, _, depth_bits, channels = picture_header(data, where)
    if (depth_bits, channels) != (16, 1):
        raise UserError(f"{where} has {channels} channel(s) of {depth_bits} bits; one of 16 bits was expected")
    return decode_image(data, where, kind="unchanged")


def centimetres(data: bytes, where: str) -> np.ndarray:
    """SYNTHIA's depth: uint16 (H, W) centimetres, 65535 = sky. One channel, or three that are the same."""
    _, _, depth_bits, channels = picture_header(data, where)
    if depth_bits != 16 or channels not in (1, 3):
        raise UserError(f"{where} has {channels} channel(s) of {depth_bits} bits; depth has one or three of 16 bits")
    stored = decode_image(data, where, kind="unchanged")
    if stored.ndim == 3:
        if (stored != stored[..., :1]).any():
            raise UserError(f"{where}: its three channels differ, so it is not a depth picture in centimetres")
        stored = np.ascontiguousarray(stored[..., 0])
    return stored


def depth(data: bytes, where: str) -> np.ndarray:
    """float32 (H, W) metres, inf for the sky."""
    return decode_depth(centimetres(data, where))


def flow(data: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    """KITTI's 16-bit flow: float32 (H, W, 2) pixels, bool (H, W) valid."""
    _, _, depth_bits, channels = picture_header(data, where)
    if (depth_bits, channels) != (16, 3):
        raise UserError(f"{where} has {channels} channel(s) of {depth_bits} bits; flow is 16-bit RGB")
    return decode_flow(decode_image(data, where, kind="unchanged"))


def look_up(
    ids: np.ndarray, table: np.ndarray, known: frozenset[int] | range, where: str, hint: str = ""
) -> np.ndarray:
    """trainIds (H, W) of raw ids; raises UserError that names the ids that the table does not know."""
    counts = np.bincount(ids.ravel(), minlength=256)
    unknown = [int(i) for i in np.flatnonzero(counts) if int(i) not in known]
    if unknown:
        shown = ", ".join(map(str, unknown[:12])) + (" ..." if len(unknown) > 12 else "")
        raise UserError(f"{where} holds unknown ids: {shown}{f' ({hint})' if hint else ''}")
    return table[ids]
