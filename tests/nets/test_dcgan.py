"""DCGAN's and f-AnoGAN's nets and what they are trained and judged by, beyond what the parity fixtures pin."""

import pytest
import torch
from torch import nn

from pipeline.files import UserError
from pipeline.losses_codes import anogan_score, fanogan_score, gradient_penalty
from pipeline.nets.dcgan import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
from pipeline.nets.fanogan import ConvEncoder, ConvGenerator, MlpDiscriminator, MlpGenerator
from pipeline.nets.init import init_kaiming, init_normal

SIZES = [28, 32, 64]
FEATURES = {28: 8 * 7 * 7, 32: 16 * 4 * 4, 64: 32 * 4 * 4}


def critic(norm: str, size: int = 28) -> DCGANDiscriminator:
    net = DCGANDiscriminator(size, channels=1, width=4, norm=norm)
    init_kaiming(net, torch.Generator().manual_seed(0))
    return net.double()


def pictures(count: int, size: int = 28) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(count), dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("size", SIZES)
def test_codes_become_pictures_and_pictures_scores_and_codes(size):
    G, D, E = DCGANGenerator(size, 6, 1, 4), DCGANDiscriminator(size, 1, 4), DCGANEncoder(size, 6, 1, 4)
    picture = G(torch.randn(2, 6))
    assert picture.shape == (2, 1, size, size) and picture.abs().max() <= 1
    scores, features = D.with_features(picture)
    assert scores.shape == (2,) and features.shape == (2, FEATURES[size])
    assert torch.equal(D.eval()(picture), D.with_features(picture)[0])
    assert E(picture).shape == (2, 6)


@pytest.mark.parametrize(("norm", "training"), [("batch", False), ("layer", True), ("none", True)])
def test_scores_and_features_are_a_pictures_own(norm, training):
    net, batch = critic(norm).train(training), pictures(3)
    together, alone = net.with_features(batch), net.with_features(batch[:1])
    for ours, theirs in zip(alone, together, strict=True):
        torch.testing.assert_close(ours, theirs[:1], rtol=0, atol=1e-12)


def test_a_picture_and_a_code_are_their_own_in_eval_mode():
    G, E = DCGANGenerator(28, 6, 1, 4).eval().double(), DCGANEncoder(28, 6, 1, 4).eval().double()
    codes = torch.randn(3, 6, dtype=torch.float64)
    torch.testing.assert_close(G(codes[1:2]), G(codes)[1:2], rtol=0, atol=1e-12)
    torch.testing.assert_close(E(pictures(3)[1:2]), E(pictures(3))[1:2], rtol=0, atol=1e-12)


def test_an_encoder_reaches_any_code_that_the_generator_may_be_given():
    ours, published = DCGANEncoder(32, 6, 1, 4), ConvEncoder(32, 1, 6).eval()
    for last in (ours.code, published.adv_layer[0]):
        nn.init.constant_(last.bias, 3.0)
    assert ours(torch.zeros(2, 1, 32, 32)).mean() > 2 and published(torch.zeros(2, 1, 32, 32)).max() <= 1


@pytest.mark.parametrize(("norm", "own"), [("layer", True), ("none", True), ("batch", False)])
def test_a_pictures_penalty_is_its_own_but_for_batch_norm(norm, own):
    net, real, fake = critic(norm), pictures(3), -pictures(3)
    share = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    together = gradient_penalty(net, real, fake, share).item()
    one_by_one = [gradient_penalty(net, real[n : n + 1], fake[n : n + 1], share[n : n + 1]).item() for n in range(3)]
    assert (together == pytest.approx(sum(one_by_one) / 3, rel=1e-9)) == own


def test_penalty_of_a_plane_and_its_gradient():
    """A linear critic's slope is its weight w everywhere: (|w| - 1)^2, with the gradient 2 (|w| - 1) w / |w|."""
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    real = torch.zeros(2, 1, 1, 2, requires_grad=True)
    fake, share = torch.ones(2, 1, 1, 2), torch.tensor([0.1, 0.7])
    penalty = gradient_penalty(lambda x: x.flatten(1) @ weight, real, fake, share)
    assert penalty.item() == pytest.approx(16)
    penalty.backward()
    assert weight.grad is not None and weight.grad.tolist() == pytest.approx([4.8, 6.4])
    assert real.grad is None


def test_penalty_where_the_critic_is_flat():
    weight = torch.zeros(2, requires_grad=True)
    share = torch.tensor([0.1, 0.7])
    penalty = gradient_penalty(lambda x: x.flatten(1) @ weight, torch.zeros(2, 1, 1, 2), torch.ones(2, 1, 1, 2), share)
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert penalty.item() == 1 and torch.isfinite(gradient).all()


@pytest.mark.parametrize("norm", ["layer", "none"])
def test_the_penalty_teaches_every_convolution(norm):
    net = critic(norm)
    penalty = gradient_penalty(net, pictures(2), -pictures(2), torch.tensor([0.3, 0.6], dtype=torch.float64))
    penalty.backward()
    for name, parameter in net.named_parameters():
        if name.endswith("weight"):
            assert parameter.grad is not None and parameter.grad.any(), name


@pytest.mark.parametrize("score", [anogan_score, fanogan_score])
def test_a_score_is_a_pictures_own_and_leads_its_code_alone(score):
    G, D = DCGANGenerator(28, 6, 1, 4).eval().double(), critic("batch").eval()
    code, image = torch.randn(3, 6, dtype=torch.float64, requires_grad=True), pictures(3)
    drawn = G(code)
    scores = score(image, drawn, D.with_features(image)[1], D.with_features(drawn)[1])
    assert scores.shape == (3,)
    (gradient,) = torch.autograd.grad(scores[1], code)
    assert gradient[1].any() and not gradient[[0, 2]].any()


@pytest.mark.parametrize(
    "build",
    [
        lambda: DCGANGenerator(28, 6, 1, 4),
        lambda: DCGANDiscriminator(28, 1, 4, "layer"),
        lambda: DCGANEncoder(28, 6, 1, 4),
        lambda: MlpGenerator(8),
        lambda: MlpDiscriminator(8),
        lambda: ConvGenerator(16),
    ],
)
def test_first_weights_come_from_the_given_stream_alone(build):
    nets = [build(), build()]
    for net in nets:
        init_normal(net, torch.Generator().manual_seed(0))
    first, second = (net.state_dict() for net in nets)
    assert all(torch.equal(first[key], second[key]) for key in first)
    scales = [value for key, value in first.items() if value.ndim == 1 and key.endswith("weight")]
    assert all(abs(scale.mean() - 1) < 0.1 for scale in scales)  # of norms, the vectors' too


@pytest.mark.parametrize("build", [DCGANGenerator, DCGANDiscriminator, DCGANEncoder])
def test_other_sizes_are_refused(build):
    with pytest.raises(UserError, match="squares of 28, 32 or 64 pixels, not 30"):
        build(30)


def test_other_pictures_and_norms_are_refused():
    for net in (critic("none"), DCGANEncoder(28, 6, 1, 4), MlpDiscriminator(28)):
        with pytest.raises(UserError, match="takes pictures of 1 x 28 x 28 .* not 1 x 32 x 32"):
            net(torch.zeros(1, 1, 32, 32))
    with pytest.raises(UserError, match="a multiple of 16 pixels, not 28"):
        ConvEncoder(28)
    with pytest.raises(ValueError, match='must be "batch", "layer" or "none", not \'instance\''):
        DCGANDiscriminator(28, norm="instance")


def test_the_discriminator_of_pairs_looks_at_picture_and_code():
    from pipeline.nets.bigan import PairDiscriminator

    D = PairDiscriminator(28, latent=5, channels=1, width=4, hidden=8).eval()
    init_normal(D, torch.Generator().manual_seed(0), std=0.2)
    random = torch.Generator().manual_seed(1)
    image, code = torch.randn(2, 1, 28, 28, generator=random), torch.randn(2, 5, generator=random)
    logits, features = D.with_features(image, code)
    assert logits.shape == (2,) and features.shape == (2, 8)
    assert not torch.allclose(logits, D(image.flip(0), code)) and not torch.allclose(logits, D(image, code.flip(0)))
    torch.testing.assert_close(D(image[:1], code[:1]), logits[:1])
    with pytest.raises(UserError, match="takes pictures of 1 x 28 x 28"):
        D(torch.zeros(1, 1, 32, 32), code[:1])
