"""Where the bytes of a data set lie: a folder, a tar or a zip. Nobody unpacks anything, and nothing is written.

Archives are listed once, by names that are checked first: no links, nothing absolute, no '..', no compressed tar
(its members cannot be reached without reading all that precede them).
"""

import lzma
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from pipeline.files import MAX_BYTES, UserError, problems, read_bytes, unreadable, walk

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
ARRAYS = (".npz", "-ubyte", "-ubyte.gz")
SUFFIXES = (*PICTURES, *ARRAYS, ".txt", ".json", ".flo", ".m")  # nothing else is ever read
ARCHIVES = (".tar", ".zip")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # breaks a sentence, or moves a terminal's cursor
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".rar", ".7z", ".gz")


BAD_ZIP = (  # what zipfile raises over damaged bytes, and over compression and versions that it does not know
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError, LookupError,
)  # fmt: skip


@dataclass(frozen=True)
class File:
    """One file of a source; `str(file)` is how errors name it. Small, so that it travels to other processes."""

    path: str  # of the file itself, or of the archive it is in
    member: str = ""  # its name inside the archive
    offset: int = -1  # of its bytes inside a tar
    size: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.member}" if self.member else self.path

    def read(self) -> bytes:
        """The bytes; raises UserError where they are missing, too many or damaged."""
        if not self.member:
            return read_bytes(self.path)
        if self.size > MAX_BYTES:
            raise UserError(f"{self} has {self.size:,} bytes, more than the {MAX_BYTES:,} that are read; split it")
        return self._from_tar() if self.offset >= 0 else self._from_zip()

    def _from_tar(self) -> bytes:
        try:
            with open(self.path, "rb") as archive:
                archive.seek(self.offset)
                data = archive.read(self.size)
        except OSError as error:
            raise UserError(f"{self} cannot be read ({error.strerror}); is {self.path} still there?") from None
        if len(data) < self.size:
            raise UserError(f"{self}: the archive is cut short; fetch {self.path} again")
        return data

    def _from_zip(self) -> bytes:
        try:
            return _open_zip(self.path, os.getpid()).read(self.member)
        except BAD_ZIP as error:
            raise UserError(f"{self} cannot be unpacked ({str(error)[:200]}); fetch {self.path} again") from None


@lru_cache(maxsize=8)
def _open_zip(path: str, process: int) -> zipfile.ZipFile:
    """An open archive, kept: its directory is long. One a process, because a fork would share the file position."""
    return zipfile.ZipFile(path)


@dataclass(frozen=True)
class Source:
    """Files by their names relative to the root, with '/' between the parts."""

    where: str
    files: dict[str, File]

    def names(self) -> list[str]:
        return sorted(self.files)

    def read(self, name: str) -> bytes:
        if name not in self.files:
            raise UserError(f"{self.where} has no {name}")
        return self.files[name].read()

    def inside(self, folder: str) -> "Source":
        """The part below `folder`, with names relative to it."""
        start = f"{folder.strip('/')}/" if folder.strip("/") else ""
        files = {name.removeprefix(start): file for name, file in self.files.items() if name.startswith(start)}
        if not self.files:
            raise UserError(
                f"{self.where} is empty: it holds no file of a kind that is read; give another folder or archive"
            )
        if not files:
            raise UserError(f"{self.where} has no folder {folder!r}; it has {', '.join(self.tops())}")
        return Source(f"{self.where}/{start}".rstrip("/"), files)

    def tops(self, limit: int = 8) -> list[str]:
        """The first names at the top level, for sentences that say what was found."""
        found = sorted({name.split("/")[0] + ("/" if "/" in name else "") for name in self.files})
        return [*found[:limit], "..."] if len(found) > limit else found


def open_source(root: Path | str) -> Source:
    """A folder, a .tar, a .zip or a .npz; a folder with nothing but archives and loose texts counts as what they hold."""
    root = Path(root)
    try:
        root.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{root} is missing; give the folder or archive in which the data set lies") from None
    except OSError as error:
        unreadable(error)
    if root.is_file():
        return Source(str(root), _list_archive(root))
    files, archives = _list_folder(root)
    if not archives or any(name.endswith((*PICTURES, *ARRAYS)) for name in files):
        return Source(str(root), files)
    merged: dict[str, File] = {}
    for archive in archives:
        inner = _list_archive(archive)
        if both := sorted(merged.keys() & inner.keys()):
            raise UserError(f"{merged[both[0]]} and {inner[both[0]]} have the same name; name one archive as the root")
        merged |= inner
    return Source(str(archives[0] if len(archives) == 1 else root), merged)


def _list_folder(root: Path) -> tuple[dict[str, File], list[Path]]:
    """Files below a folder, and the archives at its top level. Links are followed, circles of links refused."""
    files: dict[str, File] = {}
    archives: list[Path] = []
    for folder, names in walk(root):
        for name in names:
            path = folder / name
            if name.lower().endswith(SUFFIXES):
                files[path.relative_to(root).as_posix()] = File(str(path))
            elif folder == root and name.lower().endswith((*ARCHIVES, *COMPRESSED)):
                archives.append(path)
    return files, sorted(archives)


def _list_archive(path: Path) -> dict[str, File]:
    name = path.name.lower()
    if name.endswith(".tar"):
        return _checked(path, _list_tar(path))
    if name.endswith(".zip"):
        return _checked(path, _list_zip(path))
    if name.endswith(".npz"):
        return {path.name: File(str(path))}
    if name.endswith(COMPRESSED):
        raise UserError(f"{path} is compressed as a whole, so no file can be read alone; unpack it or make it a .tar")
    raise UserError(f"{path} is a file; a folder, a .tar, a .zip or a .npz was expected")


def _checked(path: Path, members: Iterable[tuple[File, str]]) -> dict[str, File]:
    """Members by normalised name; a doubtful member condemns the archive, since its maker is not to be trusted."""
    files: dict[str, File] = {}
    bad: list[str] = []
    for file, fault in members:
        pure = PurePosixPath(file.member)
        parts = pure.parts
        if pure.is_absolute() or ".." in parts or "\\" in file.member:
            fault = "it leads out of the archive"
        if CONTROL.search(file.member):
            fault = "its name holds control characters"
        name = "/".join(parts)
        if fault:
            bad.append(f"{CONTROL.sub('?', file.member)}: {fault}")
        elif any(part.startswith(".") or part == "__MACOSX" for part in parts) or not name.lower().endswith(SUFFIXES):
            continue
        elif name in files:
            bad.append(f"{file.member}: it is there twice")
        else:
            files[name] = file
    if bad:
        raise problems(f"{path} is refused because of the names below; pack it again from plain files:", bad)
    return files


def _list_tar(path: Path) -> Iterator[tuple[File, str]]:
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.isdir():
                    continue
                fault = "" if member.isreg() and not member.issparse() else "it is a link or a special file"
                yield File(str(path), member.name, member.offset_data, member.size), fault
            end = archive.offset  # a whole archive has a block of zeros here
        with open(path, "rb") as raw:
            raw.seek(end)
            whole = raw.read(512) == bytes(512)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:  # the last: a member of more than 2^63 bytes
        raise UserError(f"{path} is not a whole tar archive ({error}); fetch it again") from None
    if not whole:
        raise UserError(f"{path} is not a whole tar archive (its end is missing); fetch it again")


def _list_zip(path: Path) -> Iterator[tuple[File, str]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.is_dir():
                    continue
                fault = "it is a link" if stat.S_ISLNK(member.external_attr >> 16) else ""
                if member.flag_bits & 1:
                    fault = "it is encrypted"
                yield File(str(path), member.filename, -1, member.file_size), fault
    except BAD_ZIP as error:
        raise UserError(f"{path} is not a whole zip archive ({str(error)[:200]}); fetch it again") from None
