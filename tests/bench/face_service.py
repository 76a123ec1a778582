"""What it costs to let another process draw the face: time, traffic, processor and likeness.

The illustrated host at 512 px, here and behind `python -m models.face serve` on loopback, one picture here and one
there, so that whatever else the machine does meets both. A far service is the same one behind a proxy that holds every
byte for HOLD_S in both directions.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress

import cv2
import numpy as np

from models.face.host.face import HostFace
from models.face.remote.face import RemoteFace, create
from models.face.remote.picture import compress, expand
from models.interfaces import BEAT_MS, BEATS_PER_SECOND, SPEECH_RATE_HZ, Face, Image, Speech
from models.settings import EngineSettings, FaceSettings
from tests.bench.report import percentiles
from tests.language_server import free_port
from tests.pictures import psnr_db
from tests.portraits import spoken_clip
from tests.processes import stop

SIZE_PX = 512
ROUNDS = 60
WARM_UP = 5
FIRSTS = 30
PACED_S = 6.0
HOLD_S = 0.01
WIDE_PX = (1_280, 720)


async def measure() -> dict[str, float]:
    cv2.setNumThreads(1)
    speech = await spoken_clip()
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(_service())
        far_port = await stack.enter_async_context(_held(port))
        here = HostFace(SIZE_PX)
        stack.push_async_callback(here.aclose)
        there = await _found(port)
        stack.push_async_callback(there.aclose)
        figures = await _silent(here, there) | await _first(here, there, speech)
        for name, face in (("here", here), ("there", there)):
            figures |= percentiles(f"paced_{name}_ms", await _paced(face, speech))
        pictures = await _pictures(here, speech)
        await there.aclose()
        far = await _found(far_port)
        stack.push_async_callback(far.aclose)
        figures |= percentiles("paced_far_ms", await _paced(far, speech))
        figures |= percentiles("paced_far_silent_ms", await _paced_silent(far))
    return figures | await asyncio.to_thread(_compression, pictures)


async def _silent(here: Face, there: Face) -> dict[str, float]:
    """A silent picture that nobody expected, so that the whole round trip is seen."""
    both = []
    for number in range(WARM_UP + ROUNDS):
        position = 10_000 + 100 * number
        both.append((await _took_ms(here.idle(position)), await _took_ms(there.idle(position))))
        await asyncio.sleep(BEAT_MS / 1_000)  # what was drawn ahead is out of the way
    return _compared("idle", both[WARM_UP:])


async def _first(here: Face, there: Face, speech: Sequence[Speech]) -> dict[str, float]:
    """From the first piece of an answer to its first picture."""

    async def first_ms(face: Face, position: int) -> float:
        async with aclosing(face.speak(_said(speech), lambda: position)) as pictures:
            return await _took_ms(anext(pictures))

    both = []
    for number in range(WARM_UP + FIRSTS):
        position = 50_000 + 100 * number
        both.append((await first_ms(here, position), await first_ms(there, position)))
        await asyncio.sleep(BEAT_MS / 1_000)
    return _compared("first", both[WARM_UP:])


async def _paced(face: Face, speech: Sequence[Speech]) -> list[float]:
    """How long each picture of an answer is waited for by somebody who takes one every 40 ms."""
    position = 100_000
    waits: list[float] = []
    began_s = time.perf_counter()
    async with aclosing(face.speak(_said(speech), lambda: position)) as pictures:
        while len(waits) < min(PACED_S, _length_s(speech)) * BEATS_PER_SECOND:
            waits.append(await _took_ms(anext(pictures)))
            position += 1
            await asyncio.sleep(began_s + len(waits) * BEAT_MS / 1_000 - time.perf_counter())
    return waits[1:]


async def _paced_silent(face: Face) -> list[float]:
    waits: list[float] = []
    began_s = time.perf_counter()
    for number in range(int(PACED_S * BEATS_PER_SECOND)):
        waits.append(await _took_ms(face.idle(200_000 + number)))
        await asyncio.sleep(began_s + len(waits) * BEAT_MS / 1_000 - time.perf_counter())
    return waits[1:]


async def _pictures(face: Face, speech: Sequence[Speech]) -> list[Image]:
    position = 300_000
    pictures = []
    async with aclosing(face.speak(_said(speech), lambda: position)) as stream:
        async for picture in stream:
            position += 1
            pictures.append(picture.i420)
    return pictures


def _compression(pictures: Sequence[Image]) -> dict[str, float]:
    """At the host's own size, and enlarged to the usual size of an avatar."""
    wide = [_wide(picture) for picture in pictures[::3]]
    return _cost("", pictures) | _cost("wide_", wide) | {"sound_kb_per_s": 4 * SPEECH_RATE_HZ / 1_000}


def _cost(name: str, pictures: Sequence[Image]) -> dict[str, float]:
    compressing, expanding, sizes, likeness = [], [], [], []
    for picture in pictures:
        rows, width = picture.shape
        begin_s = time.thread_time()
        data = compress(picture)
        middle_s = time.thread_time()
        back = expand(data, width_px=width, height_px=rows * 2 // 3)
        compressing.append(1_000 * (middle_s - begin_s))
        expanding.append(1_000 * (time.thread_time() - middle_s))
        sizes.append(len(data))
        likeness.append(psnr_db(picture, back))
    both_ms = float(np.median(compressing) + np.median(expanding))
    return {
        f"{name}compress_ms": round(float(np.median(compressing)), 2),
        f"{name}expand_ms": round(float(np.median(expanding)), 2),
        f"{name}both_ms": round(both_ms, 2),
        f"{name}core_share": round(both_ms * BEATS_PER_SECOND / 1_000, 3),
        f"{name}kb_per_s": round(float(np.mean(sizes)) * BEATS_PER_SECOND / 1_000, 0),
        f"{name}psnr_db_least": round(min(likeness), 1),
    }


def _wide(picture: Image) -> Image:
    width_px, height_px = WIDE_PX
    bgr = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_I420), (width_px, width_px))
    return np.asarray(cv2.cvtColor(bgr[:height_px], cv2.COLOR_BGR2YUV_I420), np.uint8)


def _compared(name: str, both: Sequence[tuple[float, float]]) -> dict[str, float]:
    return {
        **percentiles(f"{name}_here_ms", [here for here, _ in both]),
        **percentiles(f"{name}_there_ms", [there for _, there in both]),
        **percentiles(f"added_{name}_ms", [there - here for here, there in both]),
    }


def _length_s(speech: Sequence[Speech]) -> float:
    return sum(len(piece.samples) for piece in speech) / SPEECH_RATE_HZ


async def _took_ms(work: Awaitable[object]) -> float:
    begin_s = time.perf_counter()
    await work
    return 1_000 * (time.perf_counter() - begin_s)


async def _said(speech: Sequence[Speech]) -> AsyncIterator[Speech]:
    for piece in speech:
        yield piece


async def _found(port: int) -> RemoteFace:
    settings = FaceSettings(engine="remote", url=f"http://127.0.0.1:{port}", start_wait_s=60)
    face = await asyncio.to_thread(create, EngineSettings(face=settings))
    assert isinstance(face, RemoteFace)
    return face


@asynccontextmanager
async def _service() -> AsyncIterator[int]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "models.face", "serve", "--engine", "host", "--port", str(port)),
        env={**os.environ, "UNDERSTUDY_FACE__SIZE_PX": str(SIZE_PX)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        await stop(process, 10)


@asynccontextmanager
async def _held(port: int) -> AsyncIterator[int]:
    """A proxy to `port` that holds every byte for HOLD_S."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while data := await reader.read(1 << 20):
                loop.call_later(HOLD_S, writer.write, data)
        loop.call_later(HOLD_S, writer.close)

    async def both_ways(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, far_writer), pass_on(far_reader, writer))

    server = await asyncio.start_server(both_ways, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
