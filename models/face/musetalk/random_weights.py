"""Random weights that behave like trained ones in size, for tests and for measuring speed."""

import math

import torch
from torch import Tensor, nn

RELU_GAIN = math.sqrt(2)
"""Keeps the variance through a layer whose output's negative half is cut (He et al. 2015, arXiv 1502.01852, eq. 10)."""
BRANCH_GAIN = 0.5
"""For the last layer of a residual branch in a network without norms, whose sums would grow without end."""


@torch.no_grad()
def fill_randomly(network: nn.Module, generator: torch.Generator, *, gain: float = 1.0) -> None:
    """Draw every weight evenly with variance gain² / fan-in; norms get scale 1, all biases 0.

    Activations keep the variance of their input within a factor that half precision does not notice. The same
    generator state gives the same weights on the same kind of device.
    """
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if name == "bias":
                parameter.zero_()
            elif parameter.ndim == 1:
                parameter.fill_(1)
            else:
                bound = gain * math.sqrt(3 / parameter[0].numel())
                parameter.uniform_(-bound, bound, generator=generator)


@torch.no_grad()
def fill_taesd_randomly(decoder: nn.Module, generator: torch.Generator) -> None:
    """The same for TAESD's decoder, which has no norms: gains for ReLU, and a picture around mid-grey."""
    fill_randomly(decoder, generator, gain=RELU_GAIN)
    convolutions = [module for module in decoder.modules() if isinstance(module, nn.Conv2d)]
    for module in decoder.modules():
        branch: object = getattr(module, "conv", None)
        if isinstance(branch, nn.Sequential):
            branch[-1].weight.mul_(BRANCH_GAIN / RELU_GAIN)
    last = convolutions[-1]
    last.weight.mul_(BRANCH_GAIN / RELU_GAIN)
    last.bias.fill_(0.5)


def sinusoids(length: int, channels: int) -> Tensor:
    """Whisper's positions [length, channels], which are computed and not learnt: sines, then cosines."""
    rates = torch.exp(-math.log(10_000) / (channels // 2 - 1) * torch.arange(channels // 2))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), dim=1)
