"""The spread over the classes that CDA's layout loss sees, and the loss, against the published figures."""

import pytest
import torch

from pipeline.methods.cda import sharpened_spread, spread_loss
from tests.parity import fill
from tests.parity.test_parity_metrics import METRICS


def test_the_sharpened_spread_and_its_loss():
    stored = METRICS["cda_label_distribution"]
    scores = torch.from_numpy(fill.array("cda:logits", (2, 22, 8, 12), -6, 6)).double()
    goal = torch.from_numpy(fill.array("cda:target", (2, 22), 0, 1)).double()
    found = sharpened_spread(scores)
    for row, wanted in zip(found, stored["sharpened_distribution"], strict=True):
        assert row.tolist() == pytest.approx(wanted, rel=1e-6)
    loss = spread_loss(goal / goal.sum(1, keepdim=True), found.log())
    assert loss.item() == pytest.approx(stored["loss"], rel=1e-6)
