"""Which layers may read eight bits when all of them together err too much.

Each layer is tried alone. Errors of different layers are all but independent, so their squares add in the picture; the
layers that save the most arithmetic for the least error are taken until what the gate allows is spent.
"""

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from models.face.musetalk.kernels.formats import Format
from models.face.musetalk.kernels.gate import Decode, Thresholds, shown
from models.face.musetalk.kernels.layers import Layer, formats

MEAN_TO_RMS = math.sqrt(math.pi / 2)
"""Of an error that is spread normally."""

Costs = Mapping[str, tuple[Format, float]]
"""By layer: the format that errs least, and its mean squared error in the worst picture as shown."""


@torch.no_grad()
def costs(
    build: Callable[[Mapping[str, Format]], Decode],
    table: tuple[Layer, ...],
    latents: Tensor,
    tried: Iterable[Format],
) -> Costs:
    """What each layer in eight bits, alone, does to the pictures of `latents`; `build` makes a decoder of formats."""
    plain = formats(table, "fp16")
    wanted = shown(build(plain)(latents))
    found: dict[str, tuple[Format, float]] = {}
    for format in tried:
        for name, used in formats(table, format).items():
            if used == format:
                apart = shown(build({**plain, name: format})(latents)) - wanted
                error = float(apart.square().flatten(1).mean(dim=1).amax())
                if math.isfinite(error) and error < found.get(name, (format, math.inf))[1]:
                    found[name] = (format, error)
    return found


def mixture(table: tuple[Layer, ...], known: Costs, thresholds: Thresholds, *, share: float) -> dict[str, Format]:
    """Formats of every layer whose errors sum to at most `share` of what the thresholds allow."""
    allowed = min(10 ** (-thresholds.psnr_db / 10), (thresholds.mean_absolute * MEAN_TO_RMS) ** 2) * share
    chosen = formats(table, "fp16")
    known_layers = [layer for layer in table if layer.name in known]
    for layer in sorted(known_layers, key=lambda layer: known[layer.name][1] / layer.operations):
        format, error = known[layer.name]
        if error <= allowed:
            chosen[layer.name] = format
            allowed -= error
    return chosen
