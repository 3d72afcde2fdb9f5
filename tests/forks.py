"""Processes that begin with the libraries loaded: importing them takes each one 8 s of processor time otherwise.

`python forks.py NUMBER`, of a listening socket, answers requests, one a connection, a line of JSON each: to begin a command as a copy of itself,
and how one that it began has ended. It ends when its standard input does. Nothing of the project is loaded in it.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

LIBRARIES = (
    "cv2", "joblib", "kornia", "lightning_fabric", "pandas", "pyarrow.parquet", "pydantic.main", "ruamel.yaml",
    "safetensors.torch", "torch", "torchvision",
)  # fmt: skip


def serve(listener: socket.socket) -> dict[str, Any] | None:
    """Answer until the input ends: None. In a copy: what it shall become."""
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        with connection, connection.makefile("rw") as talk:
            asked: dict[str, Any] = json.loads(talk.readline())
            if "ended" in asked:
                pid, status = os.waitpid(asked["ended"], os.WNOHANG)
                answer = os.waitstatus_to_exitcode(status) if pid else None
            else:
                for name in LIBRARIES:
                    importlib.import_module(name)
                if sys.dont_write_bytecode:  # the project is compiled once, not by every copy
                    sys.dont_write_bytecode, sys.pycache_prefix = False, f"{os.environ['FORKS']}.pycache"
                gc.freeze()  # a copy's collections leave alone, and so do not copy, what is here already
                if not (answer := os.fork()):
                    listener.close()
                    return asked
            talk.write(json.dumps(answer) + "\n")
    return None


def become(words: list[str], folder: str, environment: dict[str, str], told: list[str]) -> None:
    """`python WORDS` in a folder, in a session of its own, its output and errors in two files."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, name in enumerate(["/dev/null", *told]):
        os.dup2(os.open(name, os.O_RDWR), number)
    code = 1
    try:
        if words[0] == "-m":
            sys.argv, sys.path[0] = words[1:], ""
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = words, str(Path(words[0]).parent)
            runpy.run_path(words[0], run_name="__main__")
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # to take all the libraries down again would cost 3 s


if __name__ == "__main__":
    if request := serve(socket.socket(fileno=int(sys.argv[1]))):
        become(**request)
    os._exit(0)
