"""The parts of CoGAN's coupled generators (Liu and Tuzel 2016, arXiv 1606.07536), and the net that finds their codes.

Fully convolutional, so that pictures of any size are drawn: a code is a map, one vector to 16 x 16 pixels.
"""

from torch import nn

from pipeline.nets.resnet_generator import ResnetBlock

MULTIPLE = 16  # pixels of a picture to a place of its code
LEAST = 2  # places at least: a border of one place cannot be reflected


def shared_layers(latent: int, width: int, blocks: int) -> nn.Sequential:
    """Codes N latent h w -> features N 4*width 4h 4w: the first layers, which both domains share."""
    start = nn.Conv2d(latent, 4 * width, 3, padding=1, padding_mode="reflect")
    residual = [ResnetBlock(4 * width) for _ in range(blocks)]
    return nn.Sequential(*_normed(start), *residual, *_doubled(4 * width, 4 * width), *_doubled(4 * width, 4 * width))


def own_layers(width: int) -> nn.Sequential:
    """Features N 4*width 4h 4w -> a picture N 3 16h 16w in [-1, 1]: the last layers, of which each domain has its own."""
    picture = [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
    return nn.Sequential(*_doubled(4 * width, 2 * width), *_doubled(2 * width, width), *picture)


def code_encoder(latent: int, width: int) -> nn.Sequential:
    """A picture N 3 16h 16w -> its codes N latent h w, with the mean 0 and the variance 1 that drawn codes have."""
    layers = [nn.ReflectionPad2d(3), *_normed(nn.Conv2d(3, width, 7))]
    for before, after in ((1, 2), (2, 4), (4, 4), (4, 4)):
        layers += _normed(nn.Conv2d(before * width, after * width, 3, stride=2, padding=1))
    last = nn.Conv2d(4 * width, latent, 3, padding=1, padding_mode="reflect")
    return nn.Sequential(*layers, last, nn.InstanceNorm2d(latent))


def _normed(layer: nn.Conv2d) -> list[nn.Module]:
    return [layer, nn.InstanceNorm2d(layer.out_channels), nn.ReLU(True)]


def _doubled(before: int, after: int) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, padding=1, padding_mode="reflect")
    return [nn.Upsample(scale_factor=2, mode="nearest"), *_normed(convolution)]
