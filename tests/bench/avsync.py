"""Do lips stay with the sound? Flashes and clicks through the whole chain, measured at the devices.

    marked performer ─ network ─► laptop ─► recording camera             flash: its first white picture
                                         └► PulseAudio virtual microphone ─► parec   click: its first sample

An offset is flash minus click: positive when the picture is late. The camera's 30 pictures a second alone spread it
over 33 ms. `device_error` is measured beforehand: how much later than the output says the recorder hears a sample, its
own delay of up to 5 ms included (tests/bench/calibration.py). It is stated, not subtracted.
"""

import asyncio
import time

import numpy as np

from models.interfaces import BEAT_SAMPLES, SPEECH_RATE_HZ
from tests.bench import simulated_hour
from tests.bench.calibration import device_errors_ms
from tests.bench.laptop import laptop, sound_of_its_own
from tests.bench.marked import marked
from tests.bench.report import percentiles
from tests.marks import Marks, clicks, flashes, pairs
from tests.sound_server import SoundServer

SCENES: dict[str, tuple[float, dict[str, float]]] = {
    "clean": (0.0, {}),
    "lossy": (0.0, {"loss": 0.03, "jitter_ms": 30}),
    "fast": (200.0, {}),
}
"""Name: how much faster the performer's clock runs in ppm, and the network."""
SETTLE_S = 8.0
DURATION_S = 60.0
BEAT_S = BEAT_SAMPLES / SPEECH_RATE_HZ


async def measure(duration_s: float = DURATION_S, hour_s: float = 3_600.0) -> dict[str, float]:
    figures: dict[str, float] = {}
    with sound_of_its_own() as server:
        figures |= percentiles("device_error_ms", await device_errors_ms(server))
        for name, (ppm, conditions) in SCENES.items():
            figures |= await _scene(name, server, ppm, conditions, duration_s)
    found = await asyncio.to_thread(simulated_hour.offsets, hour_s)
    return figures | simulated_hour.figures(found)


async def _scene(
    name: str, server: SoundServer, ppm: float, conditions: dict[str, float], duration_s: float
) -> dict[str, float]:
    async with marked(ppm=ppm) as performer:
        await performer.network(**conditions)
        async with laptop(performer.url, performer.token, server=server) as local:
            await asyncio.sleep(SETTLE_S)
            start_s = time.monotonic()
            await asyncio.sleep(duration_s)
            end_s = time.monotonic()
            heard, shown, underflows = local.heard(), local.camera.shown.copy(), local.underflows
    clicks_s = heard.at_s(clicks(heard.samples))
    found = pairs(flashes(shown), clicks_s)
    found = found[(found[:, 0] > start_s) & (found[:, 0] < end_s)]
    offsets_ms = (found[:, 0] - found[:, 1]) * 1_000
    pace = 1 + ppm / 1e6
    marks = Marks()
    positions = range(int((end_s - performer.origin_s) * pace / BEAT_S) + 1)
    due_s = np.array(
        [performer.origin_s + position * BEAT_S / pace for position in positions if marks.marked(position)]
    )
    delays_ms = [(click_s - due_s[due_s < click_s][-1]) * 1_000 for click_s in found[:, 1]]
    expected = int(np.sum((due_s > start_s) & (due_s < end_s)))
    return {
        f"{name}_marks": len(found),
        f"{name}_marks_missing": max(0, expected - len(found)),
        f"{name}_offset_mean_ms": round(float(offsets_ms.mean()), 1),
        f"{name}_offset_p50_ms": round(float(np.percentile(offsets_ms, 50)), 1),
        f"{name}_offset_p99_ms": round(float(np.percentile(np.abs(offsets_ms), 99)), 1),
        f"{name}_underflows": underflows,
        f"{name}_delay_p50_ms": round(float(np.percentile(delays_ms, 50)), 1),
    }
