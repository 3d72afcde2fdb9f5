"""DCGAN's nets (Radford, Metz, Chintala; ICLR 2016, arXiv 1511.06434) for squares of 28, 32 or 64 pixels, and an encoder.

AnoGAN (Schlegl et al. 2017, arXiv 1703.05921) searches the generator's codes by the discriminator's features. f-AnoGAN
(Schlegl et al. 2019) has the encoder find them; its critic's gradient penalty is one picture's own, so that batch norm,
which couples the pictures of a batch, has no place there. Start them with `init_normal`, those without a norm with
`init_kaiming`.
"""

from typing import Literal

import torch
from torch import nn

from pipeline.files import UserError
from pipeline.nets.synchronised import SynchronisedNorm

DCGANNorm = Literal["batch", "layer", "none"]

SIZES = {28: (7, 2), 32: (4, 3), 64: (4, 4)}  # of a picture: the side of its smallest map, and doublings from there
SLOPE = 0.2  # of every LeakyReLU


class DCGANGenerator(nn.Module):
    """Codes N latent, drawn from N(0, 1) -> pictures N C size size in [-1, 1].

    A picture depends on its own code alone in eval mode only: batch norm.

    Args:
        size: 28, 32 or 64 (a UserError otherwise).
        latent: numbers a code.
        channels: of the picture.
        width: channels in front of the last layer (128 in the paper); twice as many at half the side.
    """

    def __init__(self, size: int, latent: int = 100, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        start, doublings = _plan(size)
        after = width * 2 ** (doublings - 1)
        model: list[nn.Module] = [nn.Unflatten(1, (latent, 1, 1))]
        model += [nn.ConvTranspose2d(latent, after, start, bias=False), SynchronisedNorm(after), nn.ReLU(True)]
        for _ in range(doublings - 1):
            convolution = nn.ConvTranspose2d(after, after // 2, 4, stride=2, padding=1, bias=False)
            after //= 2
            model += [convolution, SynchronisedNorm(after), nn.ReLU(True)]
        self.model = nn.Sequential(*model, nn.ConvTranspose2d(after, channels, 4, stride=2, padding=1), nn.Tanh())

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        return self.model(code)


class DCGANDiscriminator(nn.Module):
    """Pictures N C size size -> logits N (a critic's scores), and the features in front of them.

    Args:
        size: 28, 32 or 64 (a UserError otherwise, also from pictures of another shape).
        channels: of the picture.
        width: channels after the first convolution, doubled by each.
        norm: "batch" as published, but for the first layer; "layer" over each picture's channels and places, as
            f-AnoGAN's authors have it in the critic; or "none".
    """

    def __init__(self, size: int, channels: int = 3, width: int = 64, norm: DCGANNorm = "batch") -> None:
        super().__init__()
        self.picture = (channels, size, size)
        self.body, features = halvings(size, channels, width, norm)
        self.score = nn.Linear(features, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.with_features(image)[0]

    def with_features(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits N, and the last map before them as N F: the f of AnoGAN and f-AnoGAN."""
        check_pictures(image, self.picture)
        features = self.body(image)
        return self.score(features)[:, 0], features


class DCGANEncoder(nn.Module):
    """Pictures N C size size -> codes N latent, of any sign and size as those the generator draws from.

    Arguments as the generator's and the discriminator's.
    """

    def __init__(
        self, size: int, latent: int = 100, channels: int = 3, width: int = 64, norm: DCGANNorm = "batch"
    ) -> None:
        super().__init__()
        self.picture = (channels, size, size)
        self.body, features = halvings(size, channels, width, norm)
        self.code = nn.Linear(features, latent)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        check_pictures(image, self.picture)
        return self.code(self.body(image))


def check_pictures(image: torch.Tensor, picture: tuple[int, int, int]) -> None:
    """UserError unless `image` is N C H W with `picture`'s channels, height and width."""
    if tuple(image.shape[1:]) != picture:
        got, wanted = (" x ".join(map(str, shape)) for shape in (tuple(image.shape[1:]), picture))
        raise UserError(
            f"This net takes pictures of {wanted} (channels, height, width), not {got}; choose another crop."
        )


def _plan(size: int) -> tuple[int, int]:
    if size not in SIZES:
        raise UserError(f"DCGAN's nets draw and judge squares of 28, 32 or 64 pixels, not {size}; choose one of these.")
    return SIZES[size]


def halvings(size: int, channels: int, width: int, norm: DCGANNorm) -> tuple[nn.Sequential, int]:
    """Pictures -> features N F of the smallest map; and F."""
    side, halvings = _plan(size)
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE, True)]
    for _ in range(halvings - 1):
        convolution = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=norm != "batch")
        width *= 2
        layers += [convolution, _norm(norm, width), nn.LeakyReLU(SLOPE, True)]
    return nn.Sequential(*layers, nn.Flatten()), width * side**2


def _norm(norm: DCGANNorm, channels: int) -> nn.Module:
    if norm == "batch":
        return SynchronisedNorm(channels)
    if norm == "layer":
        return nn.GroupNorm(1, channels)  # of one group: layer norm, with a scale and a shift a channel
    if norm == "none":
        return nn.Identity()
    raise ValueError(f'norm must be "batch", "layer" or "none", not {norm!r}')
