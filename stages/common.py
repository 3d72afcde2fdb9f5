"""What every stage shares: its command line, and plain words for failure."""

import argparse
import errno
import signal
import sys
import warnings
from collections.abc import Callable, Sequence

from pipeline.files import FULL, UserError, disk_full, out_of_memory

Arguments = argparse.Namespace


def parser(description: str | None) -> argparse.ArgumentParser:
    """An argument parser with `--debug`, which shows tracebacks."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--debug", action="store_true", help="show tracebacks")
    return made


def run(
    main: Callable[[Arguments], None], made: argparse.ArgumentParser, arguments: Sequence[str] | None = None
) -> None:
    """Run a stage; whatever a user can cause ends in one sentence and exit code 2."""
    given = made.parse_args(arguments)
    # so that what is half-written goes and worker processes end; a training answers for itself, with a checkpoint
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    if given.debug:
        main(given)
        return
    try:
        main(given)
    except UserError as error:
        _stop(str(error))
    except OSError as error:
        if error.errno in FULL:
            _stop(str(disk_full(error.filename or "an output")))
        if error.errno in (errno.EACCES, errno.EROFS):
            _stop(f"{error.filename} cannot be opened: {error.strerror}; change its rights")
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
