"""Run a stage that stands still in the middle of its work, so that it can be killed there: python slow.py STAGE ARGUMENTS

Writing a set of shards, it stops inside the second shard; training, inside its second checkpoint; simulating, at its
third file.
"""

import runpy
import sys
import time
from pathlib import Path
from typing import Any

MARK = Path("standing-still")


def stand_still() -> None:
    MARK.touch()
    time.sleep(600)


def slow_shards() -> None:
    from pipeline.shards import writer

    append, written = writer._append, []

    def slow(tar: Any, shard: str, coded: Any) -> Any:
        row = append(tar, shard, coded)
        written.append(shard)
        if written.count("000001.tar") == 2:
            tar.fileobj.flush()
            stand_still()
        return row

    writer._append = slow


def slow_checkpoints() -> None:
    import torch

    from pipeline.engine import loop

    loop.CHECKPOINT_SECONDS = -1.0  # at every tick
    save, saved = torch.save, []

    def slow(state: Any, file: Any) -> None:
        if saved:
            file.write(b"half a checkpoint")
            file.flush()
            stand_still()
        saved.append(state)
        save(state, file)

    torch.save = slow


def slow_pictures() -> None:
    from pipeline.world import writers

    put, done = writers._put, []

    def slow(path: Path, picture: Any) -> None:
        put(path, picture)
        done.append(path)
        if len(done) == 3:
            stand_still()

    writers._put = slow


if __name__ == "__main__":
    stage = sys.argv[1]
    sys.argv = sys.argv[1:]
    {"train": slow_checkpoints, "segment": slow_checkpoints, "simulate": slow_pictures}.get(stage, slow_shards)()
    runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)
