"""Published figures that stand beside ours: those read in the source named, or in a later paper's table."""

from dataclasses import dataclass
from typing import Any

CITYSCAPES_PICTURES = 500  # of Cityscapes val


@dataclass(frozen=True)
class Figure:
    """mIoU in percent, SYNTHIA-RAND-CITYSCAPES -> Cityscapes val, 500 pictures; miou7 at 320 x 640 pixels."""

    method: str  # the name of a translator or segmenter in params.yaml
    label: str
    miou16: float | None
    miou13: float | None
    miou7: float | None
    net: str | None  # None: not said where the figure was read
    source: str


_CTRL = "README of CTRL-UDA (CVPR 2021), which quotes the paper"
_BOARD = "a leaderboard that quotes the paper"
FIGURES = (
    Figure("spigan_no_pi", "SPIGAN without PI", 35.8, 41.2, 46.0, "FCN8s on VGG-16", _CTRL),
    Figure("spigan", "SPIGAN", 36.8, 42.4, 53.4, "FCN8s on VGG-16", _CTRL),
    Figure("adaptsegnet", "AdaptSegNet, multi level", None, 46.7, None, "DeepLab-v2 on ResNet-101", _BOARD),
    Figure("advent", "ADVENT", 41.2, 48.0, 59.4, None, f"{_BOARD}; mIoU7: {_CTRL}"),
    Figure("dada", "DADA", 42.6, 49.8, 63.4, None, _CTRL),
)


def beside(names: set[str]) -> list[Figure]:
    """The figures of methods that this run has cells of."""
    return [figure for figure in FIGURES if figure.method in names]


def why_not_comparable(scores: dict[str, Any]) -> str:
    """One sentence that keeps a reader from ranking our numbers against the published ones."""
    reasons = []
    if scores["dataset"] != "cityscapes":
        reasons.append(
            f"theirs are measured on the {CITYSCAPES_PICTURES} pictures of Cityscapes val, ours on "
            f"{scores['pictures']:,} pictures of {scores['dataset']} {scores['split']}"
        )
    elif (scores["split"], scores["pictures"]) != ("val", CITYSCAPES_PICTURES):
        reasons.append(
            f"ours are measured on {scores['pictures']:,} pictures of {scores['split']} instead of the 500 of val"
        )
    reasons.append("nets, picture sizes and training budgets differ")
    return f"Not comparable in level: {', and '.join(reasons)}; look only at which way a method moves its own baseline."
