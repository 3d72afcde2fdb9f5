"""Rules of the confusion matrix that a reader of the table relies on."""

import json

import numpy as np
import pytest

from pipeline.classes import CAMVID11, TABLES, merge_table
from pipeline.metrics.segmentation import confusion, iou, mean, merge, scores


def test_void_truth_is_left_out_with_what_is_predicted_on_it():
    truth = np.array([[0, 0, 255, 255]], np.uint8)
    matrix = confusion(np.array([[0, 1, 1, 2]], np.uint8), truth, 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert iou(matrix) == [0.5, 0.0, None]  # predicted but absent: 0; absent from both: no figure


def test_unknown_predictions_are_an_error_or_false_negatives():
    truth, prediction = np.zeros((1, 4), np.uint8), np.array([[0, 255, 0, 0]], np.uint8)
    with pytest.raises(ValueError, match="255"):
        confusion(prediction, truth, 2)
    assert iou(confusion(prediction, truth, 2, unknown=True)) == [0.75, None]


@pytest.mark.parametrize("unknown", [False, True])
def test_counts_are_those_of_single_pixels_for_any_type_and_in_blocks(unknown, monkeypatch):
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(-1, 6, (7, 30)), rng.integers(-1 if unknown else 0, 6 if unknown else 4, (7, 30))
    wanted = np.zeros((4, 5), np.int64)
    for true, told in zip(truth.ravel(), prediction.ravel(), strict=True):
        if 0 <= true < 4:
            wanted[true, told if 0 <= told < 4 else 4] += 1
    monkeypatch.setattr("pipeline.metrics.segmentation.BLOCK", 64)
    got = confusion(prediction, truth, 4, unknown=unknown)
    assert got.dtype == np.int64 and np.array_equal(got, wanted[:, : 4 + unknown])
    with pytest.raises(ValueError, match="class 300 is predicted"):
        confusion(np.full((1, 2), 300), np.zeros((1, 2), int), 4)


def test_sizes_must_agree():
    with pytest.raises(ValueError, match="differ in size"):
        confusion(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2)


@pytest.mark.parametrize("table", TABLES)
def test_scores_are_plain_json_and_null_where_meaningless(table):
    n = len(TABLES[table])
    matrix = np.diag(np.arange(n))  # the first class is absent
    got = scores(matrix, table)
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    assert got["miou"] == got["pixel_accuracy"] == 1.0
    assert list(got["iou"]) == list(TABLES[table].names) and got["iou"][TABLES[table].names[0]] is None
    only_city = [got[key] for key in ("miou19", "miou16", "miou13")]
    assert only_city == ([1.0] * 3 if table == "cityscapes19" else [None] * 3)
    assert got["miou7"] == (1.0 if table in ("cityscapes19", "categories7") else None)


def test_nothing_labelled_gives_no_figure():
    got = scores(np.zeros((19, 19), int), "cityscapes19")
    assert got["miou"] is got["pixel_accuracy"] is got["miou16"] is None
    assert set(got["protocols"].values()) == {None}
    assert mean([]) is None


def test_merging_counts_equals_merging_labels():
    rng = np.random.default_rng(0)
    truth, prediction = (rng.integers(0, 19, (40, 50)).astype(np.uint8) for _ in range(2))
    table = merge_table("cityscapes19", "camvid11")
    merged = merge(confusion(prediction, truth, 19), table, len(CAMVID11))
    assert np.array_equal(merged, confusion(table[prediction], table[truth], len(CAMVID11)))


def test_the_matrix_must_fit_the_table():
    with pytest.raises(ValueError, match="11 classes"):
        scores(np.zeros((19, 19), int), "camvid11")
