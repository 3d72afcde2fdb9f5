"""`python -m pipeline.tracking sync` fills MLflow from the result files; `... ui` does so and opens MLflow's pages."""

import argparse
import os
import socket
import sys

from pipeline.files import UserError
from pipeline.tracking.fill import sync
from pipeline.tracking.store import address, folder, opened, server, shown

HOST = "127.0.0.1"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m pipeline.tracking", description=__doc__)
    parser.add_argument("command", choices=["sync", "ui"])
    command = parser.parse_args().command
    try:
        new = sync()
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"tracking: {new} new runs")
    if command == "ui":
        ui()
    return 0


def ui() -> None:
    """Become MLflow's server on the loopback interface, at the first free port from 5000; ends with Ctrl-C."""
    if uri := server():
        print(f"MLflow runs at {shown(uri)}")
        return
    with opened() as opening:  # so that the database is there before the server looks for it
        runs = f"#/experiments/{opening.experiment}/runs?workflowType=machine_learning"  # opens at "Model training"
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # its queue serves language models only
    port, store = _free_port(), folder()
    where = ["--host", HOST, "--port", str(port), "--workers", "1"]
    what = ["--backend-store-uri", address(store), "--default-artifact-root", (store / "artifacts").as_uri()]
    print(f"MLflow: http://{HOST}:{port}/{runs}\n(ready in about ten seconds; Ctrl-C ends it)", flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "server", *where, *what])


def _free_port() -> int:
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
