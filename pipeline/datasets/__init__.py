"""Readers of published layouts: `open_dataset(name, root, **options)`, then `items(split)` and `read(item, parts)`."""

from pathlib import Path
from typing import Any

from pipeline.datasets.base import Dataset, Item, Options, Reader, parse_options
from pipeline.datasets.camvid import open_camvid
from pipeline.datasets.cityscapes import open_cityscapes
from pipeline.datasets.folder import FolderOptions, open_folder
from pipeline.datasets.idd_lite import open_idd_lite
from pipeline.datasets.idx import open_idx
from pipeline.datasets.kitti import open_kitti
from pipeline.datasets.npz import open_npz
from pipeline.datasets.pairs import PairOptions, open_pairs
from pipeline.datasets.sequences import open_sequences
from pipeline.datasets.source import open_source
from pipeline.datasets.synthia import SynthiaOptions, open_synthia
from pipeline.datasets.ucsd_ped import open_ucsd_ped
from pipeline.datasets.vistas import VistasOptions, open_vistas
from pipeline.files import UserError

__all__ = ["LAYOUTS", "Dataset", "Item", "Reader", "open_dataset"]

LAYOUTS: dict[str, tuple[Any, type[Options]]] = {
    "camvid": (open_camvid, Options),
    "cityscapes": (open_cityscapes, Options),
    "folder": (open_folder, FolderOptions),
    "idd_lite": (open_idd_lite, Options),
    "idx": (open_idx, Options),
    "kitti": (open_kitti, Options),
    "npz": (open_npz, Options),
    "pairs": (open_pairs, PairOptions),
    "sequences": (open_sequences, Options),
    "synthia": (open_synthia, SynthiaOptions),
    "ucsd_ped": (open_ucsd_ped, Options),
    "vistas": (open_vistas, VistasOptions),
}


def open_dataset(name: str, root: Path | str, **options: Any) -> Dataset:
    """The data set `name` (a key of LAYOUTS) at `root`: a folder, a .tar, a .zip or a .npz.

    Options of every layout: inside (a folder in the root), dev_share (default 0.15). Raises UserError for a wrong
    layout, an unreadable root, and for missing or contradicting options.
    """
    if name not in LAYOUTS:
        raise UserError(f"data set '{name}' is unknown; known are {', '.join(sorted(LAYOUTS))}")
    opener, model = LAYOUTS[name]
    settings = parse_options(model, name, options)
    source = open_source(root)
    return opener(source.inside(settings.inside), settings)
