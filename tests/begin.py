"""python begin.py COMMAND: `python COMMAND` with the libraries loaded, for what starts Pythons itself, as torchrun does."""

import os
import sys
from pathlib import Path

from tests.commands import Process

if __name__ == "__main__":
    ended = Process(Path.cwd(), *sys.argv[1:], under=dict(os.environ)).wait()
    print(ended.out, end="")
    print(ended.err, end="", file=sys.stderr)
    sys.exit(ended.code)
