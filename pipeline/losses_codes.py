"""Losses and scores of GANs whose codes mean something: InfoGAN's information, WGAN-GP's penalty, AnoGAN's scores."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

LOG_VARIANCE = (-6.0, 2.0)  # unbounded, the likelihood of a code that is told exactly runs away


def categorical_information(logits: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
    """L_I of one categorical code in nats: H(c) - cross entropy, at most log K (InfoGAN, equation 5).

    A lower bound of the mutual information of code and picture. G and Q maximise it.

    Args:
        logits: N K, Q's for K categories that are drawn with equal chances. code: N int64, the drawn ones.
    """
    return math.log(logits.shape[1]) - F.cross_entropy(logits, code)


def uniform_information(squared: torch.Tensor) -> torch.Tensor:
    """L_I of continuous codes that are drawn uniformly from [-1, 1], in nats, summed over the codes.

    H(c) - E[-log q] for a normal q whose variance is constant and the best one: log 2 - log(2 pi e squared) / 2 a code.

    Args:
        squared: J, the mean squared distance of each code and what was read.
    """
    return (math.log(2) - (2 * math.pi * math.e * squared).log() / 2).sum()


def pair_information(joint: torch.Tensor, balance: float = 1.0) -> torch.Tensor:
    """Mutual information of the categories of a picture and of its altered copy, in nats, at most log K (Ji et al. 2019).

    Args:
        joint: K K, how often a picture is told as i and its copy as j; made symmetric here.
        balance: of both entropies, beside that of the two together (their lambda): above 1, a category that is never
            told costs more.
    """
    joint = ((joint + joint.T) / 2).clamp(min=1e-9)
    apart = joint.sum(0)[None] * joint.sum(1)[:, None]
    return (joint * (joint.log() - balance * apart.log())).sum()


def gaussian_nll(code: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor | None = None) -> torch.Tensor:
    """-log N(code; mean, variance), the sum over the codes and the mean over the batch; all N J.

    log_variance: None fixes the variance at 1 (the paper's code, openai/InfoGAN); given, it is clamped to [-6, 2], beyond
    which it gets no gradient.
    """
    if log_variance is None:
        log_variance = torch.zeros_like(mean)
    log_variance = log_variance.clamp(*LOG_VARIANCE)
    nll = (math.log(2 * math.pi) + log_variance + (code - mean).square() * torch.exp(-log_variance)) / 2
    return nll.sum(1).mean()


def published_gaussian_nll(code: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """As Natsu6767/InfoGAN-PyTorch has it (`NormalNLLLoss`): variance N J without bounds, 1e-6 beside it."""
    eps = 1e-6
    nll = (2 * math.pi * variance + eps).log() / 2 + (code - mean).square() / (2 * variance + eps)
    return nll.sum(1).mean()


def gradient_penalty(
    critic: Callable[[torch.Tensor], torch.Tensor], real: torch.Tensor, fake: torch.Tensor, share: torch.Tensor
) -> torch.Tensor:
    """mean over n of (|d critic(x_n) / d x_n| - 1)^2 at x_n = share_n real_n + (1 - share_n) fake_n (Gulrajani et al. 2017).

    Differentiable in the critic's parameters, not in the pictures. The critic must judge each picture by itself: with
    batch norm the gradient is that of the whole batch's scores.

    Args:
        critic: pictures N C H W -> scores N. real, fake: N C H W.
        share: N in [0, 1], one number a picture, drawn by the caller from a stream of its own.
    """
    between = torch.lerp(fake.detach(), real.detach(), share[:, None, None, None]).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


def anogan_terms(
    image: torch.Tensor, drawn: torch.Tensor, features: torch.Tensor, drawn_features: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(sum |x - G(z)|, sum |f(x) - f(G(z))|) of each picture -> N, N. Arguments as anogan_score's."""
    residual = (image - drawn).abs().flatten(1).sum(1)
    return residual, (features - drawn_features).abs().flatten(1).sum(1)


def anogan_score(
    image: torch.Tensor, drawn: torch.Tensor, features: torch.Tensor, drawn_features: torch.Tensor, weight: float = 0.1
) -> torch.Tensor:
    """(1 - weight) sum |x - G(z)| + weight sum |f(x) - f(G(z))| of each picture (AnoGAN, sections 2.2 and 2.3) -> N.

    The anomaly score, and what the search for z minimises (summed over the batch, so that each picture's search is its
    own). Sums: scores of pictures of another size, and the weight, mean something else.

    Args:
        image, drawn: N C H W. features, drawn_features: N and any shape, of the discriminator in eval mode.
    """
    residual, discrimination = anogan_terms(image, drawn, features, drawn_features)
    return (1 - weight) * residual + weight * discrimination


def fanogan_terms(
    image: torch.Tensor, drawn: torch.Tensor, features: torch.Tensor, drawn_features: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean (x - G(E(x)))^2, mean (f(x) - f(G(E(x))))^2) of each picture -> N, N. Arguments as anogan_score's."""
    residual = (image - drawn).square().flatten(1).mean(1)
    return residual, (features - drawn_features).square().flatten(1).mean(1)


def fanogan_score(
    image: torch.Tensor, drawn: torch.Tensor, features: torch.Tensor, drawn_features: torch.Tensor, kappa: float = 1.0
) -> torch.Tensor:
    """mean (x - G(E(x)))^2 + kappa mean (f(x) - f(G(E(x))))^2 of each picture (f-AnoGAN, izi_f) -> N.

    Means where AnoGAN has sums. The anomaly score; its mean over the batch is the encoder's loss. Shapes as anogan_score's.
    """
    residual, discrimination = fanogan_terms(image, drawn, features, drawn_features)
    return residual + kappa * discrimination
