"""What our client of the cloned voice adds to a bare request: a stand-in for the server answers at once, so what is
measured is ours. Bare is the same request on a kept connection, read to its first and last byte; ours ends with samples
at 48 kHz, at the level of speech."""

import time
from contextlib import aclosing

import aiohttp
import numpy as np
import ormsgpack

from models.interfaces import SPEECH_RATE_HZ
from models.settings import FishSpeechSettings
from models.tts.fish_speech import FishSpeechSynthesizer
from tests.bench.report import percentiles
from tests.fish_server import FishServer

ROUNDS = 100
WARM_UP = 5
CLAUSE = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen."
"""3 s of sound."""


async def measure() -> dict[str, float]:
    with FishServer(references={"me": (b"", "")}) as server:
        voice = FishSpeechSynthesizer(FishSpeechSettings(url=server.url, reference="me"))
        async with aiohttp.ClientSession() as session:
            try:
                # One after the other, so that whatever else the machine does meets both.
                both = [(await _bare(session, server.url), await _ours(voice)) for _ in range(WARM_UP + ROUNDS)][
                    WARM_UP:
                ]
                cpu_ms = await _cpu_ms(voice)
            finally:
                await voice.aclose()
    del both[:WARM_UP]
    figures: dict[str, float] = {}
    for index, moment in enumerate(("first", "last")):
        figures |= percentiles(f"bare_{moment}_ms", [bare[index] for bare, _ in both])
        figures |= percentiles(f"ours_{moment}_ms", [ours[index] for _, ours in both])
        figures |= percentiles(f"added_{moment}_ms", [ours[index] - bare[index] for bare, ours in both])
    return {**figures, "cpu_ms_per_second_of_sound": cpu_ms}


async def _bare(session: aiohttp.ClientSession, url: str) -> tuple[float, float]:
    """Milliseconds to the first and to the last byte."""
    begin_s = time.perf_counter()
    body = ormsgpack.packb({"text": CLAUSE, "reference_id": "me", "streaming": True})
    async with session.post(f"{url}/v1/tts", data=body, headers={"Content-Type": "application/msgpack"}) as response:
        await response.content.readany()
        first_s = time.perf_counter()
        while await response.content.readany():
            pass
    return 1_000 * (first_s - begin_s), 1_000 * (time.perf_counter() - begin_s)


async def _ours(voice: FishSpeechSynthesizer) -> tuple[float, float]:
    """Milliseconds to the first and to the last piece of sound."""
    begin_s = time.perf_counter()
    first_s = 0.0
    async with aclosing(voice.stream(CLAUSE)) as pieces:
        async for _ in pieces:
            first_s = first_s or time.perf_counter()
    return 1_000 * (first_s - begin_s), 1_000 * (time.perf_counter() - begin_s)


async def _cpu_ms(voice: FishSpeechSynthesizer) -> float:
    """CPU time of the event loop's thread for a second of sound."""
    costs = []
    for _ in range(10):
        begin_s = time.thread_time()
        async with aclosing(voice.stream(CLAUSE)) as pieces:
            length = sum([len(piece.samples) async for piece in pieces])
        costs.append(1_000 * (time.thread_time() - begin_s) * SPEECH_RATE_HZ / length)
    return round(float(np.median(costs)), 2)
