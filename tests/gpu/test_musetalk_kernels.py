"""The Triton kernels against plain torch: on a GPU, or anywhere with TRITON_INTERPRET=1."""

import os

import numpy as np
import pytest
import torch

from models.face.musetalk.kernels.decoder import KernelSdDecoder
from models.face.musetalk.kernels.device import can_run_kernels
from models.face.musetalk.kernels.formats import STORED, Format, PackedConv, Quantiser, Reach, pack
from models.face.musetalk.kernels.layers import calibrate, formats, layers
from models.face.musetalk.kernels.reference import Norm, Operations, ReferenceOperations, Statistics
from models.face.musetalk.kernels.tiles import ConvShape, Tile, Tiles, candidates, guess

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cpu" if INTERPRETED else "cuda")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not INTERPRETED and not can_run_kernels(DEVICE), reason="needs Triton and a GPU, Ada or later"),
]
FORMATS: tuple[Format, ...] = ("fp16", "fp8", "int8")


@pytest.fixture(autouse=True)
def codes_that_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton 3.6's interpreter loses the carry when a mantissa rounds up to the next power of two."""
    if not INTERPRETED:
        return
    from triton.runtime import interpreter

    plain = interpreter._convert_float

    def convert(values: np.ndarray, from_type: object, to_type: object, rounding: object) -> np.ndarray:
        if str(to_type) != "fp8e4nv":
            return plain(values, from_type, to_type, rounding)
        return torch.from_numpy(np.array(values)).to(torch.float8_e4m3fn).view(torch.uint8).numpy()

    monkeypatch.setattr(interpreter, "_convert_float", convert)


def by_triton(tiles: Tiles | None = None) -> Operations:
    from models.face.musetalk.kernels.launch import TritonOperations

    return TritonOperations(tiles)


def noise(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def packed(outs: int, ins: int, kernel: int, format: Format, *, doubled: bool = False) -> PackedConv:
    reach = Reach.of(torch.nn.functional.silu(noise(1, ins, 16, 16, seed=5)))
    weight = noise(outs, ins, kernel, kernel, seed=1) / (ins * kernel**2) ** 0.5
    return pack(weight, noise(outs, seed=2), reach, format, doubled=doubled)


def apart(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Relative to what is wanted."""
    return float((found.float() - wanted.float()).norm() / wanted.float().norm())


def close(found: torch.Tensor, wanted: torch.Tensor, relative: float) -> bool:
    """NaN is never close."""
    return apart(found, wanted) <= relative


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("kernel", "doubled", "residual", "outs", "planar"),
    [
        (3, False, True, 64, False),
        (3, True, False, 32, False),
        (1, False, False, 64, False),
        (3, False, False, 3, True),
    ],
)
def test_a_convolution_is_that_of_torch(
    format: Format, kernel: int, doubled: bool, residual: bool, outs: int, planar: bool
) -> None:
    conv = packed(outs, 64, kernel, format, doubled=doubled)
    reference, ours = ReferenceOperations(), by_triton()
    source = reference.prepare(noise(2, 16, 16, 64).half(), None, conv.quantiser, silu=True, border_px=conv.border_px)
    kept = noise(2, 16, 16, outs, seed=3).half() if residual else None
    wanted, _ = reference.convolve(source, conv, residual=kept, planar=planar)
    found, seen = ours.convolve(source, conv, residual=kept, statistics=not planar, planar=planar)
    # Hopper adds products of fp8 with about 14 bits.
    assert close(found, wanted, 5e-3 if format == "fp8" else 1e-3)
    assert found.shape == wanted.shape
    if seen is not None:
        means, spreads = seen.parts.unbind(1)
        pixels = found.float().flatten(1, 2)
        torch.testing.assert_close(means.mean(dim=2), pixels.mean(dim=1), rtol=1e-3, atol=1e-3)
        apart = (means - pixels.mean(dim=1)[:, :, None]).square() * seen.part_px
        torch.testing.assert_close((spreads + apart).sum(dim=2), pixels.var(dim=1, correction=0) * pixels.shape[1])


@pytest.mark.parametrize("format", FORMATS)
def test_a_doubled_convolution_is_that_of_the_doubled_picture(format: Format) -> None:
    weight = noise(32, 32, 3, 3, seed=1) / 17
    ours, source = by_triton(), noise(1, 16, 16, 32).half()
    conv = pack(weight, noise(32, seed=2), Reach.of(source.permute(0, 3, 1, 2)), format, doubled=True)
    found, _ = ours.convolve(ours.prepare(source, None, conv.quantiser, silu=False, border_px=1), conv)
    twice = source.float().permute(0, 3, 1, 2).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    wanted = torch.nn.functional.conv2d(twice, weight, noise(32, seed=2), padding=1).permute(0, 2, 3, 1)
    assert close(found, wanted, {"fp16": 2e-3, "int8": 2e-2, "fp8": 5e-2}[format])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("border_px", [0, 1])
def test_a_group_norm_with_its_activation_is_that_of_torch(format: Format, border_px: int) -> None:
    source, norm = (noise(2, 16, 16, 64) * 2 + 0.5).half(), Norm(noise(64, seed=1), noise(64, seed=2), 32, 1e-6)
    quantiser = Quantiser(format, torch.full((64,), 20.0, device=DEVICE), -90 if format == "int8" else 0)
    ours = by_triton()
    affine = ours.combine(ours.measure(source), norm)
    codes = ours.prepare(source, affine, quantiser, silu=True, border_px=border_px)
    assert codes.dtype == STORED[format]
    wanted = torch.nn.functional.group_norm(
        source.float().permute(0, 3, 1, 2), 32, norm.gain, norm.shift, norm.epsilon
    ).permute(0, 2, 3, 1)
    wanted = torch.nn.functional.pad(torch.nn.functional.silu(wanted), (0, 0) + (border_px,) * 4)
    found = codes.float() if format == "fp16" else quantiser.values(codes)
    within = {"fp16": 2e-3, "int8": 0.0251, "fp8": 0.07}[format]
    limit = {"fp16": 6e4, "fp8": 448 / 20, "int8": (127 + 90) / 20}[format]
    assert ((found - wanted.clamp(max=limit)).abs() <= within * (1 if format == "int8" else wanted.abs() + 1)).all()


def test_statistics_survive_a_mean_far_from_zero() -> None:
    source = (noise(1, 16, 16, 32) * 0.1 + 50).half()
    norm = Norm(torch.ones(32, device=DEVICE), torch.zeros(32, device=DEVICE), 8, 1e-6)
    ours, reference = by_triton(), ReferenceOperations()
    found = ours.combine(ours.measure(source), norm)
    torch.testing.assert_close(found, reference.combine(reference.measure(source), norm), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "tile", [Tile(64, 16, 32, 4, 3), Tile(256, 32, 32, 8, 2), Tile(64, 32, 32, 4, 3, described=True)]
)
@pytest.mark.parametrize("doubled", [False, True])
def test_every_tile_gives_the_same_numbers(format: Format, tile: Tile, doubled: bool) -> None:
    conv = packed(32, 32, 3, format, doubled=doubled)
    ours = by_triton()
    source = ours.prepare(noise(1, 16, 64, 32).half(), None, conv.quantiser, silu=True, border_px=1)
    wanted, seen = ours.convolve(source, conv, statistics=True)
    shape = ConvShape(format, conv.kernel, 16, 32, 32)
    found, other = by_triton({shape: {1: tile}}).convolve(source, conv, statistics=True)
    assert close(found, wanted, 5e-3 if format == "fp8" else 1e-3)
    norm = Norm(torch.ones(32, device=DEVICE), torch.zeros(32, device=DEVICE), 32, 1e-6)
    assert isinstance(seen, Statistics) and isinstance(other, Statistics)
    assert close(ours.combine(other, norm), ours.combine(seen, norm), 5e-3)
    assert guess(shape, 1) in candidates(shape)


@pytest.fixture(scope="module")
def sd() -> torch.nn.Module:
    from diffusers.models.autoencoders.vae import Decoder

    torch.manual_seed(0)
    sd = torch.nn.Module()
    sd.post_quant_conv = torch.nn.Conv2d(4, 4, 1)
    sd.decoder = Decoder(4, 3, ("UpDecoderBlock2D",) * 2, (32, 64), 1, 16)
    sd.forward = lambda latents: sd.decoder(sd.post_quant_conv(latents))
    return sd.to(DEVICE).eval()


@pytest.mark.parametrize("format", FORMATS)
def test_a_whole_decoder_is_that_of_plain_torch(sd: torch.nn.Module, format: Format) -> None:
    latents = noise(3, 4, 16, 16)
    table, reaches = formats(layers(sd.decoder, 16), format), calibrate(sd, sd.decoder, latents)
    found, reference = (
        KernelSdDecoder(sd, table, reaches, operations=operations, together=(2, 1))(latents)
        for operations in (by_triton(), ReferenceOperations())
    )
    plain = sd(latents)
    # One code of fp8 is 6 % of a value: a last bit of an activation turns one into the next, and layers amplify that.
    assert format == "fp8" or close(found, reference, {"fp16": 3e-3, "int8": 2e-2}[format])
    assert apart(found, plain) <= 1.05 * apart(reference, plain)


@pytest.mark.skipif(INTERPRETED, reason="graphs need a GPU")
def test_a_captured_decoder_draws_the_same_bits_every_time(sd: torch.nn.Module) -> None:
    latents = noise(3, 4, 16, 16)
    ours = KernelSdDecoder(sd, formats(layers(sd.decoder, 16), "int8"), calibrate(sd, sd.decoder, latents))
    wanted = ours(latents)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = ours(latents)
    for _ in range(2):
        captured.zero_()
        graph.replay()
        assert torch.equal(captured, wanted)
