"""f-AnoGAN's nets as A03ki/f-AnoGAN publishes them: an MLP for MNIST, a small DCGAN for 64x64 (MVTec), by their own keys.

For weights from there and for comparison; train `pipeline.nets.dcgan`'s. Their peculiarities, kept: batch norms have an
eps of 0.8; the convolutional critic has batch norm and dropout, with which a gradient penalty is not one picture's own;
the encoders end in a tanh, although the generator's codes come from N(0, 1).
"""

import torch
from torch import nn

from pipeline.files import UserError
from pipeline.nets.dcgan import SLOPE, check_pictures
from pipeline.nets.dropout import SampleDropout2d
from pipeline.nets.synchronised import SynchronisedNorm

EPS = 0.8  # given as BatchNorm's second argument, where a momentum was meant
MULTIPLE = 16  # pixels: the convolutional nets halve four times


class MlpGenerator(nn.Module):
    """Codes N latent -> pictures N C size size in [-1, 1]."""

    def __init__(self, size: int = 28, channels: int = 1, latent: int = 100) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(latent, 128), nn.LeakyReLU(SLOPE, True)]
        for before in (128, 256, 512):
            layers += [nn.Linear(before, 2 * before), VectorNorm(2 * before, EPS), nn.LeakyReLU(SLOPE, True)]
        self.model = nn.Sequential(*layers, nn.Linear(1024, channels * size**2), nn.Tanh())
        self.picture = (channels, size, size)

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        return self.model(code).unflatten(1, self.picture)


class MlpDiscriminator(nn.Module):
    """Pictures N C size size -> scores N."""

    def __init__(self, size: int = 28, channels: int = 1) -> None:
        super().__init__()
        self.picture = (channels, size, size)
        self.features = nn.Sequential(*_mlp(channels * size**2))
        self.last_layer = nn.Sequential(nn.Linear(256, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.with_features(image)[0]

    def with_features(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores N and features N 256."""
        check_pictures(image, self.picture)
        features = self.features(image.flatten(1))
        return self.last_layer(features)[:, 0], features


class MlpEncoder(nn.Module):
    """Pictures N C size size -> codes N latent in [-1, 1]."""

    def __init__(self, size: int = 28, channels: int = 1, latent: int = 100) -> None:
        super().__init__()
        self.picture = (channels, size, size)
        self.model = nn.Sequential(*_mlp(channels * size**2), nn.Linear(256, latent), nn.Tanh())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        check_pictures(image, self.picture)
        return self.model(image.flatten(1))


class ConvGenerator(nn.Module):
    """Codes N latent -> pictures N C size size in [-1, 1]; size a multiple of 16."""

    def __init__(self, size: int = 64, channels: int = 3, latent: int = 100) -> None:
        super().__init__()
        self.start = (128, _side(size) * 4, _side(size) * 4)
        self.l1 = nn.Sequential(nn.Linear(latent, 128 * self.start[1] ** 2))
        layers: list[nn.Module] = [SynchronisedNorm(128)]
        for after in (128, 64):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(128, after, 3, padding=1)]
            layers += [SynchronisedNorm(after, EPS), nn.LeakyReLU(SLOPE, True)]
        self.conv_blocks = nn.Sequential(*layers, nn.Conv2d(64, channels, 3, padding=1), nn.Tanh())

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        return self.conv_blocks(self.l1(code).unflatten(1, self.start))


class ConvDiscriminator(nn.Module):
    """Pictures N C size size -> scores N; size a multiple of 16. In training `seed_dropout` names the streams."""

    def __init__(self, size: int = 64, channels: int = 3) -> None:
        super().__init__()
        self.picture = (channels, size, size)
        self.model = nn.Sequential(*_halvings(channels))
        self.adv_layer = nn.Sequential(nn.Linear(128 * _side(size) ** 2, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.with_features(image)[0]

    def with_features(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores N and features N (128 size^2 / 256)."""
        check_pictures(image, self.picture)
        features = self.model(image).flatten(1)
        return self.adv_layer(features)[:, 0], features


class ConvEncoder(nn.Module):
    """Pictures N C size size -> codes N latent in [-1, 1]; size a multiple of 16. Dropout as the discriminator's."""

    def __init__(self, size: int = 64, channels: int = 3, latent: int = 100) -> None:
        super().__init__()
        self.picture = (channels, size, size)
        self.model = nn.Sequential(*_halvings(channels))
        self.adv_layer = nn.Sequential(nn.Linear(128 * _side(size) ** 2, latent), nn.Tanh())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        check_pictures(image, self.picture)
        return self.adv_layer(self.model(image).flatten(1))


class VectorNorm(SynchronisedNorm):
    """Batch norm of vectors N C (BatchNorm1d's, with its keys) over the global batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x[:, :, None, None])[:, :, 0, 0]


def _mlp(inputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, 512), nn.LeakyReLU(SLOPE, True), nn.Linear(512, 256), nn.LeakyReLU(SLOPE, True)]


def _halvings(channels: int) -> list[nn.Module]:
    """Convolution, LeakyReLU, dropout, norm (not the first), four times."""
    layers: list[nn.Module] = []
    for before, after in ((channels, 16), (16, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE, True), SampleDropout2d(0.25)]
        layers += [SynchronisedNorm(after, EPS)] if after > 16 else []
    return layers


def _side(size: int) -> int:
    if size % MULTIPLE:
        raise UserError(f"f-AnoGAN's convolutional nets take squares of a multiple of {MULTIPLE} pixels, not {size}.")
    return size // MULTIPLE
