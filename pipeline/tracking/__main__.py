"""MLflow from the result files: `sync` fills it, `ui` does so and opens its pages, `register` adds a model to its registry:

python -m pipeline.tracking register models/segmenters/source_only/spigan/0
"""

import argparse
import os
import socket
import sys
from pathlib import Path

from pipeline.files import UserError
from pipeline.tracking.fill import sync
from pipeline.tracking.store import address, folder, opened, server, shown

HOST = "127.0.0.1"


def main() -> int:
    given = arguments()
    try:
        print(f"tracking: {sync()} new runs")
        if given.command == "register":
            registered(given.directory, given.name)
        if given.command == "ui":
            ui()
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.tracking", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("sync", help="fill MLflow from the result files")
    commands.add_parser("ui", help="fill it and open its pages")
    adding = commands.add_parser("register", help="add a model directory to MLflow's registry")
    adding.add_argument("directory", type=Path, help="such as models/segmenters/source_only/spigan/0")
    adding.add_argument("--name", help="in the registry; without it such as source_only-spigan-0")
    return parser.parse_args()


def registered(directory: Path, name: str | None) -> None:
    """Register a model and say how to load it."""
    from pipeline.tracking.registry import how_to_load, register  # imports torch

    uri = register(directory, name)
    print(f"registered as {uri}; in Python:\n\n{how_to_load(uri)}\n")


def ui() -> None:
    """Become MLflow's server on the loopback interface, at the first free port from 5000; ends with Ctrl-C."""
    if uri := server():
        print(f"MLflow runs at {shown(uri)}")
        return
    with opened() as opening:  # so that the database is there before the server looks for it
        runs = f"#/experiments/{opening.experiment}/runs?workflowType=machine_learning"  # opens at "Model training"
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # its queue serves language models only
    port, store = free_port(), folder()
    where = ["--host", HOST, "--port", str(port), "--workers", "1"]
    what = ["--backend-store-uri", address(store), "--default-artifact-root", (store / "artifacts").as_uri()]
    print(f"MLflow: http://{HOST}:{port}/{runs}\n(ready in about ten seconds; Ctrl-C ends it)", flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "server", *where, *what])


def free_port() -> int:
    """The first free one from 5000 on the loopback interface. Raises UserError where there is none."""
    for port in range(5000, 5100):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((HOST, port))
            except OSError:
                continue
            return port
    raise UserError(f"the ports 5000 to 5099 on {HOST} are all taken; end one of the programs that listen there")


if __name__ == "__main__":
    sys.exit(main())
