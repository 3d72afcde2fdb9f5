"""Scratch checkpoints: written atomically, the newest two kept, bound to a fingerprint of everything that made them."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

SCRATCH = Path(".scratch")


class Checkpoints:
    """Checkpoints of one stage under one fingerprint; those of another fingerprint are removed."""

    def __init__(self, stage: str, mark: str, root: Path = SCRATCH) -> None:
        self._stage = root / "train" / stage
        self.folder = self._stage / mark[:32]
        if self._stage.exists():
            for other in self._stage.iterdir():
                if other != self.folder:
                    shutil.rmtree(other, ignore_errors=True)  # another rank may be at it too
        self.folder.mkdir(parents=True, exist_ok=True)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state of a step under a temporary name, rename, and drop all but the newest two."""
        path = self.folder / f"{step:09d}.pt"
        temporary = path.with_suffix(".tmp")
        try:
            with open(temporary, "wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except (OSError, RuntimeError) as error:
            temporary.unlink(missing_ok=True)
            told = error.__context__ if isinstance(error.__context__, OSError) else error  # torch has words of its own
            if isinstance(told, OSError):
                told.filename = str(path)
            raise told from None
        for old in self._paths()[:-2]:
            old.unlink()

    def newest(self) -> dict[str, Any] | None:
        """The newest state that can be read, or None; one that was cut short falls back to the one before."""
        for path in reversed(self._paths()):
            try:
                return torch.load(path, map_location="cpu", weights_only=True)
            except Exception as error:
                print(
                    f"checkpoint {path.name} cannot be read ({type(error).__name__}); trying the one before",
                    file=sys.stderr,
                )
        return None

    def told(self) -> str:
        """Where the newest one is, as the end of a sentence; nothing where there is none."""
        return f"; the last good checkpoint is {self._paths()[-1]}" if self._paths() else ""

    def remove(self) -> None:
        """Drop everything: the stage has ended."""
        shutil.rmtree(self._stage, ignore_errors=True)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.pt"))
