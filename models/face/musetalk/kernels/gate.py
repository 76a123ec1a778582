"""Whether a faster decoder draws the same pictures."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Decode = Callable[[Tensor], Tensor]
"""From scaled latents [B, 4, 32, 32] to RGB [B, 3, H, W], nominally in [-1, 1]."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What one picture may differ by; the worst picture counts."""

    psnr_db: float = 40.0
    """At 40 dB the root mean square of the error is 2.55 of 255 steps."""
    mean_absolute: float = 1 / 255


@dataclass(frozen=True, slots=True)
class GateResult:
    """How far the pictures as shown (clipped, 0 to 1) are apart, in the worst picture."""

    psnr_db: float
    mean_absolute: float
    max_absolute: float
    thresholds: Thresholds

    @property
    def passed(self) -> bool:
        """Never true of something that is not a number."""
        return self.psnr_db >= self.thresholds.psnr_db and self.mean_absolute <= self.thresholds.mean_absolute


@torch.no_grad()
def gate(
    reference: Decode, candidate: Decode, latents: Tensor, thresholds: Thresholds | None = None, *, at_once: int = 4
) -> GateResult:
    """Compare two decoders on `latents` [N, 4, 32, 32], `at_once` at a time."""
    psnr, mean, most = [], [], []
    for some in latents.split(at_once):
        apart = (shown(reference(some)) - shown(candidate(some))).flatten(1)
        psnr.append(-10 * apart.square().mean(dim=1).clamp(min=1e-12).log10())
        mean.append(apart.abs().mean(dim=1))
        most.append(apart.abs().amax(dim=1))
    return GateResult(
        psnr_db=_number(torch.cat(psnr).min()),
        mean_absolute=_number(torch.cat(mean).max()),
        max_absolute=_number(torch.cat(most).max()),
        thresholds=thresholds or Thresholds(),
    )


def shown(picture: Tensor) -> Tensor:
    """A decoder's picture as a screen shows it: 0 to 1, float32."""
    return (picture.float() / 2 + 0.5).clamp(0, 1)


def _number(value: Tensor) -> float:
    """NaN survives: torch's min and max keep it."""
    number = float(value)
    return number if math.isfinite(number) else math.nan
