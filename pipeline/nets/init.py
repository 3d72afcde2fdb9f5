"""Initialisation from an explicit random stream, so that a net's first weights depend on the seed alone."""

import torch
from torch import nn


def init_normal(net: nn.Module, generator: torch.Generator, std: float = 0.02) -> None:
    """Weights N(0, std), biases 0, scales of normalisation layers N(1, std): the GAN nets' start (CycleGAN, DCGAN)."""
    for layer in net.modules():
        weight = getattr(layer, "weight", None)
        if isinstance(weight, nn.Parameter):
            is_norm = isinstance(layer, (nn.GroupNorm, nn.BatchNorm2d))
            nn.init.normal_(weight, float(is_norm), std, generator=generator)
            _zero_bias(layer)


def init_kaiming(net: nn.Module, generator: torch.Generator) -> None:
    """He's start for nets with ReLUs; transposed convolutions become bilinear upsampling, norms the identity.

    Layers that give scores (their name holds "score") start at a hundredth of He's scale, so that the first
    predictions are near uniform and the first loss is near log(classes).
    """
    for name, layer in net.named_modules():
        if isinstance(layer, nn.ConvTranspose2d):
            with torch.no_grad():
                layer.weight.copy_(bilinear_kernel(layer))
        elif isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            if "score" in name:
                with torch.no_grad():
                    layer.weight.mul_(0.01)
        elif isinstance(layer, (nn.GroupNorm, nn.BatchNorm2d)) and layer.affine:
            nn.init.ones_(layer.weight)
        else:
            continue
        _zero_bias(layer)


def bilinear_kernel(layer: nn.ConvTranspose2d) -> torch.Tensor:
    """Weight (channels, channels, k, k) with which a transposed convolution upsamples every channel bilinearly."""
    size = layer.kernel_size[0]
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    ramp = 1 - (torch.arange(size) - centre).abs() / factor
    weight = torch.zeros_like(layer.weight)
    channels = torch.arange(layer.in_channels)
    weight[channels, channels] = (ramp[:, None] * ramp[None, :]).to(weight)
    return weight


def _zero_bias(layer: nn.Module) -> None:
    bias = getattr(layer, "bias", None)
    if isinstance(bias, nn.Parameter):
        nn.init.zeros_(bias)
