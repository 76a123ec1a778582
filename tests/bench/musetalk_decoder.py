"""The SD-VAE decoder on a GPU: our kernels against cuDNN and torch.compile, layer by layer and whole.

    python -m tests.bench.musetalk_decoder [--out FILE] [--no-compile]

Needs torch, Triton, diffusers, transformers and numpy; weights are random. First many processes compile every tile of
every layer (a minute on 16 cores), then each is timed and the best are printed as the table for hopper_tiles.py. A
section that fails prints its error and the next one goes on.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.face.musetalk.kernels.choice import fast_decoder
from models.face.musetalk.kernels.decoder import KernelSdDecoder
from models.face.musetalk.kernels.formats import Format, PackedConv, Quantiser, Reach, pack
from models.face.musetalk.kernels.gate import gate
from models.face.musetalk.kernels.layers import Layer, calibrate, formats, layers
from models.face.musetalk.kernels.reference import Norm, ReferenceOperations
from models.face.musetalk.kernels.tiles import ConvShape, Tile, Tiles, candidates, written
from models.face.musetalk.networks import SdDecoder, build_vae
from models.face.musetalk.random_weights import fill_randomly

FORMATS: tuple[Format, ...] = ("fp16", "int8", "fp8")
TUNED_FRAMES = (1, 4, 16)
BATCHES = (1, 4, 8, 16)
TOGETHER = {"all at once": (16,), "256 px by 2": (16, 16, 16, 2), "256 px by 1": (16, 16, 16, 1)}
TIMED = 7
CALLS = 6
KERNEL_OF = {"residual": 3, "doubling": 2, "shortcut": 1, "picture": 3}

Job = tuple[ConvShape, bool, Tile]
"""A shape, whether a residual is added, and the tile to try."""
Found = dict[ConvShape, dict[int, Tile]]


def measure(device: torch.device, *, compile_baseline: bool = True) -> dict[str, Any]:
    """Everything that the module says, printed as it is found and returned."""
    torch.backends.cudnn.benchmark = True
    found: dict[str, Any] = {"device": torch.cuda.get_device_name(device), "torch": torch.__version__}
    import triton

    found["triton"] = triton.__version__
    print(found, flush=True)
    sd = random_decoder(device)
    table = layers(sd.decoder)
    tiles: Found = {}
    with section("compile"):
        warm(jobs(table))
    with section("right"):
        found["right"] = compare_with_reference(sd, device)
    with section("layers"):
        found["layers"] = tune(table, device, tiles)
    with section("norms"):
        found["norms"] = norms(device)
    with section("whole"):
        found["whole"] = whole(sd, tiles, device)
    with section("mixture"):
        found["mixture"] = mixed(sd, tiles, device)
    if compile_baseline:
        with section("torch.compile"):
            found["compiled"] = compiled(sd, device)
    in_order = sorted(tiles, key=lambda shape: (FORMATS.index(shape.format), *shape[1:]))
    print(written({shape: tiles[shape] for shape in in_order}), flush=True)
    return found


@contextmanager
def section(name: str) -> Iterator[None]:
    """Errors are printed and end the section only."""
    start = time.perf_counter()
    print(f"== {name}", flush=True)
    try:
        yield
        torch.cuda.synchronize()
    except Exception:
        traceback.print_exc(limit=6, file=sys.stdout)
    print(f"== {name}: {time.perf_counter() - start:.1f} s", flush=True)


def random_decoder(device: torch.device) -> SdDecoder:
    vae = build_vae("full").to_empty(device=device)
    vae = nn.Module.to(vae, dtype=torch.float16)
    fill_randomly(vae, torch.Generator(device).manual_seed(0))
    return SdDecoder(vae).eval().to(memory_format=torch.channels_last)


def shape_of(layer: Layer, format: Format) -> ConvShape:
    return ConvShape(format, KERNEL_OF[layer.role], layer.height_px, layer.in_channels, layer.out_channels)


def jobs(table: tuple[Layer, ...]) -> list[Job]:
    """Every kernel that tuning or the whole decoder can need, each once."""
    wanted: dict[Job, None] = {}
    for format in FORMATS:
        for layer in table:
            if format == "fp16" or layer.role in ("residual", "doubling"):
                shape = shape_of(layer, format)
                for tile in candidates(shape):
                    wanted[shape, layer.name.endswith("conv2"), tile] = None
    return list(wanted)


def warm(wanted: list[Job]) -> None:
    """Compile in many processes; this one finds the results in Triton's cache."""
    count = max(1, min(14, (os.cpu_count() or 2) - 1))
    shares = [(wanted[number::count], FORMATS[number] if number < len(FORMATS) else None) for number in range(count)]
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        failures = [line for lines in pool.imap_unordered(compile_share, shares) for line in lines]
    print(f"{len(wanted)} kernels, {len(failures)} failed")
    for line in failures[:12]:
        print("  ", line)


def compile_share(share: tuple[list[Job], Format | None]) -> list[str]:
    """Run each of one process's kernels once; what failed."""
    wanted, whole_format = share
    device, failures = torch.device("cuda"), []
    for job in wanted:
        try:
            run_conv(job, 1, device)()
        except Exception as error:
            failures.append(f"{job}: {type(error).__name__}: {str(error)[:300]}")
    if whole_format is not None:
        try:
            sd = random_decoder(device)
            latents = torch.randn(1, 4, 32, 32, device=device)
            reaches = calibrate(sd, sd.decoder, latents.half())
            KernelSdDecoder(sd, formats(layers(sd.decoder), whole_format), reaches)(latents)
            torch.cuda.synchronize()
        except Exception:
            failures.append(traceback.format_exc(limit=-4))
    return failures


def run_conv(job: Job, frames: int, device: torch.device) -> Callable[[], object]:
    """One convolution on random codes, ready to be launched."""
    from models.face.musetalk.kernels.launch import TritonOperations

    shape, residual, tile = job
    conv = random_conv(shape, device)
    operations = TritonOperations({shape: {1: tile}})
    size = (frames, shape.height_px, shape.height_px, shape.in_channels)
    source = operations.prepare(
        torch.randn(size, device=device).half(), None, conv.quantiser, silu=True, border_px=conv.border_px
    )
    kept = torch.randn(*size[:3], shape.out_channels, device=device).half() if residual else None
    planar = shape.out_channels == 3
    statistic = not planar and shape.kernel != 1
    return lambda: operations.convolve(source, conv, residual=kept, statistics=statistic, planar=planar)


def random_conv(shape: ConvShape, device: torch.device) -> PackedConv:
    kernel = 1 if shape.kernel == 1 else 3
    ins = shape.in_channels
    weight = torch.randn(shape.out_channels, ins, kernel, kernel, device=device) / (kernel * ins**0.5)
    reach = Reach.of(F.silu(torch.randn(1, ins, 32, 32, device=device)))
    bias = torch.zeros(shape.out_channels, device=device)
    return pack(weight, bias, reach, shape.format, doubled=shape.kernel == 2)


def clocked(work: Callable[[], object], times: int = TIMED, *, calls: int = CALLS) -> float:
    """Median time of one call on the device, in ms: `calls` of them in a CUDA graph, so that the host does not show."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        work()
        work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            work()
    for _ in range(2):
        graph.replay()
    starts, ends = ([torch.cuda.Event(enable_timing=True) for _ in range(times)] for _ in range(2))
    for start, end in zip(starts, ends, strict=True):
        start.record()
        graph.replay()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) for start, end in zip(starts, ends, strict=True)) / calls


def compare_with_reference(sd: SdDecoder, device: torch.device) -> dict[str, Any]:
    """Kernels against plain torch with the same codes, and both against the network in float16."""
    latents = torch.randn(2, 4, 32, 32, device=device).half()
    reaches = calibrate(sd, sd.decoder, latents)
    found: dict[str, Any] = {}
    for format in FORMATS:
        try:
            table = formats(layers(sd.decoder), format)
            ours = KernelSdDecoder(sd, table, reaches)
            plain = KernelSdDecoder(sd, table, reaches, operations=ReferenceOperations())
            same, real = gate(plain, ours, latents), gate(sd, ours, latents)
            found[format] = {"same_codes_db": same.psnr_db, "psnr_db": real.psnr_db, "mean": real.mean_absolute}
            found[format] |= {"max": real.max_absolute, "passed": real.passed}
            print(
                f"{format}: kernels against torch, same codes {same.psnr_db:.1f} dB; against the "
                f"network {real.psnr_db:.1f} dB, mean {255 * real.mean_absolute:.2f}/255, "
                f"max {255 * real.max_absolute:.1f}/255, {'passed' if real.passed else 'refused'}",
                flush=True,
            )
        except Exception:
            traceback.print_exc(limit=6, file=sys.stdout)
    return found


def tune(table: tuple[Layer, ...], device: torch.device, tiles: Found) -> list[dict[str, Any]]:
    """Each shape's best tile for one, four and sixteen frames, into `tiles`; cuDNN beside it for four."""
    rows: list[dict[str, Any]] = []
    shown = sorted({(shape_of(layer, "fp16"), layer.role): layer for layer in table}.items(), key=lambda item: item[0])
    print(f"{'4 frames':34} {'cuDNN':>16}" + "".join(f"{format:>30}" for format in FORMATS))
    for (_, role), layer in shown:
        row: dict[str, Any] = {"role": role, "height": layer.height_px, "in": layer.in_channels}
        row["out"] = layer.out_channels
        line = f"{role:9} {layer.height_px:3} px {layer.in_channels:3} to {layer.out_channels:3} "
        line = f"{line:34}"
        try:
            row["cudnn_ms"] = cudnn(layer, 4, device)
            line += f"{row['cudnn_ms']:8.3f} ms {4e-9 * layer.operations / row['cudnn_ms']:4.0f}T"
        except Exception as error:
            line += f" {error!s:.40}"
        for format in FORMATS if role in ("residual", "doubling") else FORMATS[:1]:
            shape = shape_of(layer, format)
            for frames in TUNED_FRAMES:
                timed = times_of(shape, role == "residual", frames, device)
                if not timed:
                    continue
                tile, best = min(timed.items(), key=lambda item: item[1])
                tiles.setdefault(shape, {})[frames] = tile
                row[f"{format}_{frames}_ms"], row[f"{format}_{frames}_tile"] = best, repr(tile)
                row[f"{format}_{frames}_all"] = {repr(each): round(ms, 4) for each, ms in timed.items()}
                if frames == 4:
                    place = f"{tile.pixels}x{tile.channels}x{tile.depth} w{tile.warps}{'D' if tile.described else ''}"
                    line += f"{best:8.3f} ms {4e-9 * layer.operations / best:5.0f}T {place:>15}"
        print(line, flush=True)
        rows.append(row)
    return rows


def times_of(shape: ConvShape, residual: bool, frames: int, device: torch.device) -> dict[Tile, float]:
    timed: dict[Tile, float] = {}
    adds = residual and shape.in_channels == shape.out_channels
    for tile in candidates(shape):
        try:
            timed[tile] = clocked(run_conv((shape, adds, tile), frames, device))
        except Exception as error:
            print(f"  {shape} {tile}: {type(error).__name__}: {str(error)[:120]}")
    return timed


def cudnn(layer: Layer, frames: int, device: torch.device) -> float:
    """The layer as torch runs it, its input doubled at the doubled size; T in the table counts our own operations."""
    kernel = 1 if layer.role == "shortcut" else 3
    weight = torch.randn(layer.out_channels, layer.in_channels, kernel, kernel, device=device).half()
    weight = weight.to(memory_format=torch.channels_last)
    source = torch.randn(frames, layer.in_channels, layer.height_px, layer.height_px, device=device).half()
    source = source.to(memory_format=torch.channels_last)

    def work() -> Tensor:
        doubled = F.interpolate(source, scale_factor=2, mode="nearest") if layer.role == "doubling" else source
        return F.conv2d(doubled, weight, padding=kernel // 2)

    return clocked(work)


def norms(device: torch.device, frames: int = 4) -> list[dict[str, Any]]:
    """Group norm and SiLU: torch's own, and ours to float16 and to eight bits, with the speed of the memory."""
    from models.face.musetalk.kernels.launch import TritonOperations

    operations, rows = TritonOperations(), []
    for height, channels in ((32, 512), (64, 512), (128, 512), (128, 256), (256, 256), (256, 128)):
        source = torch.randn(frames, height, height, channels, device=device).half()
        norm = Norm(torch.ones(channels, device=device), torch.zeros(channels, device=device), 32, 1e-6)
        gain, shift = norm.gain.half(), norm.shift.half()
        seen = operations.measure(source)
        affine = operations.combine(seen, norm)
        row: dict[str, Any] = {"height": height, "channels": channels}
        planes = source.permute(0, 3, 1, 2)
        row["torch_ms"] = clocked(lambda p=planes, g=gain, s=shift: F.silu(F.group_norm(p, 32, g, s, 1e-6)))
        row["measure_ms"] = clocked(lambda s=source: operations.measure(s))
        row["combine_ms"] = clocked(lambda s=seen, n=norm: operations.combine(s, n))
        for format in FORMATS:
            quantiser = Quantiser(format, torch.full((channels,), 20.0, device=device), 0)
            row[f"{format}_ms"] = clocked(
                lambda s=source, a=affine, q=quantiser: operations.prepare(s, a, q, silu=True, border_px=1)
            )
            row[f"{format}_GBps"] = source.numel() * (4 if format == "fp16" else 3) / row[f"{format}_ms"] / 1e6
        print("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
        rows.append(row)
    return rows


def whole(sd: SdDecoder, tiles: Tiles, device: torch.device) -> list[dict[str, Any]]:
    """ms per frame of the decoder in a CUDA graph, by format, batch, and how many frames go together."""
    from models.face.musetalk.kernels.launch import TritonOperations

    reaches = calibrate(sd, sd.decoder, torch.randn(4, 4, 32, 32, device=device).half())
    table, rows = layers(sd.decoder), []
    for format in FORMATS:
        for name, together in TOGETHER.items():
            try:
                operations = TritonOperations(tiles)
                ours = KernelSdDecoder(sd, formats(table, format), reaches, operations=operations, together=together)
                row: dict[str, Any] = {"format": format, "together": name}
                for batch in BATCHES:
                    latents = torch.randn(batch, 4, 32, 32, device=device).half()
                    row[f"batch_{batch}"] = clocked(lambda o=ours, z=latents: o(z), calls=1) / batch
                print(
                    "  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{v:12}" for k, v in row.items()), flush=True
                )
                rows.append(row)
            except Exception:
                traceback.print_exc(limit=6, file=sys.stdout)
    return rows


def mixed(sd: SdDecoder, tiles: Tiles, device: torch.device) -> dict[str, Any]:
    """What the gate leaves in eight bits with these random weights, what finding that costs, and its speed."""
    from models.face.musetalk.kernels.launch import TritonOperations

    start = time.perf_counter()
    latents = torch.randn(4, 4, 32, 32, device=device).half()
    chosen, result = fast_decoder(sd, latents, operations=TritonOperations(tiles))
    found: dict[str, Any] = {"choice_s": time.perf_counter() - start, "psnr_db": result.psnr_db}
    found |= {"mean": result.mean_absolute}
    if isinstance(chosen, KernelSdDecoder):
        found["plain"] = [name for name, used in chosen.table.items() if used == "fp16"]
    found["ms_per_frame"] = clocked(lambda: chosen(latents), calls=1) / len(latents)
    print(found, flush=True)
    return found


def compiled(sd: SdDecoder, device: torch.device, frames: int = 4) -> dict[str, float]:
    """ms per frame of torch.compile in a CUDA graph, the best way before; its compilation takes 15 s."""
    latents = torch.randn(frames, 4, 32, 32, device=device).half()
    faster = torch.compile(sd, fullgraph=True)
    with torch.no_grad():
        found = {f"batch_{frames}": clocked(lambda: faster(latents), calls=1) / frames}
    print(found, flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.musetalk_decoder", description=__doc__)
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write everything that was measured as JSON")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU: nothing to measure")
        return 1
    found = measure(torch.device("cuda"), compile_baseline=not options.no_compile)
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
