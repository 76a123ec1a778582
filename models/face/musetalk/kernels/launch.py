"""The decoder's operations on a GPU: one Triton kernel each, launched without looking at any result.

Only where Triton is installed; device.py imports this file when it is asked for it. Everything can be captured in a
CUDA graph: outputs are allocated by torch (from the graph's pool during a capture), sizes are known on the host.
"""

import torch
import triton
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from models.face.musetalk.kernels import triton_kernels as kernels
from models.face.musetalk.kernels.formats import STORED, PackedConv, Quantiser
from models.face.musetalk.kernels.reference import Norm, Statistics
from models.face.musetalk.kernels.tiles import ConvShape, Tiles, tile_for

PREPARED_AT_ONCE = 8192
"""Values of one program of the memory-bound kernels: 4 warps with eight loads of 16 bytes in flight per thread."""
MEASURED_PX = 64


class TritonOperations:
    """As reference.Operations says, on the current device. Without measured `tiles` they are guessed."""

    def __init__(self, tiles: Tiles | None = None) -> None:
        self.tiles = tiles or {}

    def measure(self, source: Tensor) -> Statistics:
        batch, height, width, channels = source.shape
        pixels = height * width
        part_px = min(MEASURED_PX, pixels)
        block_n = min(_power(channels), 128)
        partials = source.new_empty((batch, 2, channels, pixels // part_px), dtype=torch.float32)
        kernels.measure_kernel[(batch * pixels // part_px, channels // block_n)](
            source, partials, PIXELS=pixels, CHANNELS=channels, BLOCK_M=part_px, BLOCK_N=block_n, num_warps=4
        )
        return Statistics(partials, part_px)

    def combine(self, statistics: Statistics, norm: Norm) -> Tensor:
        batch, _, channels, parts = statistics.parts.shape
        affine = statistics.parts.new_empty((batch, 2, channels))
        kernels.combine_kernel[(batch * norm.groups,)](
            statistics.parts,
            norm.gain,
            norm.shift,
            affine,
            norm.epsilon,
            CHANNELS=channels,
            GROUPS=norm.groups,
            PARTS=parts,
            PART_PIXELS=statistics.part_px,
            BLOCK_P=triton.next_power_of_2(parts),
            num_warps=4,
        )
        return affine

    def prepare(
        self, source: Tensor, affine: Tensor | None, quantiser: Quantiser, *, silu: bool, border_px: int
    ) -> Tensor:
        batch, height, width, channels = source.shape
        rows, columns = height + 2 * border_px, width + 2 * border_px
        out = torch.empty((batch, rows, columns, channels), dtype=STORED[quantiser.format], device=source.device)
        block_n = min(_power(channels), 512)
        block_m = PREPARED_AT_ONCE // block_n
        kernels.prepare_kernel[(triton.cdiv(rows * columns, block_m), batch, channels // block_n)](
            source,
            quantiser.inverse_scale if affine is None else affine,
            quantiser.inverse_scale,
            float(quantiser.zero),
            out,
            H=height,
            W=width,
            CHANNELS=channels,
            BORDER=border_px,
            NORMALISE=affine is not None,
            SILU=silu,
            FORMAT=quantiser.format,
            BLOCK_M=block_m,
            BLOCK_N=block_n,
            num_warps=4,
        )
        return out

    def convolve(
        self,
        source: Tensor,
        conv: PackedConv,
        *,
        residual: Tensor | None = None,
        statistics: bool = False,
        planar: bool = False,
    ) -> tuple[Tensor, Statistics | None]:
        batch = len(source)
        height, width = (size - 2 * conv.border_px for size in source.shape[1:3])
        grow = 2 if conv.phases == 4 else 1
        place = (height * grow, width * grow)
        outs = conv.out_channels
        shape = ConvShape(conv.quantiser.format, conv.kernel, height, conv.in_channels, outs)
        tile = tile_for(shape, batch, self.tiles)
        size = (batch, outs, *place) if planar else (batch, *place, outs)
        out = torch.empty(size, dtype=torch.float16, device=source.device)
        parts = height * width // tile.pixels * conv.phases
        partials = conv.bias.new_empty((batch, 2, outs, parts) if statistics else 1)
        tiles_n = triton.cdiv(outs, tile.channels)
        pixels, codes = source, conv.codes
        if tile.described:
            pixels = TensorDescriptor.from_tensor(source, [1, 1, tile.pixels, tile.depth])
            codes = TensorDescriptor.from_tensor(conv.codes.flatten(0, 1), [tile.channels, tile.depth])
        kernels.convolve_kernel[(batch * height * width // tile.pixels * conv.phases * tiles_n,)](
            pixels,
            codes,
            conv.multiplier,
            conv.bias,
            out if residual is None else residual,
            out,
            partials,
            conv.kernel**2 * conv.in_channels // tile.depth,
            H=height,
            W=width,
            C_IN=conv.in_channels,
            C_OUT=outs,
            KERNEL=conv.kernel,
            PHASES=conv.phases,
            BORDER=conv.border_px,
            INTEGER=conv.quantiser.format == "int8",
            RESIDUAL=residual is not None,
            STATISTICS=statistics,
            PLANAR=planar,
            DESCRIBED=tile.described,
            BLOCK_M=tile.pixels,
            BLOCK_N=tile.channels,
            BLOCK_K=tile.depth,
            num_warps=tile.warps,
            num_stages=tile.stages,
        )
        return out, Statistics(partials, tile.pixels) if statistics else None


def _power(size: int) -> int:
    """The largest power of two that divides `size`."""
    return size & -size
