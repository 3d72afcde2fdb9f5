"""UCSD Ped1 and Ped2: clips of a fixed camera over a walkway (Mahadevan et al., CVPR 2010). Training clips are normal;
in the others there are bicycles, carts and skaters.

Train/Train001/001.tif       TIF, JPEG or PNG
Test/Test001/001.tif
Test/Test001_gt/001.bmp      where known: the abnormal pixels, 255 or 1 of a grey BMP or PNG; the number in the name counts
Test/UCSDped2.m              where known: the abnormal frames, an entry a clip from Test001 on, whether it is there or not

    TestVideoFile{end+1}.gt_frame = [5:90, 140:200];     from 1, both ends included

The list decides what is abnormal; without one, whether the label of a frame marks a pixel.
"""

import re
from collections.abc import Iterable
from typing import Any

from pipeline import planes
from pipeline.classes import NORMAL_ABNORMAL
from pipeline.datasets.base import Dataset, Item, Options, find_folder, make_dataset, safe_key, wrong_layout
from pipeline.datasets.source import File, Source
from pipeline.files import UserError, problems
from pipeline.sample import Sample

LAYOUT = "UCSD's clips (Train/Train001/001.tif, Test/Test001/001.tif, Test/Test001_gt/001.bmp, Test/UCSDped2.m)"
FRAME = re.compile(r"(?P<split>Train|Test)/(?P<clip>(?P=split)\d+)/(?P<stem>[^/]+)\.(?i:tiff?|jpe?g|png)")
MASK = re.compile(r"Test/(?P<clip>Test\d+)_gt/(?P<stem>[^/]+)\.(?i:bmp|png|tiff?|jpe?g)")
LIST = re.compile(r"Test/[^/]+\.m")
ENTRY = re.compile(r"TestVideoFile\s*\{\s*end\s*\+\s*1\s*\}\s*\.\s*gt_frame\s*=\s*\[(?P<intervals>[\d:,\s]*)\]\s*;?")
START = re.compile(r"TestVideoFile\s*=\s*\{\s*\}\s*;?")
INTERVAL = re.compile(r"(\d{1,9})(?::(\d{1,9}))?")

DECODERS = {"image": planes.image, "label": planes.mask}

Numbered = dict[str, dict[int, tuple[str, File]]]  # clip -> number -> stem, file
Truth = dict[str, list[range]]  # clip -> its abnormal frames


def open_ucsd_ped(source: Source, options: Options) -> Dataset:
    """Ped1 or Ped2 as a Dataset; a sequence is a clip. `meta` has `abnormal` where it is known without a mask.

    Raises UserError for a list of abnormal frames that cannot be read or is not of these clips.
    """
    base = find_folder(source, "Train", "Test", layout=LAYOUT)
    files = {name.removeprefix(base): file for name, file in source.files.items() if name.startswith(base)}
    frames, masks = _numbered(files, FRAME), _numbered(files, MASK)
    if not frames:
        raise wrong_layout(source, LAYOUT)
    truth, items = _truth(files, frames), []
    for clip, found in frames.items():
        for number, (stem, file) in found.items():
            parts = {"image": file}
            if number in masks.get(clip, {}):
                parts["label"] = masks[clip][number][1]
            split = "train" if clip.startswith("Train") else "test"
            items.append(Item(safe_key(clip, stem), split, clip, stem, parts, _known(clip, number, found, truth)))
    stray = [str(f) for clip, own in masks.items() for n, (_, f) in own.items() if n not in frames.get(clip, {})]
    return make_dataset("ucsd_ped", source, NORMAL_ABNORMAL.name, DECODERS, items, options, stray)


def disagreement(sample: Sample) -> str | None:
    """A sentence where the list of abnormal frames and the mask of a frame contradict each other."""
    listed = sample.meta.get("abnormal")
    if listed is None or sample.label is None or listed == bool((sample.label == 1).any()):
        return None
    says, marks = ("abnormal", "no pixel") if listed else ("normal", "pixels")
    return (
        f"{sample.key} is {says} in the list of the test clips (Test/*.m), but its mask marks {marks}; mend one of them"
    )


def _numbered(files: dict[str, File], pattern: re.Pattern[str]) -> Numbered:
    """Files by clip and the last number in their names. Raises UserError that lists names without and with the same one."""
    found: Numbered = {}
    mistakes = []
    for name, file in files.items():
        if not (match := pattern.fullmatch(name)):
            continue
        clip, stem = found.setdefault(match["clip"], {}), match["stem"]
        numbers = re.findall(r"\d+", stem)
        if not numbers:
            mistakes.append(f"{file} has no number in its name")
        elif (number := int(numbers[-1])) in clip:
            mistakes.append(f"{file} and {clip[number][1]} are both number {number} of {match['clip']}")
        else:
            clip[number] = stem, file
    if mistakes:
        raise problems("frames and masks are matched by their numbers; rename or take away these files:", mistakes)
    return found


# -- the list of abnormal frames ----------------------------------------------------------------------------------


def _known(clip: str, number: int, frames: Iterable[int], truth: Truth) -> dict[str, Any]:
    """The frame's meta. The list counts from 1, whether the names of the clip do or begin with 0."""
    if clip.startswith("Train"):
        return {"abnormal": False}
    if clip not in truth:
        return {}
    place = number + (0 in frames)
    return {"abnormal": any(place in interval for interval in truth[clip])}


def _truth(files: dict[str, File], frames: Numbered) -> Truth:
    """The listed frames of each test clip that is there; empty without a list."""
    lists = [file for name, file in files.items() if LIST.fullmatch(name)]
    if len(lists) > 1:
        raise UserError(f"{lists[0]} and {lists[1]} both stand for the abnormal frames; take one of them away")
    if not lists:
        return {}
    entries = _parse(lists[0])
    truth, mistakes = {}, []
    for clip, found in frames.items():
        number = int(clip.removeprefix("Test")) if clip.startswith("Test") else 0
        if number > len(entries):
            mistakes.append(
                f"{clip} has no entry; there are {len(entries)}, the last in line {entries[-1][0] if entries else 0}"
            )
        elif number:
            (line, truth[clip]), last = entries[number - 1], max(found) + (0 in found)
            if late := [interval[-1] for interval in truth[clip] if interval[-1] > last]:
                mistakes.append(f"line {line} is for {clip} and names frame {max(late)}; the last there is {last}")
    if mistakes:
        raise problems(f"{lists[0]} is not the list of these clips; fetch it again:", mistakes)
    return truth


def _parse(file: File) -> list[tuple[int, list[range]]]:
    """The entries of a list in order, each with the number of its line."""
    entries, mistakes = [], []
    for number, line in enumerate(file.read().decode("utf-8-sig", "replace").splitlines(), 1):
        code = line.partition("%")[0].strip()
        if not code or START.fullmatch(code):
            continue
        entry = ENTRY.fullmatch(code)
        intervals = _intervals(entry["intervals"]) if entry else None
        if intervals is None:
            mistakes.append(f"{file} line {number}: {code[:80]}")
        else:
            entries.append((number, intervals))
    if mistakes:
        raise problems("expected TestVideoFile{end+1}.gt_frame = [61:180]; or [5:90, 140:200] or []; mend:", mistakes)
    return entries


def _intervals(text: str) -> list[range] | None:
    """'5:90, 140:200' -> both with their ends; None where it is nothing of the kind."""
    parts = re.split(r"[,\s]+", re.sub(r"\s*:\s*", ":", text.strip())) if text.strip() else []
    found = []
    for match in map(INTERVAL.fullmatch, parts):
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 0 < first <= last:
            return None
        found.append(range(first, last + 1))
    return found
