"""Distribution, paired and flow metrics: names, symmetries, edges; their values are pinned by the parity tests."""

import numpy as np
import pytest
import torch
import torchvision

from pipeline.files import UserError
from pipeline.losses import perceptual_l1
from pipeline.metrics.distribution import distances, frechet, kid
from pipeline.metrics.flow import flow_errors
from pipeline.metrics.paired import feature_distance, figures, lpips_net, psnr, ssim
from pipeline.nets.perceptual import feature_net

RNG = np.random.default_rng(0)


def test_names_carry_network_and_count_and_only_inception_is_fid():
    a, b = RNG.normal(size=(30, 4)), RNG.normal(size=(30, 4))
    assert set(distances(a, b, "lite0")) == {"frechet_lite0_30", "kid_lite0_30"}
    assert set(distances(a, b[:20], "lite0")) == {"frechet_lite0_30x20", "kid_lite0_30x20"}
    assert set(distances(a, b, "inception")) == {"fid_30", "kid_inception_30"}


def test_frechet_is_symmetric_and_sees_a_shift_exactly():
    a = RNG.normal(size=(50, 320))  # fewer rows than dimensions, as in a small study
    assert frechet(a, a + 2) == pytest.approx(4 * 320, rel=1e-9)
    b = RNG.normal(size=(400, 320))
    assert frechet(a, b) == pytest.approx(frechet(b, a), rel=1e-9)


def test_kid_of_one_distribution_is_around_zero():
    values = [kid(RNG.normal(size=(100, 8)), RNG.normal(size=(120, 8))) for _ in range(20)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(20) + 1e-12
    assert min(values) < 0


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="n, m > 1"):
        frechet(np.zeros((1, 4)), np.zeros((5, 4)))


def test_paired_metrics_are_per_picture():
    truth = torch.rand(2, 3, 64, 64) * 2 - 1
    picture = truth.clone()
    picture[1] += 0.2  # a tenth of the range
    assert psnr(picture, truth).tolist() == pytest.approx([float("inf"), 20.0], rel=1e-5)
    similar = ssim(picture, truth)
    assert similar[0].item() == pytest.approx(1.0, abs=1e-5) and similar[1] < 0.999
    net = feature_net("lite0")
    distance = feature_distance(net, picture, truth)
    assert distance[0] == 0
    assert distance[1].item() == pytest.approx(perceptual_l1(net(picture[1:]), net(truth[1:])).item(), rel=1e-4)


def test_lpips_is_that_of_the_given_alexnet(tmp_path):
    torch.manual_seed(0)
    alexnet = torchvision.models.alexnet()
    for step, keys in enumerate((alexnet.state_dict(), {"fc.weight": torch.zeros(1)})):
        torch.save(keys, tmp_path / f"{step}.pth")
    truth, other = torch.rand(2, 1, 3, 64, 96) * 2 - 1
    found = figures(feature_net("lite0"), truth, truth, lpips_net(tmp_path / "0.pth"))
    assert found["lpips_alex"] == 0 and "lpips_alex" not in figures(feature_net("lite0"), truth, truth)
    net = lpips_net(tmp_path / "0.pth")
    unit = [net.scaling_layer(picture) for picture in (truth, other)]
    expected, weights = 0.0, iter(net.lins)
    for layer in alexnet.features[:12]:  # Zhang et al. 2018, equation 1
        unit = [layer(x) for x in unit]
        if isinstance(layer, torch.nn.ReLU):
            a, b = (x / x.norm(dim=1, keepdim=True) for x in unit)
            expected += next(weights)((a - b) ** 2).mean()
    assert net(truth, other).item() == pytest.approx(expected.item(), rel=1e-4)
    with pytest.raises(UserError, match=r"missing: slice1\.0\.weight"):
        lpips_net(tmp_path / "1.pth")


def test_flow_without_a_valid_pixel_has_no_figure():
    flow = np.zeros((4, 5, 2))
    assert flow_errors(flow, flow, np.zeros((4, 5), bool)) == {
        "epe": None,
        "outliers": None,
        "angular": None,
        "pixels": 0,
    }


def test_an_outlier_must_be_off_by_three_pixels_and_five_percent():
    truth = np.array([[10.0, 0.0], [100.0, 0.0], [10.0, 0.0]])
    estimate = truth + [[2.9, 0.0], [4.0, 0.0], [4.0, 0.0]]
    assert flow_errors(estimate, truth)["outliers"] == pytest.approx(1 / 3)
