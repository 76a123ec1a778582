"""MuseTalk on a GPU with random weights in the exact architecture: speed knows no content.

Needs torch, transformers, diffusers, numpy and OpenCV, nothing else of this project's dependencies. Sections:

1. ms a picture at every batch size: the networks as they are published, in CUDA graphs, and compiled in CUDA graphs;
2. where a compiled step spends its time;
3. first sound in, first picture out, through the whole engine;
4. sessions that hold 25 pictures a second, each picture within 40 ms of its order;
5. most of those sessions for MUSETALK_SOAK_S seconds (600): memory at the beginning and the end.

Compiled networks are kept in MUSETALK_CACHE (default: build/musetalk); the first run takes some minutes to make them.
"""

import asyncio
import gc
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.face.avatar.pack import AvatarPack
from models.face.musetalk.compiled import CompiledNetworks, NetworkName
from models.face.musetalk.compositor import AvatarTensors, Compositor
from models.face.musetalk.config import DecoderName
from models.face.musetalk.engine import EngineSession, MuseTalkEngine
from models.face.musetalk.face import MuseTalkFace
from models.face.musetalk.networks import random_networks
from models.face.musetalk.orders import BUCKETS, Mouth, Sound
from models.face.musetalk.renderer import Renderer
from models.face.musetalk.steps import Batch, CompositorStep, MouthStep, Pair, Step
from models.interfaces import SPEECH_RATE_HZ, Samples, Speech
from tests.avatars import synthetic_pack
from tests.bench.musetalk_published import PublishedStep

DEVICE = torch.device("cuda")
DTYPE = torch.float16
DECODERS: tuple[DecoderName, ...] = ("sd", "taesd")
WARM_UP_RUNS = 5
RUNS = 40
COMPILERS = 5
FIRST_PIECE_S = 0.173
FIRST_PICTURES = 40
HELD_S = 8.0
MOST_FRAME_S = 0.040
SESSIONS: dict[DecoderName, tuple[int, ...]] = {
    "sd": (8, 12, 15, 16, 18, 20, 22, 24),
    "taesd": (20, 30, 36, 42, 48, 56, 64),
}
SOAK_S = float(os.environ.get("MUSETALK_SOAK_S", "600"))
CACHE = Path(os.environ.get("MUSETALK_CACHE", "build/musetalk"))


async def measure() -> dict[str, float]:
    """All sections; figures are named WAY_DECODER_BATCH_ms, first_picture_ms, sessions_DECODER, soak_…."""
    if not torch.cuda.is_available():
        sys.exit("The bench musetalk needs an NVIDIA GPU, and none can be seen.")
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True
    store = CompiledNetworks(CACHE, DEVICE)
    figures = {"compile_s": _compile_all(store)}
    pack = synthetic_pack(frames=50, width_px=1280, height_px=720, face_px=280)
    for decoder in DECODERS:
        figures |= _steps(store, pack, decoder)
        _clear()
    for decoder in DECODERS:
        figures |= await _streaming(store, pack, decoder)
        _clear()
    return figures


def _compile_all(store: CompiledNetworks) -> float:
    """Seconds that the missing packages took, several at a time."""
    names: tuple[NetworkName, ...] = ("mouth", *DECODERS)
    missing = [(name, size) for size in reversed(BUCKETS) for name in names if not store.path(name, size).is_file()]
    begun_s = time.monotonic()
    with ThreadPoolExecutor(COMPILERS) as pool:
        done = list(pool.map(lambda each: store.build(*each), missing))
    failed = [each for each, good in zip(missing, done, strict=True) if not good]
    if failed:
        print(f"not compiled: {failed}", flush=True)
    return round(time.monotonic() - begun_s, 1)


def _steps(store: CompiledNetworks, pack: AvatarPack, decoder: DecoderName) -> dict[str, float]:
    """Sections 1 and 2."""
    networks = random_networks(decoder=decoder, device=DEVICE, dtype=DTYPE)
    avatar = AvatarTensors.of(pack, DEVICE, DTYPE)
    published = PublishedStep(decoder, DEVICE)
    figures: dict[str, float] = {}
    print(f"\n{decoder}: ms a picture (networks, blending, copy to the host; host waits after each call)")
    print(f"{'batch':>5} {'published':>10} {'graph':>8} {'compiled':>9}   compiled alone: mouth, decoder, blending")
    for size in BUCKETS:
        row: dict[str, float] = {"published": _median_ms(lambda size=size: published.run(size)) / size}
        with _stream():
            row["graph"] = _median_ms(_whole(size, avatar, pack, (networks.mouth, networks.decoder))) / size
            pair = store.pair(networks, size)
            parts = ""
            if pair is not None:
                row["compiled"] = _median_ms(_whole(size, avatar, pack, pair)) / size
                alone = _alone(size, avatar, pack, pair)
                parts = ", ".join(f"{value:.2f}" for value in alone)
                figures |= {f"{part}_{decoder}_{size}_ms": value for part, value in zip(PARTS, alone, strict=True)}
        print(
            f"{size:>5} {row['published']:>10.2f} {row['graph']:>8.2f} {row.get('compiled', 0):>9.2f}   {parts}",
            flush=True,
        )
        figures |= {f"{way}_{decoder}_{size}_ms": round(value, 3) for way, value in row.items()}
    return figures


PARTS = ("mouth", "decoder", "blending")


def _whole(size: int, avatar: AvatarTensors, pack: AvatarPack, pair: Pair) -> Callable[[], None]:
    """One step as the renderer does it, from latents to regions in pinned memory."""
    batch, composition = _batch(size, avatar, pack)
    mouths = MouthStep(batch, *pair)
    host = torch.empty(composition.blended.shape, dtype=torch.uint8, pin_memory=True)

    def run() -> None:
        mouths.run()
        composition.run()
        host.copy_(composition.blended, non_blocking=True)

    return run


def _alone(size: int, avatar: AvatarTensors, pack: AvatarPack, pair: Pair) -> list[float]:
    """ms a picture of mouth network, decoder and blending, each in a graph of its own."""
    batch, composition = _batch(size, avatar, pack)
    mouth, decoder = pair
    latents = batch.latents[:, :4].contiguous()
    steps = (
        Step(lambda: _ignore(mouth(batch.latents, batch.windows)), DEVICE),
        Step(lambda: _ignore(decoder(latents)), DEVICE),
    )
    return [round(_median_ms(step.run) / size, 3) for step in (*steps, composition)]


def _batch(size: int, avatar: AvatarTensors, pack: AvatarPack) -> tuple[Batch, CompositorStep]:
    batch = Batch(size, DEVICE, DTYPE)
    batch.latents.copy_(avatar.latents[:size])
    batch.windows.normal_()
    compositor = Compositor(pack.roi_width_px, pack.roi_height_px).to(DEVICE)
    composition = CompositorStep(batch, compositor, pack.roi_height_px, pack.roi_width_px)
    for target, source in (
        (composition.masks, avatar.masks),
        (composition.warps, avatar.warps),
        (composition.regions, avatar.regions),
    ):
        target.copy_(source[:size])
    composition.gains.fill_(1)
    return batch, composition


async def _streaming(store: CompiledNetworks, pack: AvatarPack, decoder: DecoderName) -> dict[str, float]:
    """Sections 3 to 5."""
    most = max(SESSIONS[decoder])
    networks = random_networks(decoder=decoder, device=DEVICE, dtype=DTYPE)
    begun_s = time.monotonic()
    engine = MuseTalkEngine(
        lambda: Renderer(
            networks,
            sessions=most,
            compiled=lambda size: store.pair(networks, size),
        ),
        max_sessions=most,
    )
    figures = {f"engine_start_{decoder}_s": round(time.monotonic() - begun_s, 2)}
    faces = [_Watched(engine.open(pack), pack) for _ in range(most)]
    try:
        figures |= {f"{name}_{decoder}_ms": value for name, value in (await _first_picture(faces[0])).items()}
        held = 0
        print(f"\n{decoder}: sessions, p50 and p99 from order to picture in ms, pictures a second of the slowest")
        for count in SESSIONS[decoder]:
            await _hold(faces[:count], 2.0)
            p50, p99, slowest_fps = await _hold(faces[:count], HELD_S)
            print(f"{count:>4} {p50:7.1f} {p99:7.1f} {slowest_fps:6.2f}", flush=True)
            figures[f"p99_{decoder}_{count}_ms"] = p99
            if p99 >= MOST_FRAME_S * 1_000 or slowest_fps < 24.9:
                break
            held = count
        figures[f"sessions_{decoder}"] = held
        if decoder == "sd" and SOAK_S > 0 and held:
            figures |= await _soak(faces[: max(1, round(held * 0.9))])
        print(engine.counts, flush=True)
    finally:
        for face in faces:
            face.session.close()
        engine.close()
    return figures


@dataclass(slots=True)
class _Watched:
    """A session that notes how long each order takes."""

    session: EngineSession
    pack: AvatarPack
    taken_s: list[float] = field(default_factory=list)

    def order(self, mouths: Sequence[Mouth], sounds: Sequence[Sound], **rest: Any) -> "Future[list[NDArray[np.uint8]]]":
        begun_s = time.monotonic()
        ticket = self.session.order(mouths, sounds, **rest)
        ticket.add_done_callback(lambda _: self.taken_s.extend([time.monotonic() - begun_s] * len(mouths)))
        return ticket

    def cancel(self) -> None:
        self.session.cancel()

    def face(self) -> MuseTalkFace:
        return MuseTalkFace(self, self.pack, close=lambda: None)


async def _first_picture(watched: _Watched) -> dict[str, float]:
    """From the first piece of speech to the first blended picture in host memory, in ms."""
    face = watched.face()
    taken_ms = []
    for index in range(FIRST_PICTURES):
        await asyncio.sleep(0.05)
        taken_ms.append(await _first_of(face, index * 1_000))
    return {f"first_picture_p{share}": round(float(np.percentile(taken_ms[5:], share)), 2) for share in (50, 95)}


async def _first_of(face: MuseTalkFace, position: int) -> float:
    piece = Speech(_babble(FIRST_PIECE_S, position))
    begun_s = time.monotonic()

    async def speech() -> AsyncIterator[Speech]:
        yield piece
        await asyncio.sleep(3_600)

    async with aclosing(face.speak(speech(), lambda: position)) as pictures:
        await anext(pictures)
        return (time.monotonic() - begun_s) * 1_000


async def _hold(faces: Sequence[_Watched], duration_s: float) -> tuple[float, float, float]:
    """Let all speak without a pause; p50 and p99 of order to picture in ms, and the slowest session's pictures a s."""
    for watched in faces:
        watched.taken_s.clear()
    rates = await asyncio.gather(*(_speak(watched, index, duration_s) for index, watched in enumerate(faces)))
    taken_ms = np.concatenate([watched.taken_s for watched in faces]) * 1_000
    return round(float(np.median(taken_ms)), 2), round(float(np.percentile(taken_ms, 99)), 2), round(min(rates), 2)


async def _speak(watched: _Watched, index: int, duration_s: float) -> float:
    """One session: a synthesizer that gives clauses of a second, a viewer that takes a picture every 40 ms."""
    await asyncio.sleep(index * 0.017 % 0.4)
    shown = 0
    begun_s = time.monotonic()
    clause = _babble(1.0, index)

    async def speech() -> AsyncIterator[Speech]:
        for _ in range(round(duration_s)):
            yield Speech(clause)

    async with aclosing(watched.face().speak(speech(), lambda: shown)) as pictures:
        async for _ in pictures:
            shown += 1
            await asyncio.sleep(max(0.0, begun_s + shown * 0.04 - time.monotonic()))
    return shown / (time.monotonic() - begun_s)


async def _soak(faces: Sequence[_Watched]) -> dict[str, float]:
    """Section 5."""
    worst_ms, before = 0.0, (0.0, 0.0)
    begun_s, rounds = time.monotonic(), 0
    while time.monotonic() - begun_s < SOAK_S:
        _, p99, slowest_fps = await _hold(faces, 20.0)
        worst_ms = max(worst_ms, p99)
        rounds += 1
        if rounds == 2:
            before = _memory_mb()
    after = _memory_mb()
    print(f"soak: {len(faces)} sessions, worst p99 {worst_ms} ms, memory in MB {before} → {after}", flush=True)
    return {
        "soak_s": round(time.monotonic() - begun_s),
        "soak_sessions": len(faces),
        "soak_p99_ms": worst_ms,
        "soak_slowest_fps": slowest_fps,
        "soak_host_growth_mb": round(after[0] - before[0], 1),
        "soak_device_growth_mb": round(after[1] - before[1], 1),
    }


def _memory_mb() -> tuple[float, float]:
    """Of this process and, reserved, of the device."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, torch.cuda.memory_reserved() / 1e6


def _babble(duration_s: float, seed: int) -> Samples:
    """Noise at the level of speech, with syllables."""
    count = round(duration_s * SPEECH_RATE_HZ)
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * np.arange(count) / SPEECH_RATE_HZ)
    noise = 0.1 * np.random.default_rng(seed).standard_normal(count)
    return (noise * syllables).astype(np.float32)


def _median_ms(run: Callable[[], None]) -> float:
    """Of one call, the host waiting for the device after each."""
    for _ in range(WARM_UP_RUNS):
        run()
    taken = []
    for _ in range(RUNS):
        torch.cuda.synchronize()
        begun_s = time.perf_counter()
        run()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - begun_s)
    return statistics.median(taken) * 1_000


@contextmanager
def _stream() -> Iterator[None]:
    """Graphs cannot be captured on the default stream."""
    with torch.no_grad(), torch.cuda.stream(torch.cuda.Stream()):
        yield


def _ignore(_: torch.Tensor) -> None:
    """A graph keeps its result."""


def _clear() -> None:
    gc.collect()
    torch.cuda.empty_cache()
