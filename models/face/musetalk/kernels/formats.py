"""Numbers of eight bits for a convolution: how its input and its weights become codes, and back.

    int8   evenly spaced codes: a scale and a zero for the whole input, a scale for each output channel's weights
    fp8    e4m3: no zero; relative error 2^-4 at most everywhere between 2^-6 and 448 times the scale
    fp16   no codes; the values themselves

Inputs come out of SiLU, which is never below -0.279, so int8 with a zero of its own spends nearly all its codes on the
positive side. Channels of very different reach are brought nearer to each other first, and the weights take the
inverse factor ("SmoothQuant", arXiv 2211.10438, equation 4 with alpha = 0.5). fp8 needs neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Format = Literal["fp16", "fp8", "int8"]

STORED: Mapping[Format, torch.dtype] = {"fp16": torch.float16, "fp8": torch.float8_e4m3fn, "int8": torch.int8}
FP8_MOST = 448.0
INT8_MOST = 127.0
FP8_MARGIN = 2.0
"""How much farther than in calibration an input may reach; it costs nothing."""
INT8_CUTS = (1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
"""Parts of the reach that int8 may hold, the rest cut off: the one whose error is least in the sample is taken, for a
few cut values weigh less than a coarser step for all."""
LEAST = 1e-8
"""Stands in for a reach of nothing at all: a channel that is always zero."""
NARROWEST_TILE = 16
"""Output channels are filled up to this many: the fewest columns of a matrix instruction that loads full vectors."""


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """The smallest and the largest value that each channel of an input took, and some of its pixels."""

    low: Tensor
    """[C] float32."""
    high: Tensor
    sample: Tensor
    """[pixels, C] float16."""

    @classmethod
    def of(cls, pixels: Tensor, sampled_px: int = 1024) -> "Reach":
        """Of [B, C, H, W]; the sample, of `sampled_px` or a few more, is spread evenly over it."""
        rows = pixels.permute(0, 2, 3, 1).flatten(0, 2)
        every = max(1, len(rows) // sampled_px)
        return cls(rows.amin(dim=0).float(), rows.amax(dim=0).float(), rows[::every].half())

    def joined(self, other: "Reach") -> "Reach":
        low, high = torch.minimum(self.low, other.low), torch.maximum(self.high, other.high)
        return Reach(low, high, torch.cat((self.sample, other.sample)))


@dataclass(frozen=True, slots=True, eq=False)
class Quantiser:
    """code = round(value · inverse_scale + zero), within what the format holds."""

    format: Format
    inverse_scale: Tensor
    """[C] float32."""
    zero: int = 0

    def codes(self, values: Tensor) -> Tensor:
        """Codes of `values` [..., C] float32."""
        if self.format == "fp16":
            return values.half()
        scaled = values * self.inverse_scale
        if self.format == "fp8":
            return scaled.clamp(-FP8_MOST, FP8_MOST).to(torch.float8_e4m3fn)
        return torch.floor(scaled + (self.zero + 0.5)).clamp(-128, 127).to(torch.int8)

    def values(self, codes: Tensor) -> Tensor:
        """What the codes stand for, float32."""
        return (codes.float() - self.zero) / self.inverse_scale


@dataclass(frozen=True, slots=True, eq=False)
class PackedConv:
    """A convolution as the kernels read it: out = sum(code · weight code) · multiplier + bias.

    `phases` is 4 where the input is doubled first: four kernels of 2 x 2, one for each pixel of the 2 x 2 that an input
    pixel becomes, row before column (see `rewrites.SubpixelUpsample`).
    """

    codes: Tensor
    """[phases, out channels filled up, kernel rows · kernel columns · in channels]."""
    multiplier: Tensor
    """[phases, out channels filled up] float32."""
    bias: Tensor
    """The same shape; holds what the input's zero adds, too."""
    quantiser: Quantiser
    in_channels: int
    out_channels: int
    kernel: int
    phases: int

    @property
    def border_px(self) -> int:
        return 0 if self.kernel == 1 else 1


def pack(weight: Tensor, bias: Tensor | None, reach: Reach | None, format: Format, *, doubled: bool) -> PackedConv:
    """Codes of a convolution [out, in, k, k] (k is 1 or 3, border k // 2) whose input reaches as far as `reach`.

    Computed in float32 on the weight's device. `doubled`: nearest neighbours double its input's size first. `reach`
    is needed for the formats that have a scale.
    """
    outs, ins, kernel = weight.shape[:3]
    kernels = _phases(weight.float()) if doubled else weight.float()[None]
    taps = kernels.permute(0, 1, 3, 4, 2).contiguous()
    added = torch.zeros(outs, device=weight.device) if bias is None else bias.float()
    if format == "fp16":
        quantiser = Quantiser(format, torch.ones(ins, device=weight.device))
        scale = torch.ones(len(taps), outs, device=weight.device)
        offset = added.expand(len(taps), outs)
        codes = taps.half()
    else:
        if reach is None:
            raise ValueError(f"{format} needs the reach of the input")
        factor = _factors(reach, taps) if format == "int8" else torch.ones(ins, device=weight.device)
        step, zero = _step(reach, factor, format)
        quantiser = Quantiser(format, 1 / (step * factor), zero)
        taps = taps * factor
        most = INT8_MOST if format == "int8" else FP8_MOST
        weight_step = taps.abs().amax(dim=(2, 3, 4)).clamp(min=LEAST) / most
        scaled = taps / weight_step[:, :, None, None, None]
        codes = (scaled.round() if format == "int8" else scaled).to(STORED[format])
        scale = weight_step * step
        offset = added - scale * zero * codes.float().sum(dim=(2, 3, 4))
    rows = max(outs, NARROWEST_TILE)
    return PackedConv(
        codes=_filled(codes.flatten(2).view(torch.uint8), rows).view(STORED[format]),
        multiplier=_filled(scale, rows),
        bias=_filled(offset, rows),
        quantiser=quantiser,
        in_channels=ins,
        out_channels=outs,
        kernel=2 if doubled else kernel,
        phases=len(taps),
    )


def _step(reach: Reach, factor: Tensor, format: Format) -> tuple[float, int]:
    """Size of one code and the code of zero, the same for every channel after `factor`."""
    low = min(0.0, float((reach.low / factor).min()))
    high = max(LEAST, float((reach.high / factor).max()))
    if format == "fp8":
        return max(high, -low) * FP8_MARGIN / FP8_MOST, 0
    sample = reach.sample.float() / factor
    steps = [_even(low * cut, high * cut) for cut in INT8_CUTS]
    errors = torch.stack([_int8_error(sample, step, zero) for step, zero in steps])
    return steps[int(errors.argmin())]


def _even(low: float, high: float) -> tuple[float, int]:
    step = (high - low) / 255
    return step, round(-128 - low / step)


def _int8_error(sample: Tensor, step: float, zero: int) -> Tensor:
    codes = torch.floor(sample / step + (zero + 0.5)).clamp(-128, 127)
    return ((codes - zero) * step - sample).square().mean()


def _factors(reach: Reach, taps: Tensor) -> Tensor:
    """What to divide each input channel by, so that input and weights share the burden of its reach."""
    inputs = torch.maximum(reach.high, -reach.low).clamp(min=LEAST)
    weights = taps.abs().amax(dim=(0, 1, 2, 3)).clamp(min=LEAST)
    log = 0.5 * (inputs.log() - weights.log())
    return (log - log.mean()).exp()


def _phases(weight: Tensor) -> Tensor:
    """[4, out, in, 2, 2]: the kernels of the four output pixels of one input pixel."""
    rows = torch.stack(
        (
            torch.stack((weight[:, :, 0], weight[:, :, 1] + weight[:, :, 2]), dim=2),
            torch.stack((weight[:, :, 0] + weight[:, :, 1], weight[:, :, 2]), dim=2),
        )
    )
    both = torch.stack(
        (
            torch.stack((rows[..., 0], rows[..., 1] + rows[..., 2]), dim=-1),
            torch.stack((rows[..., 0] + rows[..., 1], rows[..., 2]), dim=-1),
        ),
        dim=1,
    )
    return both.flatten(0, 1)


def _filled(tensor: Tensor, rows: int) -> Tensor:
    """`tensor` [phases, out, ...] with zeros up to `rows` output channels."""
    filled = tensor.new_zeros(tensor.shape[0], rows, *tensor.shape[2:])
    filled[:, : tensor.shape[1]] = tensor
    return filled
