"""Files: errors in plain words, atomic outputs, digests, bounded decoding, and bars.

Nothing here unpickles, and nothing trusts a header: a picture's size is read before its pixels are.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

import cv2
import numpy as np

cv2.setNumThreads(1)  # processes share the cores; results are the same for any number of threads

MAX_PIXELS = 100_000_000  # a picture beyond this is refused unread: 40,000 x 40,000 would need 5 GB
MAX_BYTES = 500_000_000  # of one encoded file
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what the file system says where there is no room
PNG_END = b"IEND\xaeB`\x82"
MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")  # of a JPEG; neither padding, nor escaped, nor a restart
TIFF_TAGS = (256, 257, 258, 273, 274, 277, 279, 339)  # width, height, bits, strips, turned, channels, lengths, kind
TIFF_STRIPS = 100_000  # more are not read

BAD_JSON = (ValueError, RecursionError)  # what json.loads raises: also for no UTF-8, long integers and deep nesting

Item = TypeVar("Item")


class UserError(Exception):
    """A mistake that a user can mend: one sentence that says what, where, and what to do."""


def problems(head: str, lines: Sequence[str], limit: int = 40) -> UserError:
    """One error for several bad files: a head sentence, then a line for each."""
    shown = [f"  {line}" for line in lines[:limit]]
    if len(lines) > limit:
        shown.append(f"  ... and {len(lines) - limit} more")
    return UserError("\n".join([head, *shown]))


def disk_full(path: Path | str) -> UserError:
    """What a full disk (`OSError.errno in FULL`) is called."""
    return UserError(f"the disk is full: {path} could not be written; make room and run the same command again")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is used up: Python's, or torch's (of a device, of the CPU), without importing it."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(words in str(error) for words in ("can't allocate memory", "STATUS_ALLOC_FAILED"))


# -- writing ------------------------------------------------------------------------------------------------------


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def write_atomic(path: Path | str, content: bytes | str) -> None:
    """Write under a temporary name in the same folder, then rename: a reader never sees half a file."""
    path = Path(path)
    temporary = _temporary(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # where the folder itself is none, there is nothing to remove
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None  # not the temporary one, and not none at all
        raise


def write_json(path: Path | str, value: Any) -> None:
    """Write readable JSON; NaN and infinity are refused, so that a bad number cannot hide in a file."""
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read JSON; a missing or broken file is a UserError."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run the stage that makes it (dvc repro)") from None
    except BAD_JSON as error:
        raise UserError(f"{path} is not valid JSON ({error}); delete it and run the stage again") from None


@contextlib.contextmanager
def atomic_dir(path: Path | str) -> Iterator[Path]:
    """A temporary folder beside `path` that replaces `path` when the block ends well, and vanishes when it does not."""
    path = Path(path)
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        temporary.mkdir()
        yield temporary
        put_in_place(temporary, path)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in FULL:
            raise disk_full(path) from None
        raise


def put_in_place(new: Path, path: Path) -> None:
    """Rename a folder to `path`; what was there goes only when the new one is in its place."""
    if not path.exists():
        os.replace(new, path)
        return
    old = new.with_name(f"{new.name}.old.tmp")
    os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        os.replace(old, path)
        raise
    shutil.rmtree(old)


def _remove_leftovers(path: Path) -> None:
    """Temporary folders of killed processes; one whose process still lives is left alone."""
    for old in path.parent.glob(f".{path.name}.*.tmp"):
        process = old.name.removesuffix(".tmp").rpartition(".")[2]
        if not process.isdigit() or int(process) == os.getpid() or not _alive(int(process)):
            shutil.rmtree(old) if old.is_dir() else old.unlink()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sha256_file(path: Path | str) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Hexadecimal SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


# -- pictures -----------------------------------------------------------------------------------------------------


def read_bytes(path: Path | str, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a file; missing, unreadable and overlong ones are a UserError."""
    try:
        size = os.stat(path).st_size
        if size > limit:
            raise UserError(f"{path} has {size:,} bytes, more than the {limit:,} that are read; is it the right file?")
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} is missing") from None
    except PermissionError:
        raise UserError(f"{path} cannot be read: permission denied; change its rights (chmod)") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder, a file was expected") from None


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every folder below `root` and its files, sorted, hidden ones left out; what cannot be entered is an error, not skipped.

    Links are followed, circles of links refused.
    """
    for place, folders, names in os.walk(root, onerror=unreadable, followlinks=True):
        folder = Path(place)
        above = [root, *(root / up for up in folder.relative_to(root).parents)] if folder != root else []
        if os.path.realpath(place) in {os.path.realpath(up) for up in above}:
            raise UserError(f"{place} is a link back into a folder that holds it; remove the link")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield folder, sorted(name for name in names if not name.startswith("."))


def unreadable(error: OSError) -> NoReturn:
    raise UserError(f"{error.filename} cannot be read ({error.strerror}); change its rights or name another folder")


def picture_header(data: bytes, where: str) -> tuple[int, int, int, int]:
    """(height, width, bit depth, channels) of PNG, JPEG, TIFF or BMP bytes, without decoding a pixel."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 29 and data[12:16] == b"IHDR":
        width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
        channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour)
        if channels is None:
            raise UserError(f"{where}: the PNG header is damaged (colour type {colour}); fetch the file again")
        return height, width, depth, channels
    if data[:2] == b"\xff\xd8":
        return _jpeg_header(data, where)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _tiff_header(data, where)
    if data[:2] == b"BM":
        return _bmp_header(data, where)
    raise UserError(f"{where} is neither PNG nor JPEG, TIFF or BMP; convert it or name another file")


def _jpeg_header(data: bytes, where: str) -> tuple[int, int, int, int]:
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            depth, height, width, channels = struct.unpack_from(">BHHB", data, at + 4)
            return height, width, depth, channels
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise UserError(f"{where}: the JPEG is cut short or damaged; fetch the file again")


def _tiff_header(data: bytes, where: str) -> tuple[int, int, int, int]:
    """Of a plain TIFF, one upright picture in strips of unsigned values; refused where a strip is not there."""
    try:
        tags, following = _tiff_tags(data)
        (width,), (height,), (channels,) = tags[256], tags[257], tags.get(277, (1,))
        strips = list(zip(tags[273], tags[279], strict=True))
    except (struct.error, KeyError, ValueError):
        raise UserError(
            f"{where}: the TIFF is cut short, damaged or stored in tiles; fetch it again or save it as PNG"
        ) from None
    bits, kinds, turned = (set(tags.get(tag, (1,))) for tag in (258, 339, 274))
    if following or len(bits) != 1 or not bits <= {1, 8, 16} or kinds | turned != {1} or not 1 <= channels <= 4:
        raise UserError(f"{where} is no plain TIFF (one upright picture of 8 or 16 bits); save it as PNG")
    if not strips or max(place + length for place, length in strips) > len(data):
        raise UserError(f"{where}: the TIFF is cut short; fetch the file again")
    return height, width, bits.pop(), channels


def _tiff_tags(data: bytes) -> tuple[dict[int, tuple[int, ...]], int]:
    """The tags of the first picture that a header is made of, and where the next picture is (0: there is none)."""
    order = "<" if data[:2] == b"II" else ">"
    tags: dict[int, tuple[int, ...]] = {}
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    end = at + 2 + 12 * count
    for entry in range(at + 2, end, 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", data, entry)
        if tag in TIFF_TAGS and tag not in tags and kind in (3, 4) and number <= TIFF_STRIPS:
            values = f"{order}{number}{'H' if kind == 3 else 'I'}"
            inline = struct.calcsize(values) <= 4
            place = entry + 8 if inline else struct.unpack_from(f"{order}I", data, entry + 8)[0]
            tags[tag] = struct.unpack_from(values, data, place)
    return tags, struct.unpack_from(f"{order}I", data, end)[0]


def _bmp_header(data: bytes, where: str) -> tuple[int, int, int, int]:
    """Of an uncompressed BMP; refused where a row is not there."""
    if len(data) < 54:
        raise UserError(f"{where}: the BMP is cut short; fetch the file again")
    start, size, width, height, _, bits, compression = struct.unpack_from("<IIiiHHI", data, 10)
    if size < 40 or compression not in (0, 3) or bits not in (1, 4, 8, 16, 24, 32):
        raise UserError(
            f"{where} is a BMP of a kind that is not read (compressed, or of an old version); save it as PNG"
        )
    if start + (width * bits + 31) // 32 * 4 * abs(height) > len(data):
        raise UserError(f"{where}: the BMP is cut short; fetch the file again")
    return abs(height), width, min(bits, 8), {24: 3, 32: 4, 16: 3}.get(bits, 1)


def _jpeg_ends(data: bytes) -> bool:
    """Whether a JPEG has its end mark, whatever follows it, as a video does in the pictures of some telephones."""
    at = 2
    while found := MARKER.search(data, at):
        if found[1] == b"\xd9":
            return True
        at = found.end() + struct.unpack(">H", data[found.end() : found.end() + 2].ljust(2, b"\0"))[0]
    return False


def _png_ends(data: bytes) -> bool:
    """Whether the chunks of a PNG lead to its end: OpenCV takes memory for as long a chunk as one says it is."""
    at = 8
    while at + 12 <= len(data):
        if data[at : at + 12] == bytes(4) + PNG_END:
            return True
        at += 12 + struct.unpack(">I", data[at : at + 4])[0]
    return False


def decode_image(
    data: bytes,
    where: str,
    *,
    kind: Literal["rgb", "gray", "unchanged"] = "rgb",
    max_pixels: int = MAX_PIXELS,
    upright: bool = False,
) -> np.ndarray:
    """Decode PNG, JPEG, TIFF or BMP bytes; `where` names the file in errors.

    kind "rgb": uint8 (H, W, 3); "gray": uint8 (H, W); "unchanged": as stored (16 bits stay 16), channels in RGB order.
    upright: turned as the camera notes it (EXIF), for "rgb" and "gray"; else as stored, which is how labels lie.
    Raises UserError for oversized, truncated or damaged pictures.
    """
    height, width, _, _ = picture_header(data, where)
    if height * width > max_pixels or height < 1 or width < 1:
        raise UserError(
            f"{where} is {width} x {height} pixels, more than the {max_pixels:,} that are decoded; scale it down"
        )
    if data[:4] == b"\x89PNG" and (PNG_END not in data[-64:] or not _png_ends(data)):
        raise UserError(f"{where}: the PNG is cut short; fetch the file again")
    if data[:2] == b"\xff\xd8" and b"\xff\xd9" not in data[-1024:] and not _jpeg_ends(data):
        raise UserError(f"{where}: the JPEG is cut short; fetch the file again")
    flag = {"rgb": cv2.IMREAD_COLOR_RGB, "gray": cv2.IMREAD_GRAYSCALE, "unchanged": cv2.IMREAD_UNCHANGED}[kind]
    flag |= 0 if kind == "unchanged" or upright else cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        image = None
    if image is None or image.shape[:2] not in ((height, width), (width, height) if upright else ()):
        raise UserError(f"{where} cannot be decoded: the file is damaged; fetch it again")
    return _turned(image) if kind == "unchanged" else image


def _turned(image: np.ndarray) -> np.ndarray:
    """BGR(A) -> RGB(A) and back; one channel stays."""
    channels = image.shape[2] if image.ndim == 3 else 1
    turn = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}.get(channels)
    return image if turn is None else cv2.cvtColor(image, turn)


def read_image(
    path: Path | str, kind: Literal["rgb", "gray", "unchanged"] = "rgb", upright: bool = False
) -> np.ndarray:
    """Read and decode one picture file; see `decode_image`."""
    return decode_image(read_bytes(path), str(path), kind=kind, upright=upright)


def encode_png(array: np.ndarray, compression: int = 3) -> bytes:
    """PNG bytes of uint8 or uint16 (H, W) or RGB (H, W, 3)."""
    bgr = _turned(np.ascontiguousarray(array))
    done, data = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, compression])
    assert done
    return data.tobytes()


def encode_jpeg(rgb: np.ndarray, quality: int = 95) -> bytes:
    """JPEG bytes of RGB uint8 (H, W, 3) or gray (H, W)."""
    bgr = _turned(np.ascontiguousarray(rgb))
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


# -- progress -----------------------------------------------------------------------------------------------------


def progress(items: Iterable[Item], label: str, total: int | None = None) -> Iterable[Item]:
    """A bar with rate and time left on a terminal; silent elsewhere and for what takes under two seconds."""
    from tqdm import tqdm

    return tqdm(items, desc=label, total=total, delay=2, disable=not sys.stderr.isatty(), dynamic_ncols=True)
