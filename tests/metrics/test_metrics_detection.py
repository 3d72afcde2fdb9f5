"""Detection figures: scikit-learn and plain definitions as the reference; ties, edges, what may not be rewarded."""

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from pipeline.files import UserError
from pipeline.metrics.detection import auc, average_precision, eer, frame_level, fuse, macro, normalised, roc
from pipeline.metrics.pixel_level import (
    dual_roc,
    overlap,
    pixel_level,
    pixel_record,
    pixel_roc,
)

RNG = np.random.default_rng(0)
CASES = [(n, values) for n in (2, 7, 300) for values in (1, 2, 5, 10_000)]  # few values: nearly all tied


def drawn(n: int, values: int) -> tuple[np.ndarray, np.ndarray]:
    labels = RNG.permutation(np.arange(n) % 3 == 0)
    return (RNG.integers(0, values, n) + labels * RNG.integers(0, 2, n)) / values, labels


@pytest.mark.parametrize("n,values", CASES)
def test_as_scikit_learn_with_any_share_of_ties(n, values):
    scores, labels = drawn(n, values)
    for ours, theirs in zip(
        roc(scores, labels), reference.roc_curve(labels, scores, drop_intermediate=False), strict=True
    ):
        assert np.array_equal(ours, theirs)
    assert auc(scores, labels) == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(scores, labels) == pytest.approx(
        reference.average_precision_score(labels, scores), abs=1e-12
    )
    fpr, tpr, _ = reference.roc_curve(labels, scores)
    position = fpr + tpr  # rises strictly along the curve, and is 1 on FPR = 1 - TPR
    assert eer(scores, labels) == pytest.approx(np.interp(1, position, fpr), abs=1e-12)


def test_equal_error_rate_by_hand():
    assert eer([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.5  # on a corner
    assert eer([1, 1, 1, 1], [0, 0, 0, 1]) == 0.5  # on the diagonal of a tie
    assert eer([3, 2, 2, 1], [1, 1, 0, 0]) == 0.25  # from (0, 1/2) to (1/2, 1)
    assert eer([0, 1], [0, 1]) == 0.0 and eer([1, 0], [0, 1]) == 1.0


def test_order_does_not_matter_to_the_last_bit():
    scores, labels = drawn(300, 40)
    clips = RNG.integers(0, 6, 300)
    order = RNG.permutation(300)
    assert frame_level(scores, labels, clips) == pytest.approx(
        frame_level(scores[order], labels[order], clips[order]), rel=1e-14
    )
    assert (auc(scores, labels), eer(scores, labels)) == (
        auc(scores[order], labels[order]),
        eer(scores[order], labels[order]),
    )


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], []])
def test_one_label_gives_no_figure(labels):
    scores, clips = np.arange(len(labels)), ["a"] * len(labels)
    got = frame_level(scores, labels, clips)
    assert got.pop("clips_left_out") == len(set(clips)) and set(got.values()) == {None}
    with pytest.raises(UserError, match="needs normal and abnormal"):
        roc(scores, labels)


def test_bad_input_is_told_and_not_scored():
    with pytest.raises(UserError, match="2 of 3 scores are NaN or infinite"):
        auc([0.1, np.nan, np.inf], [0, 1, 1])
    with pytest.raises(UserError, match="1 of 4 values of a map"):
        pixel_record(np.array([[0, np.nan], [1, 2]]), np.zeros((2, 2), bool))
    for unknown in ([0, 1, None], [0, 1, 255], [0, 1, np.nan]):  # none of them is "normal"
        with pytest.raises(ValueError, match="0 .normal. or 1"):
            auc([1, 2, 3], unknown)
    with pytest.raises(ValueError, match="one length"):
        auc([1, 2, 3], [0, 1])
    with pytest.raises(ValueError, match="names of clips"):
        normalised([1, 2, 3], ["a", "a"])


def test_scaling_each_clip_is_not_the_pooled_figure():
    """An abnormal clip far above a normal one: perfect as it is, worthless once each clip is stretched to 0..1."""
    scores, labels, clips = [5.0, 6.0, 0.0, 1.0], [1, 1, 0, 0], ["b", "b", "a", "a"]
    assert normalised(scores, clips).tolist() == [0, 1, 0, 1]
    got = frame_level(scores, labels, clips)
    assert json.loads(json.dumps(got)) == got
    assert (got["auc_pooled"], got["auc_clip_minmax"], got["auc_clip_mean"]) == (1.0, 0.5, None)


def test_clips_may_lie_scattered_and_constant():
    assert normalised([1.0, 7.0, 3.0, 7.0, 2.0], ["a", "b", "a", "b", "a"]).tolist() == [0.0, 0.0, 1.0, 0.0, 0.5]
    assert macro([1, 9, 2, 9, 0], [0, 1, 1, 1, 1], ["a", "b", "a", "b", "a"]) == (0.5, 1)


# -- pixel level --------------------------------------------------------------------------------------------------


def by_definition(maps: np.ndarray, masks: np.ndarray, dual: bool) -> tuple[np.ndarray, np.ndarray]:
    """(fpr, tpr) with every distinct value of every map as a threshold."""
    points = [(0.0, 0.0)]
    abnormal = masks.any((1, 2))
    for threshold in np.unique(maps)[::-1]:
        fired = maps >= threshold
        hits = (fired & masks).sum((1, 2))
        found = abnormal & (hits / np.maximum(masks.sum((1, 2)), 1) >= 0.4)
        if dual:
            found &= hits / np.maximum(fired.sum((1, 2)), 1) >= 0.1
        points.append((fired.any((1, 2))[~abnormal].mean(), max(found[abnormal].mean(), points[-1][1] * dual)))
    return tuple(np.array(points).T)


@pytest.mark.parametrize("values", [3, 12, 100_000])
def test_pixel_curves_equal_their_definitions(values):
    rng = np.random.default_rng(0)
    maps = rng.integers(0, values, (14, 12, 15)) / values
    masks = np.zeros(maps.shape, bool)
    for map, mask in zip(maps[:8], masks[:8], strict=True):
        (top, left), (height, width) = rng.integers(0, 6, 2), rng.integers(1, 6, 2)
        mask[top : top + height, left : left + width] = True
        map[mask] += rng.integers(0, values) / values / 2
    records = [pixel_record(*one) for one in zip(maps, masks, strict=True)]
    for curve, dual in ((pixel_roc, False), (dual_roc, True)):
        fpr, tpr = by_definition(maps, masks, dual)
        ours = curve(records, masks.any((1, 2)))
        assert set(zip(*ours[:2], strict=True)) == set(zip(fpr, tpr, strict=True))
        name = "dual40_10" if dual else "pixel40"
        assert pixel_level(records, masks.any((1, 2)))[f"auc_{name}"] == pytest.approx(
            np.trapezoid(tpr, fpr), abs=1e-12
        )
    assert values < 100 or any(len(record.dual) > 1 for record in records)  # the rule is not monotone


def test_forty_percent_are_enough_and_less_is_not():
    map, mask = np.zeros((5, 7)), np.zeros((5, 7), bool)
    mask[:, :2] = True  # ten pixels
    map[mask] = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert pixel_record(map, mask).reach40 == 6  # the fourth
    mask[0, 2] = True  # 4 of 11 are too few
    assert pixel_record(map, mask).reach40 == 5
    one = np.zeros((5, 7), bool)
    one[2, 3] = True
    assert pixel_record(map + 3 * one, one)[:2] == (9, 3)
    assert pixel_record(map, np.zeros((5, 7), bool)).reach40 is None


def test_flooding_pays_at_pixel_level_but_not_at_dual_level():
    masks = np.zeros((4, 20, 20), bool)
    masks[:2, 3:8, 4:8] = True  # 5 % of the frame
    flood = np.zeros(masks.shape)
    flood[:2] = 1.0
    sharp = masks.astype(float)
    labels = [1, 1, 0, 0]
    flooded, exact = ([pixel_record(*one) for one in zip(maps, masks, strict=True)] for maps in (flood, sharp))
    assert pixel_level(flooded, labels) == {
        "auc_pixel40": 1.0,
        "eer_pixel40": 0.0,
        "auc_dual40_10": 0.0,
        "eer_dual40_10": 1.0,
    }
    got = pixel_level(exact, labels)
    assert (got["auc_pixel40"], got["auc_dual40_10"], got["eer_dual40_10"]) == (1.0, 1.0, 0.0)
    assert exact[0].dual.tolist() == [[0.0, 1.0]]  # from 0 downwards all is flooded
    wide = np.zeros((20, 20), bool)
    wide[:2] = True  # exactly a tenth: allowed
    assert pixel_record(np.ones((20, 20)), wide).dual.tolist() == [[-np.inf, 1.0]]


def test_pixel_level_without_both_labels_or_with_contradictions():
    normal = pixel_record(np.ones((2, 2)), np.zeros((2, 2), bool))
    abnormal = pixel_record(np.ones((2, 2)), np.ones((2, 2), bool))
    assert set(pixel_level([normal, normal], [0, 0]).values()) == {None}
    assert set(pixel_level([abnormal], [1]).values()) == {None}
    assert set(pixel_level([], []).values()) == {None}
    with pytest.raises(UserError, match="1 of 2 frames contradict"):
        pixel_level([normal, abnormal], [1, 1])
    with pytest.raises(ValueError, match="one size"):
        pixel_record(np.ones((2, 2)), np.ones((2, 3), bool))


# -- overlap and fusion -------------------------------------------------------------------------------------------


def test_overlap_is_of_all_pixels_and_of_each_abnormal_picture_as_scikit_learn_has_it():
    maps = [RNG.random(size).round(2) for size in ((6, 8), (5, 5), (7, 3))]
    masks = [map + RNG.random(map.shape) > 1.2 for map in maps]
    masks[1][:] = False  # a normal picture, whose pixels count as false alarms
    got = overlap(maps, masks, 0.7)
    values, truth = (np.concatenate([one.ravel() for one in parts]) for parts in (maps, masks))
    each = [(masks[i].ravel(), maps[i].ravel() > 0.7) for i in (0, 2)]
    assert got == pytest.approx(
        {
            "auc_pixel": reference.roc_auc_score(truth, values),
            "iou": np.mean([reference.jaccard_score(*pair) for pair in each]),
            "dice": np.mean([reference.f1_score(*pair) for pair in each]),
        }
    )
    assert overlap(maps[1:2], masks[1:2], 0.7) == overlap([], [], 0.7) == {"auc_pixel": None, "iou": None, "dice": None}
    assert overlap(maps[:1], masks[:1], 2.0)["dice"] == 0.0  # nothing fires


def test_fusion_by_given_maxima_does_not_look_ahead():
    semantic, flow = RNG.random((2, 5, 3, 4)) + np.arange(5)[:, None, None]  # the maxima come last
    whole, begin = (fuse(semantic[:t], flow[:t], maxima=(2.0, 4.0)) for t in (5, 2))
    assert np.array_equal(whole[:2], begin)
    assert not np.allclose(fuse(semantic, flow)[:2], fuse(semantic[:2], flow[:2]))
    assert np.allclose(fuse(semantic, flow), fuse(semantic, flow, maxima=(semantic.max(), flow.max())))
    each = np.linspace(1, 2, 12).reshape(3, 4)  # a unit for every place
    assert np.allclose(fuse(semantic, flow, 0.5, (each, 4.0)), semantic / each + 0.5 * flow / 4)


def test_fusion_of_zeros_and_of_what_does_not_fit():
    zeros, ones = np.zeros((2, 3, 4)), np.ones((2, 3, 4))
    assert np.array_equal(fuse(zeros, ones), 2 * ones) and not fuse(zeros, zeros).any()
    for maxima in ((0.0, 1.0), (1.0, float("nan")), (np.zeros((3, 4)), 1.0)):  # a scorer that was never calibrated
        with pytest.raises(ValueError, match="above 0"):
            fuse(ones, ones, maxima=maxima)
    with pytest.raises(ValueError, match="one size"):
        fuse(ones[:, :1], ones)
    with pytest.raises(UserError, match="24 of 24 flow"):
        fuse(ones, ones * np.nan)
