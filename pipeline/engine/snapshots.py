"""The last ten snapshots of a training: how much a score depends on where it happened to stop.

An adversarial training has no minimum to end in. Published tables often name the best of many snapshots, by the split
that is reported; here the last one is the model, and the spread over the last ten is told beside it.
"""

import re
import shutil
from pathlib import Path

from torch import nn

from pipeline.files import UserError, atomic_dir, write_atomic

COUNT = 10
NAME = re.compile(r"(\d{9})\.safetensors")


class Snapshots:
    """Writes the weights of the nets called `names` to `folder` after each of the last `COUNT` times `every` steps."""

    def __init__(self, folder: Path, names: set[str], steps: int, every: int) -> None:
        self.folder, self.names = folder, names
        self.steps = {step for n in range(COUNT) if (step := steps - n * every) > 0}

    def take(self, step: int, nets: nn.ModuleDict) -> None:
        """Write the weights after `step` steps, if that is one of the steps. Taken again, they are the same."""
        from safetensors.torch import save

        if step in self.steps:
            state = {k: v for k, v in nets.state_dict().items() if k.split(".")[0] in self.names}
            tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
            write_atomic(self.folder / f"{step:09d}.safetensors", save(tensors))

    def keep(self, out: Path) -> None:
        """Copy them to `out`, all at once."""
        with atomic_dir(out) as folder:
            for file in read_snapshots(self.folder).values():  # a kill may have left half a file beside them
                shutil.copy(file, folder)


def read_snapshots(folder: Path) -> dict[int, Path]:
    """step -> file of weights, in order. Raises UserError where there is none."""
    found = {int(name[1]): file for file in sorted(folder.glob("*")) if (name := NAME.fullmatch(file.name))}
    if not found:
        raise UserError(f"{folder} holds no snapshot of a training; run its stage again (dvc repro)")
    return found
