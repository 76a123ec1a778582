"""How long the call waits for an answer: from the last sample of a question to the first at the virtual microphone.

    question ─► loudspeaker ─► laptop's ears ─► text ─► performer ─► laptop ─► virtual microphone
                    └► parec                                                        └► parec

Two programs with the real engines and the laptop's side, on one machine; both ends are measured by the same recorder.
The stages between are the performer's own moments; they count from the end of speech as the ears have found it.
"""

import asyncio
import time
from collections import defaultdict

import numpy as np

from models.interfaces import Samples
from tests.bench.call_sound import CallSound, call_sound
from tests.bench.laptop import Laptop, laptop, sound_of_its_own
from tests.bench.product import ROOM, running
from tests.bench.report import percentiles
from tests.bench.turn import SPOKEN, VOICES
from tests.bench.voices import utterances
from tests.viewer import LOUD, eventually

SETTLE_S = 8.0
"""The performer learns its openings meanwhile."""
ANSWER_TIMEOUT_S = 30.0
LISTEN_S = 2.0
PAUSE_S = 2.5


async def measure(questions: int = len(SPOKEN)) -> dict[str, float]:
    clips = await utterances(SPOKEN[:questions], VOICES)
    stages: dict[str, list[float]] = defaultdict(list)
    with sound_of_its_own() as server:
        async with (
            running() as product,
            call_sound(server) as call,
            laptop(
                product.url, product.token("operator"), room=ROOM, server=server, sections={"ears": {"source": "call"}}
            ) as local,
        ):
            await asyncio.sleep(SETTLE_S)
            for clip in clips:
                await _ask(local, call, clip, stages)
    figures: dict[str, float] = {"answered": len(stages["first_sample_at_microphone"]), "asked": len(clips)}
    for stage, values in stages.items():
        figures |= percentiles(f"{stage}_s", values)
    return figures


async def _ask(local: Laptop, call: CallSound, clip: Samples, stages: dict[str, list[float]]) -> None:
    """Ask once, wait for the first sound, listen a little, stop it, note the moments."""
    turns = len(local.app.call.turns)
    _, ended_s = await call.play(clip)
    try:
        heard_s = await first_sound_s(local, ended_s, ANSWER_TIMEOUT_S)
    except TimeoutError:
        return
    stages["first_sample_at_microphone"].append(heard_s - ended_s)
    await asyncio.sleep(LISTEN_S)
    local.app.interrupt()
    await eventually(lambda: len(local.app.call.turns) > turns, timeout_s=ANSWER_TIMEOUT_S)
    for moment, at_ms in local.app.call.turns[-1].moments_ms:
        stages[moment].append(at_ms / 1_000)
    stages["first_sample_as_known"].append(local.app.call.turns[-1].first_sound_ms / 1_000)
    await asyncio.sleep(PAUSE_S)


async def first_sound_s(local: Laptop, after_s: float, timeout_s: float) -> float:
    """When the virtual microphone gave the first audible sample after `after_s`. Raises TimeoutError."""
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        heard = local.heard()
        start = heard.place(after_s)
        loud = np.flatnonzero(np.abs(heard.samples[start:]) > LOUD)
        if len(loud):
            return float(heard.at_s(start + int(loud[0])))
        await asyncio.sleep(0.2)
    raise TimeoutError
