"""Sequences: folders of numbered frames, as the embedded world writes them, or any drive's.

    SEQUENCE/RGB/FRAME.png        8-bit RGB
    SEQUENCE/GT/LABELS/FRAME.png  16-bit, as SYNTHIA-RAND-CITYSCAPES (class id, instance id)       \\
    SEQUENCE/Depth/FRAME.png      16-bit centimetres                                                | where known
    SEQUENCE/flow/FRAME.png       KITTI's 16-bit flow to the next frame                             | (the world)
    SEQUENCE/flow_back/FRAME.png  ... to the frame before                                          /

The pictures of a drive without truth may lie in any folder: it is the sequence, the number in a name is the frame. A
first folder named train, val or test is the split.
"""

from pipeline import planes
from pipeline.classes import CITYSCAPES19
from pipeline.datasets import synthia
from pipeline.datasets.base import PICTURES, Dataset, Item, Options, make_dataset, safe_key, wrong_layout
from pipeline.datasets.source import Source

TRUTH = {"label": "GT/LABELS", "instance": "GT/LABELS", "depth": "Depth", "flow": "flow", "flow_back": "flow_back"}
NO_PICTURES = ("GT", "Depth", "flow", "flow_back")
SPLITS = ("train", "val", "test")
WORLD = synthia.SynthiaOptions(table="rand_cityscapes", labels="raw16", lanemarking="road")
DECODERS = synthia.decoders(WORLD) | {"flow": planes.flow, "flow_back": planes.flow}


def open_sequences(source: Source, options: Options) -> Dataset:
    """Sequences as a Dataset of cityscapes19."""
    items = []
    for name, file in source.files.items():
        *folders, leaf = name.split("/")
        if not leaf.lower().endswith(PICTURES) or not folders or set(folders) & set(NO_PICTURES):
            continue
        head = folders[:-1] if folders[-1] == "RGB" else folders
        stem = leaf.rpartition(".")[0]
        truths = {part: "/".join((*head, folder, f"{stem}.png")) for part, folder in TRUTH.items()}
        files = {"image": file} | {part: source.files[n] for part, n in truths.items() if n in source.files}
        split = head[0] if head and head[0] in SPLITS else "train"
        items.append(Item(safe_key(*head, stem), split, "/".join(head), stem, files))
    if not items:
        raise wrong_layout(source, "sequences (SEQUENCE/RGB/FRAME.png, or folders of numbered pictures)")
    return make_dataset("sequences", source, CITYSCAPES19.name, DECODERS, items, options)
