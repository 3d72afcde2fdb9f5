"""What self-training is made of against the published figures: sampling, weights, masks, and thresholds of CBST."""

import numpy as np
import pytest
import torch

from pipeline.methods import cbst
from pipeline.methods.selftrain import pseudo_labels, teacher_decay, visible
from pipeline.shards.rare import class_probabilities
from tests.parity import fill
from tests.parity.test_parity_metrics import METRICS


@pytest.mark.parametrize("temperature", ["0.01", "0.1"])
def test_rare_classes_are_drawn_as_often(temperature):
    stored = METRICS["rare_class_sampling"]
    found = class_probabilities(np.array(stored["input_counts"]), float(temperature))
    assert found == pytest.approx(stored[f"T_{temperature}"], rel=1e-6)


def test_pseudo_labels_weigh_as_much_and_the_teacher_follows_as_fast():
    stored = METRICS["pseudo_weight"]
    scores = torch.from_numpy(fill.array("pseudo:logits", (2, 6, 12, 16), -9, 9))
    label, weight = pseudo_labels(scores, 0.968)
    assert weight.item() == pytest.approx(stored["weight"], rel=1e-6)
    assert torch.equal(label, scores.argmax(1))
    for step, factor in stored["ema_factor"].items():
        assert teacher_decay(int(step), 0.999) == pytest.approx(factor, rel=1e-12)
    assert teacher_decay(0, 0.999) == 0


def test_the_same_blocks_are_hidden():
    stored = METRICS["mic_mask"]
    draws = torch.from_numpy(fill.array("mask:uniform", (1, 1, 4, 8), 0, 1))
    seen = visible(draws[:, 0], 0.7, (256, 512))
    assert seen.shape == (1, 1, 256, 512) and seen.mean().item() == stored["visible_share"]
    assert (
        seen[0, 0, ::64, ::64].long().tolist() == seen[0, 0, 63::64, 63::64].long().tolist() == stored["visible_blocks"]
    )


def test_thresholds_of_cbst_are_those_of_a_sort_to_a_bin():
    """The published list without its extra zeros and with every pixel; a bin is at most 0.0004 wide."""
    stored = METRICS["cbst"]["values"]["cb_0.2_clean"]
    scores = fill.array("cbst:logits", (3, 5, 16, 24), -4, 4).astype(np.float64)
    scores[:, 4] -= 9.0
    probabilities = torch.from_numpy(scores).softmax(1).float()
    counts = cbst.histogram(probabilities)
    assert counts.sum(1).tolist() == stored["list_sizes"]
    least = cbst.thresholds(counts, 0.2)
    assert least[4] == 1  # published: 0, which is then replaced by 1
    for found, value in zip(least[:4].tolist(), stored["thresholds"][:4], strict=True):
        assert 0 <= value - found < 4e-4
    label = cbst.pseudo_labels(probabilities, least)
    assert [int((label == c).sum()) for c in range(5)] == stored["pseudo_label_counts"]
    assert int((label == 255).sum()) == stored["ignored"]
