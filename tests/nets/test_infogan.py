"""InfoGAN's nets and losses, beyond what the parity fixtures pin."""

import math

import pytest
import torch
from torch import nn

from pipeline.files import UserError
from pipeline.losses_codes import categorical_information, gaussian_nll, pair_information, uniform_information
from pipeline.nets.calibration import measure_norms
from pipeline.nets.infogan import InfoDHead, InfoGenerator, InfoQHead, InfoTrunk, begin_at, begin_undecided
from pipeline.nets.init import init_normal

CODE = 5 + 3 + 1  # noise, categories, continuous: the last two of a single number lose an axis where code squeezes


def built(size: int, width: int = 4) -> nn.ModuleDict:
    nets = {
        "G": InfoGenerator(size, CODE, width=width),
        "trunk": InfoTrunk(size, width=width),
        "D": InfoDHead(size, width),
        "Q": InfoQHead(size, categories=3, continuous=1, width=width),
    }
    all_nets = nn.ModuleDict(nets)
    init_normal(all_nets, torch.Generator().manual_seed(0), std=0.2)
    return all_nets


def answers(nets: nn.ModuleDict, code: torch.Tensor) -> dict[str, torch.Tensor]:
    picture = nets["G"](code)
    features = nets["trunk"](picture)
    logits, mean, log_variance = nets["Q"](features)
    return {"picture": picture, "D": nets["D"](features), "logits": logits, "mean": mean, "log_variance": log_variance}


@pytest.mark.parametrize("size", [28, 32])
def test_a_code_alone_is_drawn_and_judged_as_in_a_batch(size):
    nets, codes = built(size).eval().double(), torch.randn(3, CODE, dtype=torch.float64)
    together, alone = answers(nets, codes), answers(nets, codes[:1])
    shapes = {"picture": (1, 1, size, size), "D": (1,), "logits": (1, 3), "mean": (1, 1), "log_variance": (1, 1)}
    assert {name: tuple(x.shape) for name, x in alone.items()} == shapes
    for name, x in alone.items():
        torch.testing.assert_close(x, together[name][:1], rtol=0, atol=1e-12)
    assert together["picture"].min() < 0 and together["picture"].abs().max() <= 1


@pytest.mark.parametrize("size", [28, 32])
def test_what_q_learns_reaches_the_shared_trunk_and_the_generator(size):
    nets, chosen = built(size), torch.tensor([0, 2, 1, 2])
    codes = torch.randn(4, CODE)
    codes[:, 5:8] = nn.functional.one_hot(chosen, 3)
    got = answers(nets, codes)
    unit = gaussian_nll(codes[:, 8:], got["mean"])
    (unit - categorical_information(got["logits"], chosen)).backward()
    untouched = {name for name, p in nets.named_parameters() if p.grad is None or not p.grad.any()}
    assert untouched == {"D.conv.weight", "D.conv.bias", "Q.conv_var.weight", "Q.conv_var.bias"}


def test_half_widths():
    with torch.device("meta"):
        whole, half = built_sizes(64), built_sizes(32)
    assert whole == {"tconv1": 1024, "tconv2": 128, "tconv3": 64, "conv1": 64, "conv2": 128, "conv3": 1024}
    assert half == {name: channels // 2 for name, channels in whole.items()}


def built_sizes(width: int) -> dict[str, int]:
    nets = (InfoGenerator(width=width), InfoTrunk(width=width))
    layers = [item for net in nets for item in net.named_children() if "conv" in item[0] and item[0] != "tconv4"]
    return {name: layer.out_channels for name, layer in layers}


@pytest.mark.parametrize("part", [InfoGenerator, InfoTrunk, InfoDHead, InfoQHead])
def test_other_sizes_are_refused(part):
    with pytest.raises(UserError, match="squares of 28 or 32 pixels, not 30"):
        part(30)


def test_other_pictures_are_refused():
    with pytest.raises(UserError, match="takes pictures of 1 x 28 x 28 .* not 3 x 32 x 32"):
        InfoTrunk(width=4)(torch.zeros(1, 3, 32, 32))


def test_information_is_none_where_q_guesses_and_the_entropy_where_it_knows():
    code = torch.tensor([0, 3, 1])
    assert categorical_information(torch.zeros(3, 4), code).item() == pytest.approx(0, abs=1e-6)
    knows = 50.0 * nn.functional.one_hot(code, 4)
    assert categorical_information(knows, code).item() == pytest.approx(math.log(4))


def test_likelihood_of_continuous_codes():
    code, mean = torch.rand(5, 2), torch.randn(5, 2)
    log_variance = torch.linspace(-6, 2, 10).view(5, 2)
    for given, deviation in ((None, torch.ones(5, 2)), (log_variance, torch.exp(log_variance / 2))):
        expected = -torch.distributions.Normal(mean, deviation).log_prob(code).sum(1).mean()
        assert gaussian_nll(code, mean, given).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_likelihood_of_a_code_that_is_told_exactly_is_bounded():
    code = torch.rand(5, 2)
    told = [gaussian_nll(code, code, torch.full((5, 2), low)).item() for low in (-6.0, -100.0)]
    assert told[0] == told[1] == pytest.approx(math.log(2 * math.pi) - 6)


def test_the_information_of_uniform_codes_is_that_of_a_normal_channel():
    code = torch.rand(20000, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    read = code + torch.tensor([0.1, 0.3]) * torch.randn(20000, 2, generator=torch.Generator().manual_seed(1))
    normal = torch.distributions.Normal(read, torch.tensor([0.1, 0.3]))
    expected = (math.log(2) + normal.log_prob(code).mean(0)).sum()
    assert uniform_information((read - code).square().mean(0)).item() == pytest.approx(expected.item(), abs=0.02)


def test_pairs_that_agree_tell_the_logarithm_of_their_categories_and_chance_tells_nothing():
    agree, chance = torch.eye(4) / 4, torch.full((4, 4), 1 / 16)
    assert pair_information(agree).item() == pytest.approx(math.log(4), abs=1e-5)
    assert pair_information(chance).item() == pytest.approx(0, abs=1e-5)
    unused = torch.diag(torch.tensor([0.5, 0.25, 0.25, 0.0]))
    lost = [(pair_information(agree, b) - pair_information(unused, b)).item() for b in (1.0, 2.5)]
    assert lost[1] == pytest.approx(4 * lost[0], abs=1e-5)  # 2 b - 1 entropies of what is used


def test_the_first_pictures_are_as_bright_as_they_are_asked_to_be():
    net = InfoGenerator(28, CODE, width=32)
    init_normal(net, torch.Generator().manual_seed(0))
    begin_at(net, 0.12)
    with torch.no_grad():
        drawn = net(torch.rand(64, CODE, generator=torch.Generator().manual_seed(1)) * 2 - 1)
    assert ((drawn + 1) / 2)[..., 2:-2, 2:-2].mean() == pytest.approx(0.12, abs=0.03)


def test_the_first_answers_of_q_differ():
    nets = built(28)
    begin_undecided(nets["Q"], torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = nets["Q"](nets["trunk"](torch.rand(32, 1, 28, 28)))[0]
    assert 0.2 < logits.std(0).mean() < 2


def test_norms_that_are_measured_again_treat_the_batch_as_training_does():
    nets, pictures = built(28).eval(), torch.rand(24, 1, 28, 28, generator=torch.Generator().manual_seed(0))

    def told() -> torch.Tensor:
        return torch.cat([nets["Q"](nets["trunk"](part))[0] for part in pictures.split(8)])

    with torch.no_grad():
        for name in ("trunk", "Q"):
            measure_norms(nets[name], told)
        measured, trained = told(), nets["Q"].train()(nets["trunk"].train()(pictures))[0]
    torch.testing.assert_close(measured, trained, rtol=0.05, atol=0.02)  # the variance of 24 answers is that of 23
