"""What every stage shares: its command line, and plain words for failure."""

import argparse
import atexit
import ctypes
import errno
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.files import FULL, UserError, disk_full, out_of_memory

Arguments = argparse.Namespace
# a path that leads nowhere
PLACE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP)
_ended_with: list[int] = []  # the exit code of the stage that this process was started for


@atexit.register  # first of all, so it is called last
def _leave() -> None:
    """Leave the memory to the system: to take torch and what it brings apart takes 2 to 3 s of processor time."""
    if _ended_with:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_ended_with[0])


def keep_memory() -> None:
    """Have glibc keep what is freed for the next array, where there is a glibc; in processes that this one begins, too.

    By itself it returns large arrays to the system at once; a picture's way, or a step of a training on the CPU, takes
    hundreds of them, and the system clears each anew, page by page.
    """
    trim_threshold, mmap_max, most = -1, -4, 2**31 - 1  # malloc.h
    os.environ |= {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(most)}
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, most)


def parser(description: str | None) -> argparse.ArgumentParser:
    """An argument parser with `--debug`, which shows tracebacks."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--debug", action="store_true", help="show tracebacks")
    return made


def check_out(out: str, folder: bool = False) -> None:
    """A result that could not be written is told before the work for it: `out` is a file to write, or a folder."""
    path = Path(out).absolute()
    wanted, other = ("folder", "file") if folder else ("file", "folder")
    if path.exists() and path.is_dir() != folder:
        raise UserError(f"--out {out} is a {other}; name a {wanted} to write")
    there = next(place for place in ([path] if folder else []) + list(path.parents) if os.path.lexists(place))
    if not there.is_dir():
        raise UserError(f"--out {out} cannot be made: {there} is no folder; name another place")
    if not os.access(there, os.W_OK):
        raise UserError(
            f"--out {out} cannot be made: {there} may not be written to; change its rights or name another place"
        )


def run(
    main: Callable[[Arguments], None], made: argparse.ArgumentParser, arguments: Sequence[str] | None = None
) -> None:
    """Run a stage; whatever a user can cause ends in one sentence and exit code 2."""
    given, code = made.parse_args(arguments), 1
    keep_memory()
    # so that what is half-written goes and worker processes end; a training answers for itself, with a checkpoint
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    try:
        main(given) if given.debug else _in_plain_words(main, given)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
        raise
    finally:  # after a traceback, too
        spec = sys.modules["__main__"].__spec__
        if spec and spec.name in sys.orig_argv:  # else it runs inside another program
            _ended_with[:] = [code]


def _in_plain_words(main: Callable[[Arguments], None], given: Arguments) -> None:
    try:
        main(given)
    except UserError as error:
        _stop(str(error))
    except OSError as error:
        if error.errno in FULL:
            _stop(str(disk_full(error.filename or "an output")))
        if error.errno in (errno.EACCES, errno.EROFS):
            _stop(f"{error.filename} cannot be opened: {error.strerror}; change its rights")
        if error.errno in PLACE and error.filename:
            _stop(
                f"{error.filename} cannot be read or written: {error.strerror}; name another path (--debug says where)"
            )
        raise
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        _stop(
            "memory is used up; end what else uses the device, take one with more (device.accelerator: cpu), or make the "
            "pictures smaller (shard.height and shard.width)"
        )
    except KeyboardInterrupt:
        sys.exit(130)


def _stop(sentence: str) -> None:
    warnings.simplefilter("ignore")  # joblib's, about work that the error has made needless
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)
