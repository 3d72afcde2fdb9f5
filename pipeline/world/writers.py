"""Write the world as data sets in the published layouts, so that it comes in through the same door as real data.

| part | layout |
|---|---|
| source | SYNTHIA-RAND-CITYSCAPES: RGB/, GT/LABELS/ (16-bit: class id R, instance G), GT/COLOR/, Depth/ (16-bit cm) |
| target | Cityscapes: leftImg8bit/{train,val}/worldtown/, gtFine/{train,val}/worldtown/ (labelIds, instanceIds) |
| perfect | RGB/ alone: the scenes of `source` in the target's look, under the same names |
| sequences | DOMAIN/DRIVE/{RGB,GT/LABELS,Depth,flow,flow_back}/FRAME.png; see `_sequence_frame` |
| night | day/NAME.png and night/NAME.png: one street of the target by day and after dark |
| anomaly | UCSD Ped, in PNG: Train/TrainNNN/, Test/TestNNN/ (grey), Test/TestNNN_gt/ (0, 255), Test/world.m; see `_clip_frame` |
| scans | arrays in scans.npz, as MedMNIST: {train,test}_images (grey), _labels (1: abnormal), _masks (of lesions, 0 and 1) |
| digits | arrays in digits.npz: {train,test}_images (grey), _labels (the digit), _factors (slant, width) |

Every frame is a pure function of the world's seed and its index, so the bytes do not depend on the number of processes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.classes import CITYSCAPES19, CITYSCAPES_IDS, SYNTHIA_RAND_CITYSCAPES, SYNTHIA_TABLES
from pipeline.cluster import ALONE, ClusterSettings, map_items
from pipeline.files import UserError, atomic_dir, encode_png, progress
from pipeline.sample import encode_depth, encode_flow
from pipeline.world.digits import copies
from pipeline.world.frame import Frame, render, stream
from pipeline.world.knobs import ABNORMAL
from pipeline.world.materials import BICYCLE, FENCE, PERSON
from pipeline.world.scans import scan
from pipeline.world.settings import WorldSettings

# First index of each kind of frame: the ranges can never meet, however many frames are asked for (at most 100,000).
FIRST = {"train": 0, "val": 500_000, "sequences": 600_000, "night": 700_000, "clips": 800_000, "tests": 900_000}
FIRST |= {"healthy_scans": 1_000_000, "abnormal_scans": 1_100_000, "test_scans": 1_200_000}

LANEMARKING = SYNTHIA_TABLES["rand_cityscapes"][1]
SYNTHIA_ID = np.array(
    [{train: raw for raw, train in SYNTHIA_RAND_CITYSCAPES.items()}[i] for i in range(len(CITYSCAPES19))]
)
CITYSCAPES_ID = np.array([{train: raw for raw, train in CITYSCAPES_IDS.items()}[i] for i in range(len(CITYSCAPES19))])
# GT/COLOR has Cityscapes' colours but for these two, as the publisher's README lists them
SYNTHIA_FENCE, SYNTHIA_LANEMARKING = (64, 64, 128), (102, 102, 156)


def write_part(part: str, root: Path | str, settings: WorldSettings, cluster: ClusterSettings = ALONE) -> None:
    """Write one part of the world into the new folder `root`, all of it or nothing.

    part: a key of PARTS (see the table above). Raises UserError for an unknown part.
    """
    if part not in PARTS:
        raise UserError(f"the world has no part {part!r}; it has {', '.join(PARTS)}")
    with atomic_dir(root) as folder:
        PARTS[part](folder, settings, cluster)


def synthia_labels(frame: Frame) -> np.ndarray:
    """GT/LABELS of SYNTHIA-RAND-CITYSCAPES: uint16 (H, W, 3) in RGB order; R class id, G instance id, B 0."""
    ids = np.where(frame.lanemarking, LANEMARKING, SYNTHIA_ID[frame.label])
    return np.stack([ids, frame.instance, np.zeros_like(ids)], -1).astype(np.uint16)


def synthia_colours(frame: Frame) -> np.ndarray:
    """GT/COLOR of SYNTHIA-RAND-CITYSCAPES: uint8 RGB (H, W, 3)."""
    colours = CITYSCAPES19.paint(frame.label)
    colours[frame.label == FENCE] = SYNTHIA_FENCE
    colours[frame.lanemarking] = SYNTHIA_LANEMARKING
    return colours


def cityscapes_instances(frame: Frame) -> np.ndarray:
    """gtFine_instanceIds: uint16 (H, W); id * 1000 + number (from 0 a class) for people and vehicles, else id."""
    ids = CITYSCAPES_ID[frame.label]
    out = ids.copy()
    for cls in range(PERSON, BICYCLE + 1):
        mine = (frame.label == cls) & (frame.instance > 0)
        numbers = np.unique(frame.instance[mine], return_inverse=True)[1]
        out[mine] = ids[mine] * 1000 + numbers
    return out.astype(np.uint16)


def _put(path: Path, picture: np.ndarray) -> None:
    path.write_bytes(encode_png(picture))


def _depth3(frame: Frame) -> np.ndarray:
    return np.repeat(encode_depth(frame.depth)[..., None], 3, -1)


def _folders(root: Path, *names: str) -> None:
    for name in names:
        (root / name).mkdir(parents=True)


def _write_source(root: Path, settings: WorldSettings, cluster: ClusterSettings) -> None:
    _folders(root, "RGB", "GT/LABELS", "GT/COLOR", "Depth")
    map_items(partial(_source_frame, root, settings), range(settings.source), cluster, "simulate source")


def _source_frame(root: Path, settings: WorldSettings, index: int) -> None:
    cv2.setNumThreads(1)  # the processes share the cores
    frame, name = render(settings.seed, "source", index, settings.size, flow=False), f"{index:07d}.png"
    _put(root / "RGB" / name, frame.image)
    _put(root / "GT/LABELS" / name, synthia_labels(frame))
    _put(root / "GT/COLOR" / name, synthia_colours(frame))
    _put(root / "Depth" / name, _depth3(frame))


def _write_perfect(root: Path, settings: WorldSettings, cluster: ClusterSettings) -> None:
    _folders(root, "RGB")
    map_items(partial(_perfect_frame, root, settings), range(settings.source), cluster, "simulate perfect")


def _perfect_frame(root: Path, settings: WorldSettings, index: int) -> None:
    cv2.setNumThreads(1)
    frame = render(settings.seed, "source_in_target_look", index, settings.size, flow=False)
    _put(root / "RGB" / f"{index:07d}.png", frame.image)


def _write_target(root: Path, settings: WorldSettings, cluster: ClusterSettings) -> None:
    for split, count in (("train", settings.target_train), ("val", settings.target_val)):
        _folders(root, f"leftImg8bit/{split}/worldtown", f"gtFine/{split}/worldtown")
        map_items(partial(_target_frame, root, settings, split), range(count), cluster, f"simulate target {split}")


def _target_frame(root: Path, settings: WorldSettings, split: str, number: int) -> None:
    cv2.setNumThreads(1)
    index = FIRST[split] + number
    frame, name = render(settings.seed, "target", index, settings.size, flow=False), f"worldtown_{index:06d}_{0:06d}"
    _put(root / "leftImg8bit" / split / "worldtown" / f"{name}_leftImg8bit.png", frame.image)
    _put(
        root / "gtFine" / split / "worldtown" / f"{name}_gtFine_labelIds.png",
        CITYSCAPES_ID[frame.label].astype(np.uint8),
    )
    _put(root / "gtFine" / split / "worldtown" / f"{name}_gtFine_instanceIds.png", cityscapes_instances(frame))


def _write_sequences(root: Path, settings: WorldSettings, cluster: ClusterSettings) -> None:
    moments = []
    for domain in ("source", "target"):
        for drive in range(settings.sequences.count):
            _folders(root / domain / f"{drive:06d}", "RGB", "GT/LABELS", "Depth", "flow", "flow_back")
            moments += [(domain, drive, t) for t in range(settings.sequences.length)]
    map_items(partial(_sequence_frame, root, settings), moments, cluster, "simulate sequences")


def _sequence_frame(root: Path, settings: WorldSettings, moment: tuple[str, int, int]) -> None:
    """Domain is source or target, DRIVE and FRAME have six digits. GT/LABELS and Depth are as in the part `source`.

    flow goes to the next frame and flow_back to the one before, in KITTI's 16-bit encoding.
    """
    cv2.setNumThreads(1)
    domain, drive, t = moment
    frame = render(settings.seed, domain, FIRST["sequences"] + drive, settings.size, t)
    assert frame.flow and frame.flow_back
    folder, name = root / domain / f"{drive:06d}", f"{t:06d}.png"
    _put(folder / "RGB" / name, frame.image)
    _put(folder / "GT/LABELS" / name, synthia_labels(frame))
    _put(folder / "Depth" / name, _depth3(frame))
    # a flow stands only where both of its frames are in the data set
    if t + 1 < settings.sequences.length:
        _put(folder / "flow" / name, encode_flow(*frame.flow))
    if t > 0:
        _put(folder / "flow_back" / name, encode_flow(*frame.flow_back))


def _write_night(root: Path, settings: WorldSettings, cluster: ClusterSettings) -> None:
    _folders(root, "day", "night")
    map_items(partial(_night_pair, root, settings), range(settings.night), cluster, "simulate night")


def _night_pair(root: Path, settings: WorldSettings, number: int) -> None:
    cv2.setNumThreads(1)
    for folder, domain in (("day", "target"), ("night", "target_at_night")):
        frame = render(settings.seed, domain, FIRST["night"] + number, settings.size, flow=False)
        _put(root / folder / f"{number:06d}.png", frame.image)


def _write_anomaly(root: Path, settings: WorldSettings, cluster: ClusterSettings) -> None:
    for split, count in (("Train", settings.anomaly.train), ("Test", settings.anomaly.test)):
        moments = [(split, clip, t) for clip in range(1, count + 1) for t in range(1, settings.anomaly.length + 1)]
        for clip in range(1, count + 1):
            _folders(root / split, f"{split}{clip:03d}", *([f"Test{clip:03d}_gt"] if split == "Test" else []))
        abnormal = map_items(partial(_clip_frame, root, settings), moments, cluster, f"simulate anomaly {split}")
    found: dict[int, list[int]] = {clip: [] for clip in range(1, count + 1)}
    for (_, clip, number), bad in zip(moments, abnormal, strict=True):
        found[clip] += [number] * bad
    lines = [f"TestVideoFile{{end+1}}.gt_frame = [{_intervals(frames)}];" for frames in found.values()]
    (root / "Test" / "world.m").write_text("\n".join(["TestVideoFile = {};", *lines, ""]))


def _intervals(frames: list[int]) -> str:
    """[3, 4, 5, 9] -> 3:5, 9:9"""
    first = [n for n in frames if n - 1 not in frames]
    last = [n for n in frames if n + 1 not in frames]
    return ", ".join(f"{a}:{b}" for a, b in zip(first, last, strict=True))


def _clip_frame(root: Path, settings: WorldSettings, moment: tuple[str, int, int]) -> bool:
    """One frame of a clip, with its mask if it is a test; True where something abnormal is seen.

    All clips show one street. In the tests the kinds of `knobs.ABNORMAL` take turns; about half of the way a car comes into view or a person steps onto the road.
    """
    cv2.setNumThreads(1)
    split, clip, number = moment
    domain, index, t = "watched", FIRST["clips"] + clip, number - 1
    if split == "Test":
        domain, index = f"watched_{ABNORMAL[(clip - 1) % len(ABNORMAL)]}", FIRST["tests"] + clip
        share = stream(settings.seed, domain, index, "entry").uniform(0.4, 0.6)
        t -= max(1, int(share * settings.anomaly.length))
    frame = render(settings.seed, domain, index, settings.size, t, flow=False)
    _put(root / split / f"{split}{clip:03d}" / f"{number:03d}.png", cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY))
    if split == "Test":
        _put(root / split / f"Test{clip:03d}_gt" / f"{number:03d}.png", frame.abnormal.astype(np.uint8) * 255)
    return bool(frame.abnormal.any())


def _write_scans(root: Path, settings: WorldSettings, cluster: ClusterSettings) -> None:
    """Every second test is abnormal; in train the abnormal ones lie among the healthy ones."""
    asked = settings.scans
    train = [(FIRST["healthy_scans"] + number, False) for number in range(asked.train)]
    train += [(FIRST["abnormal_scans"] + number, True) for number in range(asked.abnormal)]
    order = stream(settings.seed, "scans", 0, "order").permutation(len(train))
    test = [(FIRST["test_scans"] + number, number % 2 == 1) for number in range(asked.test)]
    arrays = _scan_arrays("train", [train[i] for i in order], settings) | _scan_arrays("test", test, settings)
    np.savez_compressed(root / "scans.npz", **arrays)


def _scan_arrays(split: str, shown: Sequence[tuple[int, bool]], settings: WorldSettings) -> dict[str, Any]:
    drawn = [scan(settings.seed, *one) for one in progress(shown, f"simulate scans {split}")]
    return {
        f"{split}_images": np.stack([picture for picture, _ in drawn]),
        f"{split}_labels": np.array([abnormal for _, abnormal in shown], np.uint8),
        f"{split}_masks": np.stack([mask for _, mask in drawn]),
    }


def _write_digits(root: Path, settings: WorldSettings, cluster: ClusterSettings) -> None:
    arrays: dict[str, Any] = {}
    for split in ("train", "test"):
        kinds = zip(("images", "labels", "factors"), copies(settings.seed, settings.digits.copies, split), strict=True)
        arrays |= {f"{split}_{kind}": array for kind, array in kinds}
    np.savez_compressed(root / "digits.npz", **arrays)


PARTS: dict[str, Callable[[Path, WorldSettings, ClusterSettings], None]] = {
    "source": _write_source,
    "target": _write_target,
    "perfect": _write_perfect,
    "sequences": _write_sequences,
    "night": _write_night,
    "anomaly": _write_anomaly,
    "scans": _write_scans,
    "digits": _write_digits,
}
