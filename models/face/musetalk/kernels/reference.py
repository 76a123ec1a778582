"""What the kernels compute, said in plain torch: for tests, and for a machine without Triton.

    measure  ─► Statistics ─► combine ─► affine ─┐
    convolve ─► Statistics                       │
    [B, H, W, C] fp16 ───────────────────────────┴► prepare ─► codes, bordered ─► convolve ─► [B, H, W, C] fp16

Activations are NHWC float16 between the operations; a convolution also measures what it wrote, so that the group norm
after it need not read it twice. Everything is computed in float32.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from models.face.musetalk.kernels.formats import PackedConv, Quantiser


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Mean and sum of squared distances of each channel in equal parts of a picture."""

    parts: Tensor
    """[B, 2, C, parts] float32."""
    part_px: int

    def of_frames(self, first: int, count: int) -> "Statistics":
        return Statistics(self.parts[first : first + count], self.part_px)


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """A group norm's parameters, float32."""

    gain: Tensor
    shift: Tensor
    groups: int
    epsilon: float


class Operations(Protocol):
    """What the decoder is made of; the kernels and this module are two of a kind."""

    def measure(self, source: Tensor) -> Statistics:
        """Statistics of [B, H, W, C] float16."""
        ...

    def combine(self, statistics: Statistics, norm: Norm) -> Tensor:
        """[B, 2, C] float32: what a group norm multiplies each channel by, and what it adds."""
        ...

    def prepare(
        self, source: Tensor, affine: Tensor | None, quantiser: Quantiser, *, silu: bool, border_px: int
    ) -> Tensor:
        """Codes [B, H + 2 border, W + 2 border, C] of [B, H, W, C] float16, normalised and activated first."""
        ...

    def convolve(
        self,
        source: Tensor,
        conv: PackedConv,
        *,
        residual: Tensor | None = None,
        statistics: bool = False,
        planar: bool = False,
    ) -> tuple[Tensor, Statistics | None]:
        """[B, H', W', C'] float16 of the bordered codes, plus `residual`; `planar`: [B, C', H', W'] instead."""
        ...


class ReferenceOperations:
    """In torch, on any device."""

    part_px = 64

    def measure(self, source: Tensor) -> Statistics:
        batch, height, width, channels = source.shape
        part_px = min(self.part_px, height * width)
        seen = source.float().reshape(batch, -1, part_px, channels)
        mean = seen.mean(dim=2)
        spread = (seen - mean[:, :, None]).square().sum(dim=2)
        return Statistics(torch.stack((mean, spread), dim=1).transpose(2, 3).contiguous(), part_px)

    def combine(self, statistics: Statistics, norm: Norm) -> Tensor:
        means, spreads = statistics.parts.unflatten(2, (norm.groups, -1)).unbind(1)
        mean = means.mean(dim=(2, 3), keepdim=True)
        spread = (spreads + (means - mean).square() * statistics.part_px).mean(dim=(2, 3)) / statistics.part_px
        scale = norm.gain.view(norm.groups, -1) * (spread + norm.epsilon).rsqrt()[:, :, None]
        offset = norm.shift.view(norm.groups, -1) - mean[..., 0] * scale
        return torch.stack((scale.flatten(1), offset.flatten(1)), dim=1)

    def prepare(
        self, source: Tensor, affine: Tensor | None, quantiser: Quantiser, *, silu: bool, border_px: int
    ) -> Tensor:
        value = source.float()
        if affine is not None:
            scale, offset = affine[:, :, None, None].unbind(1)
            value = value * scale + offset
        if silu:
            value = F.silu(value)
        return quantiser.codes(F.pad(value, (0, 0, border_px, border_px, border_px, border_px)))

    def convolve(
        self,
        source: Tensor,
        conv: PackedConv,
        *,
        residual: Tensor | None = None,
        statistics: bool = False,
        planar: bool = False,
    ) -> tuple[Tensor, Statistics | None]:
        pixels = source.float().permute(0, 3, 1, 2)
        height, width = (size - 2 * conv.border_px for size in source.shape[1:3])
        phases = []
        for phase in range(conv.phases):
            codes = conv.codes[phase, : conv.out_channels].float()
            kernel = codes.unflatten(1, (conv.kernel, conv.kernel, -1)).permute(0, 3, 1, 2)
            sums = F.conv2d(pixels, kernel)[:, :, phase // 2 :, phase % 2 :][:, :, :height, :width]
            multiplier = conv.multiplier[phase, : conv.out_channels, None, None]
            phases.append(sums * multiplier + conv.bias[phase, : conv.out_channels, None, None])
        out = phases[0]
        if conv.phases == 4:
            rows = [torch.stack(phases[first : first + 2], dim=-1).flatten(3) for first in (0, 2)]
            out = torch.stack(rows, dim=3).flatten(2, 3)
        if not planar:
            out = out.permute(0, 2, 3, 1)
        if residual is not None:
            out = out + residual.float()
        stored = out.half().contiguous()
        return stored, self.measure(stored) if statistics else None
