"""SimGAN's nets and losses, beyond what the parity fixtures pin."""

import pytest
import torch

from pipeline.nets.init import init_normal
from pipeline.nets.simgan import LocalDiscriminator, Refiner, local_adversarial, self_regularisation


@pytest.mark.parametrize("size", [(35, 55), (64, 96), (3, 5)])
def test_a_refiner_keeps_the_size_and_the_range(size):
    picture = Refiner(width=8, blocks=2)(torch.rand(2, 3, *size) * 2 - 1)
    assert picture.shape == (2, 3, *size)
    assert picture.abs().max() <= 1


def test_a_refiner_without_downsampling_sees_near_pixels_only():
    net = Refiner(channels=1, width=8, blocks=4)
    image = torch.zeros(1, 1, 41, 41, requires_grad=True)
    net(image)[0, 0, 20, 20].backward()
    assert image.grad is not None
    rows = image.grad[0, 0].any(1).nonzero()
    assert rows.min() >= 20 - 9 and rows.max() <= 20 + 9  # 1 of the first convolution, 2 of each block


def test_each_score_judges_a_patch():
    net = LocalDiscriminator(channels=1)
    image = torch.rand(2, 1, 35, 55, requires_grad=True)
    logits = net(image)
    assert logits.shape == (2, 2, 9, 14)
    logits[0, 1, 4, 7].backward()
    assert image.grad is not None
    touched = image.grad[0, 0].nonzero()
    assert (touched.max(0).values - touched.min(0).values + 1 <= 23).all()
    assert not image.grad[1].any()


def test_sums_are_means_times_the_count():
    logits, x, y = torch.randn(3, 2, 9, 14), torch.rand(3, 1, 35, 55), torch.rand(3, 1, 35, 55)
    for real in (True, False):
        mean, total = (local_adversarial(logits, real, how) for how in ("mean", "sum"))
        assert total.item() == pytest.approx(3 * 9 * 14 * mean.item(), rel=1e-5)
    mean, total = (self_regularisation(x, y, how) for how in ("mean", "sum"))
    assert total.item() == pytest.approx(3 * 35 * 55 * mean.item(), rel=1e-5)


def test_a_refiner_follows_the_discriminator_as_far_as_the_l1_lets_it():
    """D learns to tell bright real pictures; R then passes for real, unless a heavy L1 ties it to the synthetic ones."""
    random = torch.Generator().manual_seed(0)
    D = LocalDiscriminator(channels=1)
    init_normal(D, random, 0.1)
    synthetic = torch.rand(4, 1, 12, 12, generator=random) - 0.9
    optimizer = torch.optim.Adam(D.parameters(), 2e-3)
    for _ in range(15):
        loss = local_adversarial(D(synthetic + 0.8), True, "mean") + local_adversarial(D(synthetic), False, "mean")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def refined(weight: float) -> tuple[float, float]:
        """D's probability of real, and the distance to the synthetic pictures."""
        R = Refiner(channels=1, width=8, blocks=1)
        init_normal(R, torch.Generator().manual_seed(1), 0.1)
        optimizer = torch.optim.Adam(R.parameters(), 1e-2)
        for _ in range(20):
            picture = R(synthetic)
            held = self_regularisation(picture, synthetic, "mean")
            optimizer.zero_grad()
            (local_adversarial(D(picture), True, "mean") + weight * held).backward()
            optimizer.step()
        return D(picture).softmax(1)[:, 1].mean().item(), held.item()

    assert D(synthetic).softmax(1)[:, 1].mean() < 0.2
    (real, far), (fake, near) = refined(0.01), refined(100.0)
    assert real > 0.8 and fake < 0.3
    assert near < 0.5 * far
