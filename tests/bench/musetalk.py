"""MuseTalk on a GPU with random weights in the exact architecture: speed knows no content.

Needs torch, transformers, diffusers, numpy and OpenCV, nothing else of this project's dependencies. Sections:

1. ms a picture at every batch size: as published, in CUDA graphs, and as the product runs it;
2. what a picture's time is spent on;
3. first sound in, first picture out, through the whole engine;
4. sessions that hold 25 pictures a second, 99 of 100 within 40 ms of being asked for;
5. most of those sessions for MUSETALK_SOAK_S seconds (600): memory at the beginning and the end.

Compiled networks are kept in MUSETALK_CACHE (default: build/musetalk); the first run takes some minutes to make them.
"""

import asyncio
import gc
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
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
from models.face.musetalk.kernels.choice import fast_decoder
from models.face.musetalk.networks import Networks, random_networks
from models.face.musetalk.orders import BUCKETS, Mouth, Sound
from models.face.musetalk.pace import BEAT_S
from models.face.musetalk.renderer import Renderer
from models.face.musetalk.steps import Batch, CompositorStep, MouthStep, Network, Pair, Step
from models.interfaces import SPEECH_RATE_HZ, Samples, Speech
from tests.avatars import synthetic_pack
from tests.bench.musetalk_published import PublishedStep

DEVICE = torch.device("cuda")
DTYPE = torch.float16
DECODERS: tuple[DecoderName, ...] = ("sd", "taesd")
WARM_UP_RUNS = 5
RUNS = 40
COMPILERS = 10
STARTED_S = time.monotonic()
FIRST_PIECE_S = 0.173
FIRST_PICTURES = 40
HELD_S = 6.0
MOST_FRAME_MS = 40.0
LEAST_FPS = 24.9
SESSIONS: dict[DecoderName, tuple[int, ...]] = {
    "sd": (12, 15, 18, 20, 22, 24, 26, 28),
    "taesd": (20, 30, 36, 42, 48, 54, 60),
}
SOAK_S = float(os.environ.get("MUSETALK_SOAK_S", "600"))
CACHE = Path(os.environ.get("MUSETALK_CACHE", "build/musetalk"))


async def measure() -> dict[str, float]:
    """All sections; see the names in the tables."""
    if not torch.cuda.is_available():
        sys.exit("The bench musetalk needs an NVIDIA GPU, and none can be seen.")
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True
    store = CompiledNetworks(CACHE, DEVICE)
    pack = synthetic_pack(frames=50, width_px=1280, height_px=720, face_px=280)
    networks = {decoder: random_networks(decoder=decoder, device=DEVICE, dtype=DTYPE) for decoder in DECODERS}
    for each in networks.values():
        each.mouth, each.audio = networks["sd"].mouth, networks["sd"].audio
    figures = {"compile_s": _compile_all(store)}
    mouths = _loaded(store, "mouth", networks["sd"].mouth)
    tiny = _loaded(store, "taesd", networks["taesd"].decoder)

    sixteen, eight = (_kernels(networks["sd"], pack, eight_bits=eight_bits) for eight_bits in (False, True))
    ways: dict[DecoderName, dict[str, dict[int, Pair]]] = {
        "sd": {
            "graph": _pairs(networks["sd"].mouth, networks["sd"].decoder),
            "kernels": _pairs(networks["sd"].mouth, sixteen),
            "compiled": {size: (mouth, sixteen) for size, mouth in mouths.items()},
            "eight_bits": {size: (mouth, eight) for size, mouth in mouths.items()},
        },
        "taesd": {
            "graph": _pairs(networks["taesd"].mouth, networks["taesd"].decoder),
            "compiled": {size: (mouth, tiny.get(size, networks["taesd"].decoder)) for size, mouth in mouths.items()},
        },
    }
    for decoder in DECODERS:
        figures |= _steps(pack, decoder, ways[decoder])
    _clear()
    for decoder in reversed(DECODERS):
        best = list(ways[decoder].values())
        pairs = best[0] | best[-1]
        figures |= await _streaming(networks[decoder], pack, pairs)
        _clear()
    return figures


def _compile_all(store: CompiledNetworks) -> float:
    """Seconds that the missing parts of the cache took, several at a time."""
    names: tuple[NetworkName, ...] = ("mouth", "taesd")
    missing = [(name, size) for name in names for size in reversed(BUCKETS) if not store.has(name, size)]
    begun_s = time.monotonic()
    with ThreadPoolExecutor(COMPILERS) as pool:
        done = list(pool.map(lambda each: store.build(*each), missing))
    failed = [each for each, good in zip(missing, done, strict=True) if not good]
    if failed:
        print(f"not compiled: {failed}", flush=True)
    return round(time.monotonic() - begun_s, 1)


def _loaded(store: CompiledNetworks, name: NetworkName, plain: torch.nn.Module) -> dict[int, Network]:
    found: dict[int, Network] = {}
    for size in BUCKETS:
        begun_s = time.monotonic()
        network = store.load(name, size, plain) if store.has(name, size) else None
        if network is not None:
            found[size] = network
            print(f"{name} {size}: loaded in {time.monotonic() - begun_s:.1f} s", flush=True)
    return found


def _kernels(networks: Networks, pack: AvatarPack, *, eight_bits: bool) -> Network:
    latents = torch.from_numpy(pack.latents[:16, 4:]).to(DEVICE, DTYPE)
    begun_s = time.monotonic()
    decoder, result = fast_decoder(networks.decoder, latents, eight_bits=eight_bits)
    print(f"decoder, eight bits {eight_bits}: {time.monotonic() - begun_s:.1f} s, {result}", flush=True)
    return decoder


def _pairs(mouth: Network, decoder: Network) -> dict[int, Pair]:
    return dict.fromkeys(BUCKETS, (mouth, decoder))


def _steps(pack: AvatarPack, decoder: DecoderName, ways: Mapping[str, Mapping[int, Pair]]) -> dict[str, float]:
    """Sections 1 and 2."""
    avatar = AvatarTensors.of(pack, DEVICE, DTYPE)
    published = PublishedStep(decoder, DEVICE)
    figures: dict[str, float] = {}
    print(f"\n{decoder}: ms a picture (networks, blending, copy to the host; the host waits after each call)")
    print("batch  published", *(f"{way:>10}" for way in ways), "  the last one's mouth, decoder, blending alone")
    for size in BUCKETS:
        figures[f"published_{decoder}_{size}_ms"] = round(_median_ms(lambda size=size: published.run(size)) / size, 3)  # type: ignore[misc]
        alone: list[float] = []
        with _stream():
            for way, pairs in ways.items():
                if size in pairs:
                    whole_ms = _median_ms(_whole(size, avatar, pack, pairs[size])) / size
                    figures[f"{way}_{decoder}_{size}_ms"] = round(whole_ms, 3)
                    alone = _alone(size, avatar, pack, pairs[size])
        figures |= {f"{part}_{decoder}_{size}_ms": value for part, value in zip(PARTS, alone, strict=True)}
        row = [figures.get(f"{way}_{decoder}_{size}_ms", float("nan")) for way in ("published", *ways)]
        print(f"{size:>5}", *(f"{value:>10.2f}" for value in row), " ", alone, flush=True)
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
        composition,
    )
    return [round(_median_ms(step.run) / size, 3) for step in steps]


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


async def _streaming(networks: Networks, pack: AvatarPack, pairs: Mapping[int, Pair]) -> dict[str, float]:
    """Sections 3 to 5."""
    decoder = networks.config.decoder
    most = max(SESSIONS[decoder])
    begun_s = time.monotonic()
    engine = MuseTalkEngine(lambda: Renderer(networks, sessions=most, pairs=pairs), max_sessions=most)
    figures = {f"engine_start_{decoder}_s": round(time.monotonic() - begun_s, 2)}
    faces = [_Watched(engine.open(pack), pack) for _ in range(most)]
    try:
        figures |= {f"{name}_{decoder}_ms": value for name, value in (await _first_picture(faces[0])).items()}
        held = 0
        print(f"\n{decoder}: sessions that speak without a pause")
        for count in SESSIONS[decoder]:
            await _hold(faces[:count], 2.0)
            fared = await _hold(faces[:count], HELD_S)
            print(f"{count:>4}  {fared}", flush=True)
            figures[f"asked_p99_{decoder}_{count}_ms"] = fared.asked_p99_ms
            figures[f"order_p99_{decoder}_{count}_ms"] = fared.order_p99_ms
            if not fared.well:
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
    """A session that notes how long everything takes."""

    session: EngineSession
    pack: AvatarPack
    ordered_s: list[float] = field(default_factory=list)
    asked_s: list[float] = field(default_factory=list)
    plain: int = 0

    def order(self, mouths: Sequence[Mouth], sounds: Sequence[Sound], **rest: Any) -> "Future[list[NDArray[np.uint8]]]":
        begun_s = time.monotonic()
        ticket = self.session.order(mouths, sounds, **rest)
        ticket.add_done_callback(lambda _: self.ordered_s.extend([time.monotonic() - begun_s] * len(mouths)))
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


@dataclass(frozen=True, slots=True)
class _Held:
    """How a number of sessions fared."""

    order_p50_ms: float
    """From an order of one, two or four pictures to these pictures."""
    order_p99_ms: float
    asked_p99_ms: float
    """From asking for a picture, every 40 ms, to having it."""
    slowest_fps: float
    plain: int
    """Pictures that were given up."""

    @property
    def well(self) -> bool:
        return self.asked_p99_ms < MOST_FRAME_MS and self.slowest_fps >= LEAST_FPS and not self.plain

    def __str__(self) -> str:
        return (
            f"order to picture p50 {self.order_p50_ms:6.1f}, p99 {self.order_p99_ms:6.1f}; "
            f"asked to picture p99 {self.asked_p99_ms:6.1f} ms; slowest {self.slowest_fps:5.2f} fps"
        )


async def _hold(faces: Sequence[_Watched], duration_s: float) -> _Held:
    """Let all speak without a pause."""
    for watched in faces:
        watched.ordered_s.clear()
        watched.asked_s.clear()
        watched.plain = 0
    rates = await asyncio.gather(*(_speak(watched, index, duration_s) for index, watched in enumerate(faces)))
    ordered_ms = 1_000 * np.concatenate([watched.ordered_s for watched in faces])
    asked_ms = 1_000 * np.concatenate([watched.asked_s for watched in faces])
    return _Held(
        round(float(np.median(ordered_ms)), 2),
        round(float(np.percentile(ordered_ms, 99)), 2),
        round(float(np.percentile(asked_ms, 99)), 2),
        round(min(rates), 2),
        sum(watched.plain for watched in faces),
    )


async def _speak(watched: _Watched, index: int, duration_s: float) -> float:
    """One session: a synthesizer that gives clauses of a second, a viewer that takes a picture every 40 ms."""
    await asyncio.sleep(index * 0.017 % 0.4)
    clause = _babble(1.0, index)
    shown = 0

    async def speech() -> AsyncIterator[Speech]:
        for _ in range(round(duration_s)):
            yield Speech(clause)

    face = watched.face()
    begun_s = time.monotonic()
    async with aclosing(face.speak(speech(), lambda: shown)) as pictures:
        while True:
            asked_s = time.monotonic()
            if await anext(pictures, None) is None:
                break
            watched.asked_s.append(time.monotonic() - asked_s)
            shown += 1
            await asyncio.sleep(max(0.0, begun_s + shown * BEAT_S - time.monotonic()))
    watched.plain = face.counts.plain
    return shown / (time.monotonic() - begun_s)


async def _soak(faces: Sequence[_Watched]) -> dict[str, float]:
    """Section 5."""
    worst_ms, slowest_fps, before = 0.0, 25.0, (0.0, 0.0)
    begun_s, rounds = time.monotonic(), 0
    while time.monotonic() - begun_s < SOAK_S:
        fared = await _hold(faces, 20.0)
        worst_ms = max(worst_ms, fared.asked_p99_ms)
        slowest_fps = min(slowest_fps, fared.slowest_fps)
        rounds += 1
        print(f"soak {rounds}: {len(faces)} sessions, {fared}, memory in MB {_memory_mb()}", flush=True)
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
