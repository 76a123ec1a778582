"""The decoder where there is no GPU: formats, the table of layers, calibration, the gate, the whole."""

import gc
import logging
import weakref

import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

from models.face.musetalk.kernels.choice import fast_decoder
from models.face.musetalk.kernels.decoder import KernelSdDecoder
from models.face.musetalk.kernels.device import operations_for
from models.face.musetalk.kernels.formats import Format, PackedConv, Quantiser, Reach, pack
from models.face.musetalk.kernels.gate import GateResult, Thresholds, gate
from models.face.musetalk.kernels.hopper_tiles import TABLE, measured_tiles
from models.face.musetalk.kernels.layers import calibrate, formats, layers
from models.face.musetalk.kernels.mixture import mixture
from models.face.musetalk.kernels.reference import Norm, ReferenceOperations, Statistics
from models.face.musetalk.kernels.tiles import (
    ConvShape,
    Tile,
    candidates,
    guess,
    programs,
    read_tiles,
    shared_bytes,
    tile_for,
    written,
)
from models.face.musetalk.networks import SdDecoder, build_vae, random_networks
from models.face.musetalk.random_weights import fill_randomly

torch.set_num_threads(1)
CHOICE = "models.face.musetalk.kernels.choice"
FORMATS: tuple[Format, ...] = ("fp16", "int8", "fp8")
ERROR: dict[Format, float] = {"fp16": 2e-3, "int8": 0.02, "fp8": 0.05}
"""Of one convolution, relative: e4m3 has 3 bits after the point, int8 about twice as many for values near the reach."""
SHAPES = (ConvShape("int8", 3, 32, 512, 512), ConvShape("fp16", 3, 256, 128, 3), ConvShape("fp8", 2, 8, 24, 48))


@pytest.fixture(scope="module")
def sd() -> SdDecoder:
    decoder = random_networks(size="tiny").decoder
    assert isinstance(decoder, SdDecoder)
    return decoder


@pytest.fixture(scope="module")
def small() -> SdDecoder:
    """Fifteen convolutions."""
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(32, 64),
        layers_per_block=1,
        norm_num_groups=16,
    )
    fill_randomly(vae, torch.Generator().manual_seed(0))
    return SdDecoder(vae).eval()


def noise(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def convolved(pixels: Tensor, conv: PackedConv) -> Tensor:
    operations = ReferenceOperations()
    source = pixels.permute(0, 2, 3, 1).half()
    codes = operations.prepare(source, None, conv.quantiser, silu=False, border_px=conv.border_px)
    return operations.convolve(codes, conv)[0].float().permute(0, 3, 1, 2)


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_packed_convolution_is_the_convolution(format: Format, kernel: int) -> None:
    pixels = F.silu(noise(2, 32, 8, 8)) * torch.linspace(0.1, 4, 32)[:, None, None]
    weight, bias = noise(20, 32, kernel, kernel, seed=1), noise(20, seed=2)
    conv = pack(weight, bias, Reach.of(pixels), format, doubled=False)
    assert relative(convolved(pixels, conv), F.conv2d(pixels, weight, bias, padding=kernel // 2)) < ERROR[format]


@pytest.mark.parametrize("format", FORMATS)
def test_a_doubled_convolution_is_that_of_the_doubled_picture(format: Format) -> None:
    pixels, weight = noise(1, 32, 6, 10), noise(16, 32, 3, 3, seed=1)
    conv = pack(weight, None, Reach.of(pixels), format, doubled=True)
    wanted = F.conv2d(F.interpolate(pixels, scale_factor=2, mode="nearest"), weight, padding=1)
    assert relative(convolved(pixels, conv), wanted) < ERROR[format]


def test_the_border_of_an_int8_picture_stands_for_zero() -> None:
    pixels, weight = torch.full((1, 16, 4, 4), 2.0), torch.ones(16, 16, 3, 3)
    reach = Reach.of(torch.cat((pixels, torch.full_like(pixels, -0.3))))
    conv = pack(weight, None, reach, "int8", doubled=False)
    assert conv.quantiser.zero not in (0, -128)
    found = convolved(pixels, conv)[0, 0]
    torch.testing.assert_close(found, F.conv2d(pixels, weight, padding=1)[0, 0], rtol=5e-3, atol=0)


def test_int8_is_several_times_more_exact_than_fp8_behind_an_activation() -> None:
    pixels, weight = F.silu(noise(1, 64, 16, 16)), noise(64, 64, 3, 3, seed=1)
    wanted = F.conv2d(pixels, weight, padding=1)
    errors = {
        format: relative(convolved(pixels, pack(weight, None, Reach.of(pixels), format, doubled=False)), wanted)
        for format in FORMATS
    }
    assert errors["int8"] < errors["fp8"] / 2


def test_a_lone_value_far_out_does_not_coarsen_all_the_others() -> None:
    pixels, weight = F.silu(noise(1, 32, 32, 32)), noise(32, 32, 3, 3, seed=1)
    usual = pack(weight, None, Reach.of(pixels), "int8", doubled=False).quantiser
    pixels[0, 7, 16, 16] = 10
    cut = pack(weight, None, Reach.of(pixels), "int8", doubled=False).quantiser
    assert float(cut.inverse_scale[8]) > 0.55 * float(usual.inverse_scale[8])


def test_a_channel_that_is_always_zero_harms_nothing() -> None:
    pixels, weight = noise(1, 32, 8, 8), noise(32, 32, 3, 3, seed=1)
    pixels[:, 3], weight[5] = 0, 0
    for format in FORMATS:
        conv = pack(weight, None, Reach.of(pixels), format, doubled=False)
        found = convolved(pixels, conv)
        assert relative(found, F.conv2d(pixels, weight, padding=1)) < ERROR[format]
        assert found[:, 5].abs().max() == 0


@pytest.mark.parametrize("format", ["int8", "fp8"])
def test_values_beyond_the_reach_are_held_at_its_end(format: Format) -> None:
    quantiser = Quantiser(format, torch.ones(1), 0)
    codes = quantiser.codes(torch.tensor([[1e4], [-1e4]]))
    assert quantiser.values(codes).abs().max() <= 448
    assert torch.isfinite(quantiser.values(codes)).all()


def test_formats_with_a_scale_need_to_know_the_reach() -> None:
    with pytest.raises(ValueError, match="needs the reach"):
        pack(noise(16, 16, 3, 3), None, None, "int8", doubled=False)


def test_a_group_norm_from_statistics_is_that_of_torch() -> None:
    operations, source = ReferenceOperations(), (noise(2, 16, 16, 24) * 3 + 40).half()
    norm = Norm(noise(24, seed=1), noise(24, seed=2), 8, 1e-6)
    affine = operations.combine(operations.measure(source), norm)
    plain = Quantiser("fp16", torch.ones(24))
    found = operations.prepare(source, affine, plain, silu=True, border_px=0).float().permute(0, 3, 1, 2)
    planes = source.float().permute(0, 3, 1, 2)
    wanted = F.silu(F.group_norm(planes, 8, norm.gain, norm.shift, 1e-6))
    torch.testing.assert_close(found, wanted, rtol=2e-3, atol=2e-3)


def test_the_table_lists_every_convolution_of_the_published_decoder() -> None:
    decoder = build_vae("full").decoder
    table = layers(decoder)
    convolutions = {name for name, module in decoder.named_modules() if isinstance(module, torch.nn.Conv2d)}
    assert {layer.name for layer in table} == convolutions - {"conv_in"}
    assert table[-1].height_px == 256
    # 617 as published, less 5/9 of the three doublings' 174.
    assert sum(layer.operations for layer in table) == pytest.approx(520e9, rel=0.01)


def test_eight_bits_go_to_all_but_shortcuts_the_last_layer_and_what_is_kept() -> None:
    decoder = build_vae("full").decoder
    table = layers(decoder)
    chosen = formats(table, "int8", frozenset({"up_blocks.3.resnets.2.conv2"}))
    plain = {name for name, format in chosen.items() if format == "fp16"}
    shortcuts = {f"up_blocks.{number}.resnets.0.conv_shortcut" for number in (2, 3)}
    assert plain == {*shortcuts, "conv_out", "up_blocks.3.resnets.2.conv2"}
    eight_bits = sum(layer.operations for layer in table if chosen[layer.name] == "int8")
    assert eight_bits > 0.92 * sum(layer.operations for layer in table)


def test_calibration_sees_every_input_and_leaves_nothing_behind(sd: SdDecoder) -> None:
    latents = noise(5, 4, 16, 16)
    before = sd(latents[:1])
    reaches = calibrate(sd, sd.decoder, latents, at_once=2)
    assert set(reaches) == {layer.name for layer in layers(sd.decoder)} | {"conv_in"}
    assert all((reach.low <= reach.high).all() for reach in reaches.values())
    inner = reaches["up_blocks.0.resnets.0.conv1"]
    assert -0.279 < float(inner.low.min()) < 0 < float(inner.high.max())
    assert not any(module._forward_pre_hooks for module in sd.modules())
    assert torch.equal(sd(latents[:1]), before)


@pytest.mark.parametrize("format", FORMATS)
def test_the_kernels_decoder_draws_the_networks_picture(sd: SdDecoder, format: Format) -> None:
    latents = noise(3, 4, 8, 8)
    ours = KernelSdDecoder(sd, formats(layers(sd.decoder), format), calibrate(sd, sd.decoder, latents))
    found = ours(latents)
    assert found.shape == (3, 3, 64, 64)
    assert found.dtype == torch.float16
    assert gate(sd, ours, latents).psnr_db > {"fp16": 60, "int8": 38, "fp8": 30}[format]


def test_frames_in_parts_are_the_frames_together(sd: SdDecoder) -> None:
    latents = noise(3, 4, 8, 8)
    table, reaches = formats(layers(sd.decoder), "int8"), calibrate(sd, sd.decoder, latents)
    together, parted = (KernelSdDecoder(sd, table, reaches, together=sizes)(latents) for sizes in ((16,), (16, 2, 1)))
    torch.testing.assert_close(parted, together, rtol=0, atol=0.02)


def test_a_decoder_whose_doubling_is_rewritten_is_refused() -> None:
    from models.face.musetalk.rewrites import subpixel_upsampling

    decoder = build_vae("tiny").decoder
    subpixel_upsampling(decoder)
    with pytest.raises(ValueError, match="before its doubling is rewritten"):
        layers(decoder)


def test_the_gate_passes_what_is_equal_and_refuses_what_differs() -> None:
    latents = noise(3, 3, 8, 8).clamp(-1, 1)
    equal = gate(lambda z: z, lambda z: z.half(), latents)
    assert equal.passed
    assert equal.mean_absolute < 1e-3
    one_bad = gate(lambda z: z, lambda z: torch.cat((z[:-1], -z[-1:])), latents, at_once=8)
    assert not one_bad.passed
    assert one_bad.max_absolute > 0.5


def test_the_gate_looks_at_pictures_as_they_are_shown() -> None:
    latents = torch.full((1, 3, 8, 8), 4.0)
    assert gate(lambda z: z, lambda z: 2 * z, latents).mean_absolute == 0


def test_a_picture_that_is_not_a_number_never_passes() -> None:
    broken = gate(lambda z: z, lambda z: z * torch.nan, noise(2, 3, 8, 8))
    assert not broken.passed
    assert not GateResult(50, float("nan"), 0, Thresholds()).passed


class Broken(ReferenceOperations):
    """Kernels that this machine cannot compile."""

    def measure(self, source: Tensor) -> Statistics:
        raise RuntimeError("no C compiler\nand much more")


def test_what_no_eight_bits_can_hold_is_drawn_in_float16(small: SdDecoder, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, CHOICE):
        chosen, result = fast_decoder(small, noise(1, 4, 8, 8), thresholds=Thresholds(psnr_db=71))
    assert isinstance(chosen, KernelSdDecoder)
    assert set(chosen.table.values()) == {"fp16"}
    assert result.passed
    assert caplog.records[0].message == "decoder_refused"
    assert caplog.records[-1].message == "decoder_chosen"


def test_float16_is_all_that_is_tried_where_eight_bits_are_not_wanted(
    small: SdDecoder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, CHOICE):
        chosen, result = fast_decoder(small, noise(1, 4, 8, 8), eight_bits=False)
    assert isinstance(chosen, KernelSdDecoder)
    assert set(chosen.table.values()) == {"fp16"}
    assert result.passed
    assert [record.message for record in caplog.records] == ["decoder_chosen"]


def test_the_network_itself_draws_where_not_even_float16_holds_the_gate(
    small: SdDecoder, caplog: pytest.LogCaptureFixture
) -> None:
    chosen, result = fast_decoder(small, noise(1, 4, 8, 8), eight_bits=False, thresholds=Thresholds(psnr_db=121))
    assert chosen is small
    assert not result.passed
    assert [record.message for record in caplog.records] == ["decoder_kernels_inexact"]


def test_the_network_itself_draws_where_the_kernels_fail(small: SdDecoder, caplog: pytest.LogCaptureFixture) -> None:
    chosen, result = fast_decoder(small, noise(1, 4, 8, 8), operations=Broken())
    assert chosen is small
    assert not result.passed
    assert [record.message for record in caplog.records] == ["decoder_kernels_failed"]
    assert caplog.records[0].__dict__["reason"] == "RuntimeError: no C compiler"


def test_weights_in_formats_that_were_tried_in_vain_are_let_go(
    small: SdDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[tuple[Format, weakref.ref[Tensor]]] = []

    def noted(*arguments: object, **options: object) -> PackedConv:
        conv = pack(*arguments, **options)
        packed.append((conv.quantiser.format, weakref.ref(conv.codes)))
        return conv

    monkeypatch.setattr("models.face.musetalk.kernels.decoder.pack", noted)
    gc.disable()
    try:
        chosen, _ = fast_decoder(small, noise(1, 4, 8, 8), thresholds=Thresholds(psnr_db=55))
        left = [format for format, codes in packed if codes() is not None]
    finally:
        gc.enable()
    assert {format for format, _ in packed} == set(FORMATS)
    assert isinstance(chosen, KernelSdDecoder)
    assert sorted(left) == sorted(chosen.table.values())


def test_all_layers_are_eight_bits_wide_where_that_holds_the_gate(small: SdDecoder) -> None:
    latents = noise(1, 4, 8, 8)
    chosen, result = fast_decoder(small, latents)
    assert isinstance(chosen, KernelSdDecoder)
    assert chosen.table == formats(layers(small.decoder), "int8")
    assert result.passed


def test_some_layers_are_eight_bits_wide_where_all_would_be_too_many(
    small: SdDecoder, caplog: pytest.LogCaptureFixture
) -> None:
    latents = noise(1, 4, 8, 8)
    with caplog.at_level(logging.INFO, CHOICE):
        chosen, result = fast_decoder(small, latents, thresholds=Thresholds(psnr_db=60))
    assert result.passed
    assert isinstance(chosen, KernelSdDecoder)
    assert 0 < sum(format != "fp16" for format in chosen.table.values()) < len(chosen.table)
    assert [record.message for record in caplog.records][-1] == "decoder_chosen"


def test_a_mixture_spends_what_the_gate_allows_where_it_saves_most() -> None:
    table = layers(build_vae("full").decoder)
    cheap, dear = "up_blocks.3.resnets.1.conv1", "up_blocks.3.resnets.1.conv2"
    known: dict[str, tuple[Format, float]] = {cheap: ("fp8", 4e-5), dear: ("int8", 7e-5), "conv_out": ("int8", 1.0)}
    limits = Thresholds(psnr_db=40, mean_absolute=1)
    chosen = mixture(table, known, limits, share=1)
    assert {name: format for name, format in chosen.items() if format != "fp16"} == {cheap: "fp8"}
    assert mixture(table, known, Thresholds(psnr_db=39, mean_absolute=1), share=1)[dear] == "int8"


def test_a_machine_without_a_gpu_computes_in_torch() -> None:
    assert isinstance(operations_for(torch.device("cpu")), ReferenceOperations)


def test_every_tile_divides_its_shape() -> None:
    for shape in SHAPES:
        for tile in candidates(shape):
            assert shape.height_px**2 % tile.pixels == 0
            assert shape.in_channels % tile.depth == 0
            assert max(shape.out_channels, 16) % tile.channels == 0


def test_few_pixels_get_small_tiles() -> None:
    shape = ConvShape("int8", 3, 32, 512, 512)
    assert programs(guess(shape, 4), shape, 4) >= 120
    assert guess(shape, 1).pixels * guess(shape, 1).channels < 128 * 128


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("frames", [1, 4, 16])
def test_a_guess_fits_every_card(shape: ConvShape, frames: int) -> None:
    tile = guess(shape, frames)
    assert not tile.described
    assert shared_bytes(tile, shape) <= 99 * 1024


def test_a_measured_tile_goes_before_a_guess() -> None:
    shape, few, many = ConvShape("int8", 3, 32, 512, 512), Tile(64, 64, 64, 4, 4), Tile(128, 64, 64, 4, 4)
    measured = {shape: {1: few, 4: many}}
    assert [tile_for(shape, frames, measured) for frames in (1, 3, 4, 16)] == [few, few, many, many]
    assert tile_for(shape._replace(format="fp8"), 4, measured) == guess(shape._replace(format="fp8"), 4)


@pytest.mark.parametrize("capability", [(8, 0), (8, 9), (10, 0), (12, 0)])
def test_only_hopper_is_given_what_was_measured_on_hopper(capability: tuple[int, int]) -> None:
    assert measured_tiles((9, 0))
    assert not measured_tiles(capability)


def test_every_convolution_of_the_published_decoder_was_measured_on_hopper() -> None:
    kernels = {"residual": 3, "doubling": 2, "shortcut": 1, "picture": 3}
    table, measured = layers(build_vae("full").decoder), measured_tiles((9, 0))
    for format in FORMATS:
        for layer in table:
            used = formats(table, format)[layer.name]
            shape = ConvShape(used, kernels[layer.role], layer.height_px, layer.in_channels, layer.out_channels)
            assert set(measured[shape].values()) <= set(candidates(shape))
            assert set(measured[shape]) == {1, 4, 16}


def test_a_table_of_tiles_is_read_as_it_was_written() -> None:
    measured = {
        ConvShape("fp16", 3, 32, 512, 512): {1: Tile(64, 64, 64, 4, 4), 4: Tile(128, 128, 64, 8, 3, described=True)},
        ConvShape("int8", 2, 32, 64, 512): {4: Tile(64, 64, 64, 4, 4)},
    }
    assert read_tiles(written(measured)) == measured
    assert written(read_tiles(TABLE)) == TABLE.lstrip()
