"""Losses: void labels, parts of a batch, the sky, and where gradients go."""

import math

import pytest
import torch

from pipeline.files import UserError
from pipeline.losses import cross_entropy, depth_l1, depth_transform, labelled_pixels, perceptual_l1


def some_batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 5, 8, 8, generator=generator, dtype=torch.float64)
    label = torch.randint(0, 5, (4, 8, 8), generator=generator)
    label[0, :7] = 255  # pictures with few and with many labelled pixels
    label[1, :, :3] = 255
    return logits, label


def test_all_void_gives_zero_and_zero_gradients():
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = cross_entropy(logits, torch.full((2, 4, 4), 255))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None and not logits.grad.any()


def test_mean_over_labelled_pixels():
    logits, label = some_batch()
    assert cross_entropy(logits, label) == torch.nn.functional.cross_entropy(logits, label, ignore_index=255)


def test_parts_of_a_batch_add_up_to_the_whole():
    """Summed parts take the global count; averaged parts (ranks) their share of it, even where one is all void."""
    logits, label = some_batch()
    label[3] = 255
    whole, count = cross_entropy(logits, label), labelled_pixels(label)
    parts = list(zip(logits.split(1), label.split(1), strict=True))
    summed = sum(cross_entropy(a, b, count) for a, b in parts)
    averaged = sum(cross_entropy(a, b, count / 4) for a, b in parts) / 4
    assert summed.item() == pytest.approx(whole.item(), rel=1e-12)
    assert averaged.item() == pytest.approx(whole.item(), rel=1e-12)


def test_perceptual_loss_counts_each_layer_by_its_mean():
    a = [torch.zeros(2, 3, 4, 4), torch.zeros(2, 64, 2, 2)]
    b = [torch.full_like(a[0], 0.5), torch.full_like(a[1], -0.25)]
    assert perceptual_l1(a, b).item() == pytest.approx(0.75)
    with pytest.raises(ValueError):
        perceptual_l1(a, b[:1])


@pytest.mark.parametrize(
    ("kind", "near", "half", "far"),
    [("linear", 0.0, 0.5, 1.0), ("log", 0.0, math.log(51) / math.log(101), 1.0), ("inverse", 1.0, 0.01 / 0.99, 0.0)],
)
def test_depth_is_finite_and_in_range_and_the_sky_lies_at_the_reach(kind, near, half, far):
    depth = torch.tensor([0.0, 50.0, 100.0, 500.0, math.inf])
    got = depth_transform(depth, kind, 100.0).tolist()
    assert got == pytest.approx([near, half, far, far, far], abs=1e-6)


@pytest.mark.parametrize("kind", ["linear", "log", "inverse"])
def test_depth_transform_is_monotonic(kind):
    goal = depth_transform(torch.linspace(0, 120, 200), kind, 80.0)
    steps = goal.diff()
    assert goal.min() >= 0 and goal.max() <= 1
    assert (steps >= 0).all() or (steps <= 0).all()


def test_depth_loss_with_sky_gives_a_finite_gradient():
    prediction = torch.zeros(1, 1, 2, 2, requires_grad=True)
    goal = depth_transform(torch.tensor([[[[3.0, math.inf], [math.inf, 8.0]]]]), "log", 100.0)
    depth_l1(prediction, goal).backward()
    assert prediction.grad is not None and prediction.grad.isfinite().all() and prediction.grad.all()


def test_unknown_transform_and_senseless_reach_are_refused():
    with pytest.raises(UserError, match="linear, log or inverse"):
        depth_transform(torch.ones(1), "square", 100.0)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="reach"):
        depth_transform(torch.ones(1), "linear", 0.0)
