"""Clips: every frame has a flow of its own clip, the last one too, and a score knows nothing of the frames to come."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipeline.clip_scoring import figures, judge_clips, keep
from pipeline.clips import clip_samples
from pipeline.datasets.settings import ClipSettings
from pipeline.farneback import FlowSettings
from pipeline.files import UserError, encode_png
from pipeline.methods import flow_anomaly
from pipeline.sample import Sample

H, W = 48, 64
STEP = 3  # pixels to the right in every frame


def write_clips(root: Path, lengths: dict[str, int]) -> Path:
    """Clips whose texture moves to the right, named by path below root."""
    texture = np.random.RandomState(0).randint(0, 255, (H // 4, 64)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
    for name, length in lengths.items():
        (root / name).mkdir(parents=True)
        for t in range(length):
            start = 100 - STEP * t
            (root / name / f"{t + 1:03d}.png").write_bytes(encode_png(texture[:, start : start + W]))
    return root


def test_every_frame_has_the_flow_of_its_own_clip(tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", {f"Train/Train{n:03d}": 3 for n in (1, 2, 3)} | {"Test/Test001": 2})
    made = clip_samples(ClipSettings(name="clips", held_out=0.3), FlowSettings(), tmp_path, "train")
    assert [(m.item.sequence, m.item.frame, m.neighbour.frame, m.sign) for m in made.items] == [
        (f"Train00{n}", *rest) for n in (1, 2) for rest in (("001", "002", 1), ("002", "003", 1), ("003", "002", -1))
    ]  # the third clip is held out whole
    for moment in made.items:
        flow = made.make(moment).flow
        assert flow is not None and flow[1].all()
        assert np.abs(np.median(flow[0][12:-12, 12:-12], (0, 1)) - (STEP, 0)).max() < 0.5


def test_the_end_of_every_drive_is_judged_and_what_comes_before_it_held_out(tmp_path: Path) -> None:
    write_clips(tmp_path / "drives", {"a/left": 10, "b": 10})
    clips = ClipSettings(name="drives", layout="sequences", held_out=0.2)
    frames = {
        split: [(m.item.sequence, m.item.frame) for m in clip_samples(clips, FlowSettings(), tmp_path, split).items]
        for split in ("train", "val", "test")
    }
    assert frames["train"] == [("a_left", f"{n:03d}") for n in range(1, 7)] + [("b", f"{n:03d}") for n in range(1, 7)]
    assert frames["val"] == [("a_left", "007"), ("a_left", "008"), ("b", "007"), ("b", "008")]
    assert frames["test"] == [("a_left", "009"), ("a_left", "010"), ("b", "009"), ("b", "010")]


def test_a_clip_of_one_frame_is_named(tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", {"Train/Train001": 2, "Train/Train002": 2, "Test/Test001": 1})
    with pytest.raises(UserError, match="Test001 has a single frame"):
        clip_samples(ClipSettings(name="clips"), FlowSettings(), tmp_path, "test")


def test_flow_becomes_a_picture_by_one_scale() -> None:
    flow = torch.zeros(3, 2, 1, 1)
    flow[1, 0], flow[2, 0] = 3.0, 6.0
    slow, fast = flow_anomaly.encode(flow, 10.0)[1:]
    assert slow.flatten().tolist() == pytest.approx([0.3, 0, -0.4])
    assert fast.flatten().tolist() == pytest.approx([0.6, 0, 0.2])  # twice the speed is another picture
    mirrored = flow_anomaly.encode(flow * torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1), 10.0)
    assert mirrored[1].flatten().tolist() == pytest.approx([-0.3, 0, -0.4])
    assert flow_anomaly.encode(flow * 100, 10.0).abs().max() == 1


class Stub:
    """A scorer whose maps are planes of the sample's own: the semantic difference is the image, the flow's its u."""

    def __init__(self) -> None:
        self.nets = torch.nn.ModuleDict({"one": torch.nn.Linear(1, 1)})
        self.params: dict = {}
        self.module = SimpleNamespace(
            differences=self.differences, fusion=lambda nets, params: self.told, memory=lambda params: self.memory
        )
        self.told, self.memory = {"maxima": (2.0, 4.0), "weight": 2.0}, 1

    @staticmethod
    def differences(nets: object, params: object, batch: SimpleNamespace) -> dict[str, torch.Tensor]:
        return {"semantic": batch.image[:, 0] + 1, "flow": batch.flow[:, 0]}


def sample(clip: str, frame: int, grey: int, u: float, abnormal: bool | None, mask: np.ndarray | None = None) -> Sample:
    meta = {"sequence": clip, "frame": f"{frame:03d}"} | ({} if abnormal is None else {"abnormal": abnormal})
    flow = np.zeros((4, 6, 2), np.float32)
    flow[1, 2, 0] = u
    return Sample(
        f"{clip}_{frame}", np.full((4, 6, 3), grey, np.uint8), mask, flow=(flow, np.ones((4, 6), bool)), meta=meta
    )


@pytest.fixture
def clips() -> Callable[[int], list[Sample]]:
    """clips(last): two clips of ten frames, of which those with u = 3 are abnormal; the last has `last` as its u."""
    mask = np.zeros((4, 6), np.uint8)
    mask[1, 2] = 1

    def make(last: int) -> list[Sample]:
        drawn = [(c, t, t >= 6) for c in ("Test001", "Test002") for t in range(10)]
        made = [sample(c, t, 0, 3.0 if bad else 1.0, bad, mask if bad else 0 * mask) for c, t, bad in drawn]
        made[-1] = sample("Test002", 9, 0, last, True, mask)
        return made

    return make


def test_scores_do_not_depend_on_frames_to_come_but_the_papers_do(clips: Callable) -> None:
    one, other = ([keep(clip) for clip in judge_clips(Stub(), clips(last))] for last in (3, 30))
    assert [row["score"] for k in one for row in k.rows][:-1] == [row["score"] for k in other for row in k.rows][:-1]
    assert one[1].rows[0]["score"] == pytest.approx(2 * 1 / 4)  # N_S + 2 N_O by the held-out units
    assert (one[0].per_video == other[0].per_video).all() and (one[1].per_video[:-1] != other[1].per_video[:-1]).all()


def test_a_score_remembers_the_frames_before_and_no_other_clip(clips: Callable) -> None:
    stub = Stub()
    stub.memory = 3
    for kept in [keep(clip) for clip in judge_clips(stub, clips(3))]:  # frames 6 to 9 are abnormal
        scores = [row["score"] for row in kept.rows]
        assert scores == pytest.approx([0.5] * 6 + [2.5 / 3, 3.5 / 3, 1.5, 1.5])


def test_each_place_has_a_unit_of_its_own() -> None:
    nets = torch.nn.ModuleDict({"calibration": flow_anomaly.Calibration(flow_anomaly.CONSTANTS, flow_anomaly.USUAL, 2)})
    maps = torch.zeros(4, 8, 12)
    maps[:, 1, 1] = torch.tensor([2.0, 4.0, 6.0, 8.0])  # something moves at the upper left, in every frame another way
    usual = flow_anomaly._usual(maps, 2)
    assert usual.tolist() == [pytest.approx([5 * 2 / 3 + 1.25 / 3, 1.25 / 3]), pytest.approx([1.25 / 3, 1.25 / 3])]
    assert flow_anomaly._usual(maps, 1).tolist() == [[5.0]]
    nets["calibration"].set({"semantic": usual + 1, "flow": usual, "threshold": 0.0, "height": 8, "width": 12})
    semantic, flow = flow_anomaly.fusion(nets, {"flow_anomaly": {}})["maxima"]
    assert flow.shape == (8, 12) and flow[0, 0] == pytest.approx(usual[0, 0]) and semantic == pytest.approx(flow + 1)
    assert flow[0, 0] > flow[0, 5] > flow[0, 11] and flow[0, 11] == pytest.approx(usual[0, 1])


def test_figures_of_frames_pixels_and_unknown_labels(clips: Callable) -> None:
    samples = clips(3)
    found = figures([keep(clip) for clip in judge_clips(Stub(), samples)])
    assert (found["frames"], found["frames_abnormal"], found["frames_with_mask"]) == (20, 8, 20)
    assert found["auc_frame"] == found["auc_pixel"] == found["auc_frame_flow"] == 1.0 and found["eer_frame"] == 0.0
    assert found["auc_frame_semantic"] == 0.5  # the image says nothing
    for one in samples[:3]:
        one.label = None
        del one.meta["abnormal"]
    found = figures([keep(clip) for clip in judge_clips(Stub(), samples)])
    assert found["frames_without_label"] == 3 and found["auc_frame"] == 1.0
    assert [row["label"] for row in found["scores"][:4]] == [None, None, None, 0]
    alone = figures([keep(clip) for clip in judge_clips(Stub(), samples[:4])])
    assert alone["auc_frame"] is None and alone["auc_pixel"] is None
