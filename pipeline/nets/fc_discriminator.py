"""AdaptSegNet's discriminator: five convolutions over what a segmenter says (Tsai et al. 2018, section 4.1).

State-dict keys are those of wasidennis/AdaptSegNet (`FCDiscriminator`); valeoai/ADVENT numbers the same layers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KEYS = ("conv1", "conv2", "conv3", "conv4", "classifier")
HALVINGS = len(KEYS)  # as published, of a map at the picture's size


class FCDiscriminator(nn.Module):
    """Maps N C H W -> raw scores N1hw: 4x4 convolutions of stride 2, leaky ReLUs of slope 0.2, no norm, no sigmoid.

    Args:
        channels: of the map: the classes where it is a softmax.
        width: channels after the first layer, then 2, 4 and 8 times as many; 64 as published.
        halvings: layers, counted from the last, that halve the map; those before are 3x3 and keep its size. With 5, as
            published, a score stands for 32 x 32 positions; a map that is already small takes fewer.
    """

    def __init__(self, channels: int, width: int = 64, halvings: int = HALVINGS) -> None:
        super().__init__()
        before = channels
        for n, key in enumerate(KEYS):
            after = 1 if n == HALVINGS - 1 else width * 2**n
            halves = n >= HALVINGS - halvings
            self.add_module(key, nn.Conv2d(before, after, 4 if halves else 3, stride=2 if halves else 1, padding=1))
            before = after

    def forward(self, x: Tensor) -> Tensor:
        *hidden, last = (self.get_submodule(key) for key in KEYS)
        for layer in hidden:
            x = F.leaky_relu(layer(x), 0.2, inplace=True)
        return last(x)


def init_as_published(net: FCDiscriminator, random: torch.Generator) -> None:
    """torch's own start of a convolution, weights and biases uniform within 1 / sqrt(inputs), from a stream of its own."""
    for layer in net.children():
        assert isinstance(layer, nn.Conv2d) and layer.bias is not None
        bound = layer.weight[0].numel() ** -0.5
        nn.init.uniform_(layer.weight, -bound, bound, generator=random)
        nn.init.uniform_(layer.bias, -bound, bound, generator=random)
