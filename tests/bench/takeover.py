"""Takeover: how long until the camera shows another, is there a click, and how fast does the kill switch silence?

The double speaks without a pause; the user's microphone hums another tone and the webcam shows a dark picture, so that
each picture tells whose it is. The picture counts from the command to the first picture given to the camera, which has
30 a second; one frame is 33 ms. Steps between samples are compared with the larger of the two voices' own.
"""

import asyncio
import os
import random
import time
from pathlib import Path

import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Image, Samples
from peer_local.interfaces import PictureInput, Who
from tests.bench.laptop import laptop, sound_of_its_own
from tests.bench.marked import marked
from tests.bench.report import percentiles
from tests.marks import Seen, largest_step, usual
from tests.sound_server import SoundServer

SWITCHES = 60
LONGEST_PAUSE_S = 0.9
LEAST_PAUSE_S = 0.5
SETTLE_S = 6.0
OWN_S = 4.0
AROUND_S = 0.3
WEBCAM_LUMA = 60
BLACK_LUMA = 40
VOICE_PEAK = 0.3
SILENT = 0.002
TAKERS: tuple[Who, ...] = ("double", "self", "nobody")


class DarkWebcam:
    """A PictureInput that always has the same picture."""

    alive = True

    def __init__(self) -> None:
        self._picture: Image = np.full((720 * 3 // 2, 1280), 128, np.uint8)
        self._picture[:720] = WEBCAM_LUMA

    def latest(self) -> Image | None:
        return self._picture

    def close(self) -> None: ...


async def measure(switches: int = SWITCHES) -> dict[str, float]:
    chance = random.Random(5)
    commands: list[tuple[float, Who]] = []
    webcam: PictureInput = DarkWebcam()
    sections = {"microphone": {"real": "user.monitor"}}
    with sound_of_its_own() as server:
        server.pactl(("load-module", "module-null-sink", "sink_name=user", "rate=48000", "channels=1", "norewinds=1"))
        async with (
            marked(voice_peak=VOICE_PEAK, click_peak=0) as performer,
            laptop(performer.url, performer.token, server=server, sections=sections, webcam=lambda: webcam) as local,
            asyncio.timeout(switches * (LONGEST_PAUSE_S + 1) + 60),
        ):
            humming = await _hum(server)
            try:
                await asyncio.sleep(SETTLE_S)
                double_s = time.monotonic()
                await asyncio.sleep(OWN_S)
                local.app.takeover("self")
                await asyncio.sleep(1)
                self_s = time.monotonic()
                await asyncio.sleep(OWN_S)
                self_end_s = time.monotonic()
                who: Who = "self"
                for _ in range(switches):
                    who = chance.choice([other for other in TAKERS if other != who])
                    commands.append((time.monotonic(), who))
                    local.app.takeover(who)
                    await asyncio.sleep(chance.uniform(LEAST_PAUSE_S, LONGEST_PAUSE_S))
                end_s = time.monotonic()
            finally:
                humming.kill()
                await humming.wait()
            heard, shown, underflows = local.heard(), local.camera.shown.copy(), local.underflows
    own = (heard.between(double_s, double_s + OWN_S), heard.between(self_s, self_end_s))
    own_step = max(usual(largest_step, samples) for samples in own)
    pictures_ms = [(_first_s(shown, at_s, who) - at_s) * 1_000 for at_s, who in commands]
    steps = [largest_step(heard.between(at_s, at_s + AROUND_S)) for at_s, _ in commands]
    ends_s = [at_s for at_s, _ in commands[1:]] + [end_s]
    silences_ms = [
        _silent_after_ms(heard.between(at_s, until_s))
        for (at_s, who), until_s in zip(commands, ends_s, strict=True)
        if who == "nobody"
    ]
    return {
        "switches": len(commands),
        **percentiles("picture_ms", pictures_ms),
        "picture_ms_max": round(max(pictures_ms), 1),
        "old_pictures_max": max(_old(shown, at_s, who) for at_s, who in commands),
        "device_underflows": underflows,
        "step_ratio_max": round(max(steps) / own_step, 3),
        **percentiles("nobody_silent_ms", silences_ms),
    }


async def _hum(server: SoundServer) -> asyncio.subprocess.Process:
    """Play the user's tone into the sink that is the user's microphone."""
    file = Path(server.folder) / "hum.raw"
    at_s = np.arange(SPEECH_RATE_HZ * 300) / SPEECH_RATE_HZ
    file.write_bytes((VOICE_PEAK * np.sin(2 * np.pi * 311 * at_s)).astype(np.float32).tobytes())
    options = ("--device=user", "--format=float32le", f"--rate={SPEECH_RATE_HZ}", "--channels=1", "--raw")
    return await asyncio.create_subprocess_exec(
        "pacat", "--playback", *options, str(file), env={**os.environ, **server.environment}
    )


def _first_s(shown: list[tuple[float, Seen]], after_s: float, who: Who) -> float:
    return next((at_s for at_s, seen in shown if at_s > after_s and _who(seen) == who), float("inf"))


def _old(shown: list[tuple[float, Seen]], after_s: float, who: Who) -> int:
    """How many pictures after the command still show somebody else: one may be in the making."""
    first_s = _first_s(shown, after_s, who)
    return sum(after_s < at_s < first_s for at_s, _ in shown)


def _who(seen: Seen) -> Who:
    if seen.position is not None:
        return "double"
    return "nobody" if seen.luma < BLACK_LUMA else "self"


def _silent_after_ms(samples: Samples) -> float:
    loud = np.flatnonzero(np.abs(samples) > SILENT)
    return 0.0 if len(loud) == 0 else float(loud[-1] + 1) * 1_000 / SPEECH_RATE_HZ
