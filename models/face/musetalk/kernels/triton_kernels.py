# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"
"""The four Triton kernels of the decoder; shapes and meanings are those of reference.py.

Only launch.py imports this file, and only where Triton is installed. Activations are NHWC; a convolution reads its
input from a buffer with one border pixel on each side, so that its inner loop has neither masks nor bounds, and a
border can hold any code (an int8 zero is not the code 0). Every size but the number of frames is a compile-time
constant: one network has about thirty shapes, and constants turn all index arithmetic into shifts and immediates.
"""

import triton
import triton.language as tl


@triton.jit
def convolve_kernel(
    source,
    codes,
    multiplier,
    bias,
    residual,
    out,
    partials,
    steps,
    H: tl.constexpr,
    W: tl.constexpr,
    C_IN: tl.constexpr,
    C_OUT: tl.constexpr,
    KERNEL: tl.constexpr,
    PHASES: tl.constexpr,
    BORDER: tl.constexpr,
    INTEGER: tl.constexpr,
    RESIDUAL: tl.constexpr,
    STATISTICS: tl.constexpr,
    PLANAR: tl.constexpr,
    DESCRIBED: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Implicit GEMM: pixels x output channels, accumulated over kernel positions x input channels.

    With DESCRIBED, `source` and `codes` are tensor descriptors for Hopper's copy engine, and BLOCK_M divides W; else
    they are pointers. `steps` is KERNEL² · C_IN / BLOCK_K: no constant, as a loop of known length is unrolled whole.
    """
    tiles_n: tl.constexpr = (C_OUT + BLOCK_N - 1) // BLOCK_N
    padded_n: tl.constexpr = tiles_n * BLOCK_N
    row_px: tl.constexpr = W + 2 * BORDER
    frame_px: tl.constexpr = (H + 2 * BORDER) * row_px
    blocks_k: tl.constexpr = C_IN // BLOCK_K
    depth: tl.constexpr = KERNEL * KERNEL * C_IN
    step: tl.constexpr = 2 if PHASES == 4 else 1

    # Neighbouring programs share their pixels, so that these come from the L2 cache.
    program = tl.program_id(0)
    tile_n = program % tiles_n
    phase = (program // tiles_n) % PHASES
    tile_m = program // (tiles_n * PHASES)
    phase_y = phase // 2
    phase_x = phase % 2

    pixel = tile_m * BLOCK_M + tl.arange(0, BLOCK_M)
    frame = pixel // (H * W)
    y = (pixel // W) % H
    x = pixel % W
    channel = tile_n * BLOCK_N + tl.arange(0, BLOCK_N)
    lane = tl.arange(0, BLOCK_K)

    first_frame = tile_m * BLOCK_M // (H * W)
    first_y = (tile_m * BLOCK_M // W) % H + phase_y
    first_x = tile_m * BLOCK_M % W + phase_x
    if not DESCRIBED:
        source_rows = source + (frame * frame_px + (y + phase_y) * row_px + x + phase_x) * C_IN
        code_rows = codes + (phase * padded_n + channel) * depth
    if INTEGER:
        total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.int32)
    else:
        total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for k in range(0, steps):
        tap = k // blocks_k
        if DESCRIBED:
            place = [first_frame, first_y + tap // KERNEL, first_x + tap % KERNEL, (k % blocks_k) * BLOCK_K]
            a = tl.reshape(source.load(place), (BLOCK_M, BLOCK_K))
            b = codes.load([phase * padded_n + tile_n * BLOCK_N, k * BLOCK_K])
        else:
            shift = ((tap // KERNEL) * row_px + tap % KERNEL) * C_IN + (k % blocks_k) * BLOCK_K
            a = tl.load(source_rows[:, None] + (shift + lane)[None, :])
            b = tl.load(code_rows[:, None] + (k * BLOCK_K + lane)[None, :])
        if INTEGER:
            total = tl.dot(a, tl.trans(b), total, out_dtype=tl.int32)
        else:
            total = tl.dot(a, tl.trans(b), total)

    value = total.to(tl.float32) * tl.load(multiplier + phase * padded_n + channel)[None, :]
    value += tl.load(bias + phase * padded_n + channel)[None, :]
    out_x = x * step + phase_x
    out_y = y * step + phase_y
    out_pixel = (frame * (H * step) + out_y) * (W * step) + out_x
    if PLANAR:
        area: tl.constexpr = H * W * step * step
        at_out = (frame * (C_OUT - 1) * area + out_pixel)[:, None] + channel[None, :] * area
    else:
        at_out = out_pixel[:, None] * C_OUT + channel[None, :]
    mask = (channel < C_OUT)[None, :] & (out_pixel >= 0)[:, None]
    if RESIDUAL:
        value += tl.load(residual + at_out).to(tl.float32)
    stored = value.to(tl.float16)
    if padded_n == C_OUT:
        tl.store(out + at_out, stored)
    else:
        tl.store(out + at_out, stored, mask=mask)
    if STATISTICS:
        seen = stored.to(tl.float32)
        mean = tl.sum(seen, axis=0) / BLOCK_M
        apart = seen - mean[None, :]
        spread = tl.sum(apart * apart, axis=0)
        per_frame: tl.constexpr = H * W // BLOCK_M
        parts: tl.constexpr = per_frame * PHASES
        part = (tile_m % per_frame) * PHASES + phase
        at_part = ((tile_m // per_frame) * 2 * C_OUT + channel) * parts + part
        tl.store(partials + at_part, mean)
        tl.store(partials + at_part + C_OUT * parts, spread)


@triton.jit
def measure_kernel(
    source,
    partials,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Mean and sum of squared distances of each channel, for every BLOCK_M pixels of a frame."""
    parts: tl.constexpr = PIXELS // BLOCK_M
    part = tl.program_id(0) % parts
    frame = tl.program_id(0) // parts
    pixel = part * BLOCK_M + tl.arange(0, BLOCK_M)
    channel = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    seen = tl.load(source + (frame * PIXELS + pixel)[:, None] * CHANNELS + channel[None, :]).to(tl.float32)
    mean = tl.sum(seen, axis=0) / BLOCK_M
    apart = seen - mean[None, :]
    at = (frame * 2 * CHANNELS + channel) * parts + part
    tl.store(partials + at, mean)
    tl.store(partials + at + CHANNELS * parts, tl.sum(apart * apart, axis=0))


@triton.jit
def combine_kernel(
    partials,
    gain,
    shift,
    affine,
    epsilon,
    CHANNELS: tl.constexpr,
    GROUPS: tl.constexpr,
    PARTS: tl.constexpr,
    PART_PIXELS: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """One group's statistics from its parts: what to multiply each of its channels by, and what to add.

    All parts count the same number of pixels, so that means average and squared distances add (Chan et al., 1979).
    """
    width: tl.constexpr = CHANNELS // GROUPS
    frame = tl.program_id(0) // GROUPS
    group = tl.program_id(0) % GROUPS
    channel = group * width + tl.arange(0, width)
    part = tl.arange(0, BLOCK_P)
    at = ((frame * 2 * CHANNELS + channel) * PARTS)[:, None] + part[None, :]
    mask = (part < PARTS)[None, :] & (channel >= 0)[:, None]
    means = tl.load(partials + at, mask=mask, other=0.0)
    spreads = tl.load(partials + at + CHANNELS * PARTS, mask=mask, other=0.0)
    mean = tl.sum(tl.sum(means, axis=1), axis=0) / (width * PARTS)
    apart = tl.where(mask, means - mean, 0.0)
    spread = tl.sum(tl.sum(spreads + apart * apart * PART_PIXELS, axis=1), axis=0)
    scale = tl.load(gain + channel) / tl.sqrt_rn(spread / (width * PARTS * PART_PIXELS) + epsilon)
    tl.store(affine + frame * 2 * CHANNELS + channel, scale)
    tl.store(affine + frame * 2 * CHANNELS + CHANNELS + channel, tl.load(shift + channel) - mean * scale)


@triton.jit
def prepare_kernel(
    source,
    affine,
    inverse_scale,
    zero,
    out,
    H: tl.constexpr,
    W: tl.constexpr,
    CHANNELS: tl.constexpr,
    BORDER: tl.constexpr,
    NORMALISE: tl.constexpr,
    SILU: tl.constexpr,
    FORMAT: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Normalise, activate, quantise, and lay a border around; any of the four can be left out.

    `zero` is float32 and no constant: every layer of every avatar has its own, and each would be compiled anew.
    """
    row_px: tl.constexpr = W + 2 * BORDER
    frame_px: tl.constexpr = (H + 2 * BORDER) * row_px
    frame = tl.program_id(1)
    pixel = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    y = pixel // row_px - BORDER
    x = pixel % row_px - BORDER
    inside = (y >= 0) & (y < H) & (x >= 0) & (x < W)
    channel = tl.program_id(2) * BLOCK_N + tl.arange(0, BLOCK_N)
    at = ((frame * H + y) * W + x)[:, None] * CHANNELS + channel[None, :]
    filled = inside[:, None] & (channel >= 0)[None, :]
    value = tl.load(source + at, mask=filled, other=0.0).to(tl.float32)
    if NORMALISE:
        scale = tl.load(affine + frame * 2 * CHANNELS + channel)
        offset = tl.load(affine + frame * 2 * CHANNELS + CHANNELS + channel)
        value = value * scale[None, :] + offset[None, :]
    if SILU:
        value = value / (1.0 + tl.exp(-value))
    if FORMAT != "fp16":
        value = value * tl.load(inverse_scale + channel)[None, :]
    value = tl.where(filled, value, 0.0)
    if FORMAT == "int8":
        value = tl.floor(value + (zero + 0.5))
        value = tl.minimum(tl.maximum(value, -128.0), 127.0)
    if FORMAT == "fp8":
        value = tl.minimum(tl.maximum(value, -448.0), 448.0)
    place = (frame * frame_px + pixel)[:, None] * CHANNELS + channel[None, :]
    written = (pixel < frame_px)[:, None] & (channel >= 0)[None, :]
    tl.store(out + place, value.to(out.dtype.element_ty), mask=written)
