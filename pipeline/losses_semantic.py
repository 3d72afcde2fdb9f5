"""What SPADE and pix2pixHD add: semantics as planes, and losses over discriminators of several scales.

The maps of a discriminator are those of nets/multiscale.py: a list over scales of lists of N C h w maps, the last one
the prediction. Losses are scalars on the inputs' device.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from pipeline.losses import hinge, hinge_generator, lsgan

Maps = Sequence[Sequence[torch.Tensor]]
VGG_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # of VGG19's relu1_1 to relu5_1, in both publications


def semantics(
    label: torch.Tensor, classes: int, instance: torch.Tensor | None = None, dont_care: bool = False
) -> torch.Tensor:
    """Labels NHW int64 -> float32 planes N C H W: one a class, don't-care if asked for, edges where instances are given.

    Void (255) and every other value that is no class is 0 in all class planes; with `dont_care` it is 1 in plane number
    `classes`. Nothing indexes with a label, so no value can reach beyond the planes.
    """
    is_class = (label >= 0) & (label < classes)
    planes = torch.arange(classes + dont_care, device=label.device)[:, None, None]
    stacked = (label.where(is_class, classes)[:, None] == planes).float()
    return stacked if instance is None else torch.cat([stacked, instance_edges(instance)], 1)


def conditions(label: torch.Tensor, instance: torch.Tensor | None, classes: int) -> torch.Tensor:
    """What a picture is drawn from: planes N (classes + 1) H W, the last one the edges of classes and of instances.

    Instance ids may mean anything within a class, such as 0 for all of its pixels; None where a data set has none.
    """
    return semantics(label, classes, label * 65536 + (0 if instance is None else instance))


def instance_edges(instance: torch.Tensor) -> torch.Tensor:
    """Instance map NHW -> float32 N1HW: 1 where one of the four neighbours has another id, on both sides of a border.

    The border of the picture is no edge. Borders between classes show only if ids of different classes differ.
    """
    edges = torch.zeros_like(instance, dtype=torch.bool)
    across = instance[..., 1:] != instance[..., :-1]
    down = instance[..., 1:, :] != instance[..., :-1, :]
    edges[..., 1:] |= across
    edges[..., :-1] |= across
    edges[..., 1:, :] |= down
    edges[..., :-1, :] |= down
    return edges[:, None].float()


def hinge_scales(maps: Maps, real: bool) -> torch.Tensor:
    """SPADE's loss of the discriminator for one kind of picture: mean over scales; real and fake are summed, not halved."""
    return _over_scales(lambda scores: hinge(scores, real), maps).mean()


def hinge_generator_scales(maps: Maps) -> torch.Tensor:
    """SPADE's adversarial loss of the generator: mean over scales of -mean(scores)."""
    return _over_scales(hinge_generator, maps).mean()


def lsgan_scales(maps: Maps, real: bool) -> torch.Tensor:
    """pix2pixHD's adversarial loss: least squares, summed over scales; its discriminator takes half of real plus fake."""
    return _over_scales(lambda scores: lsgan(scores, real), maps).sum()


def _over_scales(loss: Callable[[torch.Tensor], torch.Tensor], maps: Maps) -> torch.Tensor:
    return torch.stack([loss(scale[-1]) for scale in maps])


def feature_matching(fake: Maps, real: Maps, layers: int = 3) -> torch.Tensor:
    """Mean over scales of the summed L1 distances between maps, the prediction left out and `real` held fixed.

    layers: the discriminator's convolutions of stride 2. pix2pixHD weighs the sum by 4 / (layers + 1), SPADE by 1 for any
    number: leave the default. Both give the result the weight 10.
    """
    distances = [
        F.l1_loss(ours, theirs.detach())
        for a, b in zip(fake, real, strict=True)
        for ours, theirs in zip(a[:-1], b[:-1], strict=True)
    ]
    return torch.stack(distances).sum() * (4 / (layers + 1)) / len(fake)


def vgg_l1(fake: Sequence[torch.Tensor], real: Sequence[torch.Tensor]) -> torch.Tensor:
    """Perceptual loss of both: L1 distances of VGG19's relu1_1 to relu5_1, weights 1/32 to 1; `real` is held fixed.

    The maps are those of `VGG19(taps=(1, 6, 11, 20, 29), normalise=False)`.
    """
    distances = [F.l1_loss(a, b.detach()) * weight for a, b, weight in zip(fake, real, VGG_WEIGHTS, strict=True)]
    return torch.stack(distances).sum()


def kld(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """KL divergence of N(mu, exp(logvar)) from N(0, 1), summed over dimensions and over the batch, as SPADE publishes it.

    So its weight (0.05) belongs to a batch size, and with several ranks this is a rank's share of the sum.
    """
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()
