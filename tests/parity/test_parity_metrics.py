"""Metrics against the published evaluators' figures, and those of stated definitions."""

import json

import numpy as np
import pytest

from pipeline.classes import CATEGORIES7, CITYSCAPES19, CITYSCAPES_ID_TO_TRAIN, merge_table
from pipeline.metrics.detection import auc, eer, frame_level, fuse, macro
from pipeline.metrics.distribution import frechet, kid
from pipeline.metrics.flow import flow_errors
from pipeline.metrics.pixel_level import pixel_level, pixel_record, pixel_roc
from pipeline.metrics.segmentation import confusion, iou, mean, merge, pixel_accuracy, scores
from tests.parity import fill
from tests.parity.fixture import HERE

METRICS = json.loads((HERE / "metrics.json").read_text())
ARRAYS = np.load(HERE / "metrics.npz")
RTOL = 1e-6


def close(got: list[float | None], stored: list[float | None]) -> None:
    assert [value is None for value in got] == [value is None for value in stored]
    assert [v for v in got if v is not None] == pytest.approx([v for v in stored if v is not None], rel=RTOL)


@pytest.mark.parametrize("n", [19, 16, 13, 7])
def test_confusion_and_iou_of_the_adaptation_code(n):
    stored = METRICS["iou"]["cases"][str(n)]
    matrix = confusion(ARRAYS[f"iou/{n}/prediction"], ARRAYS[f"iou/{n}/truth"], n)
    assert matrix.tolist() == stored["confusion"]
    close(iou(matrix), stored["iou"])
    assert mean(iou(matrix)) == pytest.approx(stored["miou"], rel=RTOL)
    assert pixel_accuracy(matrix) == pytest.approx(stored["pixel_accuracy"], rel=RTOL)
    assert matrix.sum() == stored["labelled_pixels"]


def official(case: str) -> tuple[np.ndarray, dict]:
    """Confusion matrix with the column of unknown predictions, and the official evaluator's figures."""
    prediction, truth = (CITYSCAPES_ID_TO_TRAIN[ARRAYS[f"official/{name}"]] for name in (f"prediction_{case}", "truth"))
    return confusion(prediction, truth, 19, unknown=True), METRICS["official_cityscapes"]["cases"][case]


@pytest.mark.parametrize("case", ["A", "B"])
def test_the_official_cityscapes_evaluator(case):
    matrix, stored = official(case)
    got = scores(matrix, "cityscapes19")
    close([got["iou"][name] for name in CITYSCAPES19.names], [stored["class_iou"][name] for name in CITYSCAPES19.names])
    assert got["miou"] == got["miou19"] == pytest.approx(stored["miou"], rel=RTOL)
    merged = iou(merge(matrix, merge_table("cityscapes19", "categories7"), 7))
    close(merged, [stored["category_iou"][name] for name in CATEGORIES7.names])
    assert got["miou7"] == pytest.approx(stored["category_miou"], rel=RTOL)


def test_void_predictions_are_false_negatives():
    """Case B predicts void on a tenth of the pixels; leaving those pixels out would flatter the result."""
    matrix, stored = official("B")
    assert mean(iou(matrix[:, :19])) == pytest.approx(stored["miou_if_void_predictions_were_dropped_instead"], rel=RTOL)


def test_synthia_protocols_by_name():
    matrix, _ = official("A")
    stored = METRICS["synthia_protocol"]
    got = scores(matrix[:, :19], "cityscapes19")
    assert got["protocols"] == pytest.approx(
        {
            "miou19": stored["miou19"],
            "miou16_of_19": stored["miou16_from_19_class_confusion"],
            "miou13_of_19": stored["miou13_from_19_class_confusion"],
            "miou16_absent_void": stored["miou16_truth_of_the_3_absent_classes_ignored"],
            "miou13_of_16": stored["miou13_from_that_16_class_confusion"],
            "miou13_absent_void": stored["miou13_truth_of_all_6_classes_ignored"],
            "miou16_as_19_over_16": stored["miou16_as_miou19_times_19_over_16"],
        },
        rel=RTOL,
    )
    assert got["miou16"] == got["protocols"]["miou16_of_19"]
    assert got["miou13"] == got["protocols"]["miou13_of_19"]


FEATURES = {
    "a": fill.array("features:a", (64, 6)),
    "b": (0.8 * fill.array("features:b", (80, 6)).astype(np.float64) + 0.3),
    "c": fill.array("features:c", (5, 8)),
    "d": fill.array("features:d", (5, 8)),
}


def test_frechet_distance():
    stored = METRICS["frechet"]
    assert frechet(FEATURES["a"], FEATURES["b"]) == pytest.approx(stored["value"], rel=1e-6)
    assert frechet(FEATURES["a"], FEATURES["a"]) == pytest.approx(stored["self"], abs=1e-9)
    assert frechet(FEATURES["c"], FEATURES["d"]) == pytest.approx(stored["singular"], rel=1e-4)


def test_kernel_distance():
    stored = METRICS["kid"]
    a, b = FEATURES["a"], FEATURES["b"]
    assert kid(a, b) == pytest.approx(stored["unbiased"], rel=1e-6)
    assert kid(a, b[:64]) == pytest.approx(stored["unbiased_equal"], rel=1e-6)
    assert kid(a[:32], a[32:]) == pytest.approx(stored["unbiased_halves_of_a"], rel=1e-6)


def test_flow_errors():
    stored = METRICS["flow_error"]
    truth = fill.array("flow:a", (2, 2, 12, 16), -8, 8).astype(np.float64)
    estimate = truth + fill.array("flow:noise", (2, 2, 12, 16), -4, 4)
    valid = fill.array("flow:valid", (2, 12, 16), 0, 1) < 0.8
    truth, estimate = np.moveaxis(truth, 1, -1), np.moveaxis(estimate, 1, -1)
    got = flow_errors(estimate, truth, valid)
    assert got["pixels"] == stored["valid_pixels"]
    assert got["epe"] == pytest.approx(stored["epe_valid"], rel=RTOL)
    assert got["outliers"] == pytest.approx(stored["outliers_valid"], rel=RTOL)
    assert got["angular"] == pytest.approx(stored["angular_valid"], rel=RTOL)
    assert flow_errors(estimate, truth)["epe"] == pytest.approx(stored["epe_all"], rel=RTOL)


def test_frame_level_of_clips():
    stored = METRICS["frame_roc"]
    scores, labels, clips = stored["scores"], stored["labels"], [f"video{n // 20}" for n in range(60)]
    got = frame_level(scores, labels, clips)
    assert got == pytest.approx(
        {
            "auc_pooled": stored["auc_all_frames"],
            "eer_pooled": stored["eer_all_frames"],
            "ap_pooled": stored["average_precision"],
            "auc_clip_minmax": stored["auc_after_min_max_per_video"],
            "eer_clip_minmax": stored["eer_after_min_max_per_video"],
            "auc_clip_mean": stored["mean_auc_per_video"],
            "clips_left_out": 0,
        },
        rel=RTOL,
    )
    close([macro(scores[n : n + 20], labels[n : n + 20], clips[:20])[0] for n in (0, 20, 40)], stored["auc_per_video"])


def test_the_forty_percent_rule_of_ucsd():
    stored = METRICS["ucsd_pixel_level"]
    maps, masks = ARRAYS["ucsd/maps_hundredths"], ARRAYS["ucsd/masks"].astype(bool)
    abnormal = masks.any((1, 2))
    records = [pixel_record(*one) for one in zip(maps, masks, strict=True)]
    fpr, tpr, thresholds = pixel_roc(records, abnormal)
    for row in stored["table"]:
        at = np.flatnonzero(thresholds >= round(100 * row["threshold"]))[-1]
        assert (fpr[at], tpr[at]) == (row["fpr"], row["tpr"])
        assert [bool(one.top >= round(100 * row["threshold"])) for one in records] == row["detected_frames"]
        for one, coverage in zip(records, row["coverage"], strict=True):
            assert (one.reach40 is None) == (coverage is None)
            if one.reach40 is not None:
                assert (one.reach40 >= round(100 * row["threshold"])) == (coverage >= 0.4)
    got = pixel_level(records, abnormal)
    assert got["auc_pixel40"] == pytest.approx(stored["pixel_auc"], rel=RTOL)
    assert got["eer_pixel40"] == pytest.approx(stored["pixel_eer"], rel=RTOL)
    tops = [one.top for one in records]
    assert (auc(tops, abnormal), eer(tops, abnormal)) == (stored["frame_auc"], stored["frame_eer"])


def test_fusion_of_two_difference_maps():
    stored = METRICS["video_fusion"]
    semantic = fill.array("fusion:semantic", (6, 4, 5), 0, 3).repeat(4, 1).repeat(4, 2)
    fused = fuse(semantic, fill.array("fusion:flow", (6, 16, 20), 0, 5))
    assert fused.max((1, 2)).tolist() == pytest.approx(stored["frame_maxima"], rel=RTOL)
    assert fill.probe("fusion/A", fused) == pytest.approx(stored["fused"], rel=RTOL)
