"""Which data sets are the source, the target, the aligned pairs, the clips, the scans and the digits: the blocks of params.yaml
that are called so."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from pipeline.params import Parameters

FOLDER_NAME = re.compile(r"[A-Za-z0-9_-]+")


def _folder_name(name: str) -> str:
    if not FOLDER_NAME.fullmatch(name):
        raise ValueError("it names a folder of data/raw by letters, digits, _ and -")
    return name


Name = Annotated[str, AfterValidator(_folder_name)]


class SourceSettings(Parameters):
    """The synthetic set at data/raw/NAME, in a SYNTHIA layout, or plain folders. What no file shows must be said."""

    name: Name = "world_source"
    layout: Literal["synthia", "folder"] = "synthia"  # folder: labels, if any, are trainIds of `classes`
    classes: str = "cityscapes19"  # of folder
    table: Literal["rand_cityscapes", "seqs"] = "rand_cityscapes"  # 12 is motorcycle in one, lane marking in the other
    labels: Literal["raw16", "parsed_ids", "train_ids"] = "raw16"
    lanemarking: Literal["road", "void"] = "road"
    depth: Literal["centimetres", "none"] = "centimetres"
    label_folder: str = ""  # beside RGB, where labels lie in no published folder
    inside: str = ""  # folder inside the root, where that holds more than one data set

    def options(self) -> dict[str, Any]:
        """What the reader of this layout is told."""
        if self.layout == "folder":
            return {"inside": self.inside, "dev_share": 0.0, "classes": self.classes}
        return {"dev_share": 0.0} | self.model_dump(
            include={"table", "labels", "lanemarking", "label_folder", "inside"}
        )


class TargetSettings(Parameters):
    """The real set at data/raw/NAME. `dev` is the last share of every sequence of its published train split.

    A set without a published val may give up whole sequences of train for one.
    """

    name: Name = "world_target"
    layout: Literal["cityscapes", "kitti", "vistas", "camvid", "idd_lite", "folder"] = "cityscapes"
    inside: str = ""
    version: str = ""  # of vistas, "v1.2" or "v2.0", where a package holds both
    classes: str = "cityscapes19"  # of folder: the table of its labels
    dev_share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    val_sequences: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def options(self) -> dict[str, Any]:
        """What the reader of this layout is told."""
        own = {"vistas": {"version": self.version}, "folder": {"classes": self.classes}}.get(self.layout, {})
        return {"inside": self.inside, "dev_share": self.dev_share, "val_sequences": self.val_sequences, **own}


class PairSettings(Parameters):
    """Aligned pairs of pictures at data/raw/NAME; one is called `image`, the other `paired`."""

    name: Name = "world_night"
    layout: Literal["folders", "side_by_side"] = "folders"
    folders: Annotated[list[str], Field(min_length=2, max_length=2)] = ["day", "night"]  # of `image`, of `paired`
    image_half: Literal["left", "right"] = "left"  # of side_by_side
    val_share: Annotated[float, Field(gt=0, lt=1)] = 0.15  # last part of every sequence, where no folder is called val
    inside: str = ""

    def options(self) -> dict[str, Any]:
        """What the reader is told."""
        return self.model_dump(exclude={"name"})


class ClipSettings(Parameters):
    """Clips at data/raw/NAME: normal ones to learn from, and others to be judged. `sequences` are drives or folders of
    numbered frames, of which nobody says what is abnormal."""

    name: Name = "world_anomaly"
    layout: Literal["ucsd_ped", "sequences"] = "ucsd_ped"
    held_out: Annotated[float, Field(gt=0, lt=1)] = (
        0.2  # share of the normal clips, whole ones: what a score is compared with
    )
    inside: str = ""

    def options(self) -> dict[str, Any]:
        """What the reader is told."""
        whole = {"val_sequences": self.held_out} if self.layout == "ucsd_ped" else {}
        return {"inside": self.inside, "dev_share": 0.0, **whole}


class ScanSettings(Parameters):
    """Pictures of one kind at data/raw/NAME, each with a category. Normal ones of train are learnt from, but for the last
    share, which with train's abnormal ones is what settings are chosen on."""

    name: Name = "world_scans"
    layout: Literal["npz", "idx"] = "npz"
    normal: int = 0  # the category of normal pictures; all others are abnormal
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2  # last share of train's normal ones
    judged: Literal["dev", "val", "test"] = "test"  # the split that is scored; dev while settings are chosen
    size: Annotated[int, Field(ge=8, le=512)] = 64  # pixels a side that they are brought to
    inside: str = ""

    def options(self) -> dict[str, Any]:
        """What the reader is told."""
        return {"inside": self.inside, "dev_share": 0.0}


class DigitSettings(Parameters):
    """Small pictures at data/raw/NAME whose codes are learnt, each with a category; train is used whole."""

    name: Name = "world_digits"
    layout: Literal["npz", "idx"] = "npz"
    judged: Literal["val", "test"] = "test"  # the split whose codes are scored
    size: Annotated[int, Field(ge=8, le=512)] = 28  # pixels a side that they are brought to
    inside: str = ""

    def options(self) -> dict[str, Any]:
        """What the reader is told."""
        return {"inside": self.inside, "dev_share": 0.0}
