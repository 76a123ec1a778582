"""How far the output's word about when a sample is heard is from when the recorder hears it.

Clicks go through the same device, server and recorder as the double's voice, without network and player. What comes out
is the error of the device's own times and the delay of the recorder together; the picture follows the former.
"""

import asyncio
import threading

import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Samples
from peer_local.devices.choose import Sound
from peer_local.devices.pulse import CABLE_SOURCE, PulseServer
from peer_local.settings import EarsSettings, MicrophoneSettings
from tests.bench.laptop import recorded
from tests.marks import CLICK_HZ, CLICK_PEAK, CLICK_SAMPLES, clicks
from tests.sound_server import SoundServer

SETTLE_S = 4.0
DURATION_S = 6.0
EVERY_SAMPLES = 9_600
"""Five clicks a second: no device is late by half of that."""


class _Clicks:
    """A SoundSource that remembers when its clicks are heard, as it is told."""

    def __init__(self) -> None:
        self._pulled = 0
        self._lock = threading.Lock()
        times = np.arange(CLICK_SAMPLES) / SPEECH_RATE_HZ
        self._pattern = np.zeros(EVERY_SAMPLES, np.float32)
        self._pattern[:CLICK_SAMPLES] = CLICK_PEAK * np.sin(2 * np.pi * CLICK_HZ * times)
        self._told_s: list[float] = []

    @property
    def told_s(self) -> list[float]:
        with self._lock:
            return self._told_s.copy()

    def pull(self, count: int, at_s: float) -> Samples:
        start = self._pulled % EVERY_SAMPLES
        self._pulled += count
        if start == 0 or start + count > EVERY_SAMPLES:
            with self._lock:
                self._told_s.append(at_s + (-start % EVERY_SAMPLES) / SPEECH_RATE_HZ)
        return np.take(self._pattern, np.arange(start, start + count), mode="wrap")


async def device_errors_ms(server: SoundServer) -> list[float]:
    """For each click how much later than told the recorder heard it."""
    source = _Clicks()
    sound = Sound(
        MicrophoneSettings(kind="virtual"),
        EarsSettings(source="none"),
        server=PulseServer(server.pactl),
        directory=server.folder,
    )
    with server.recording(CABLE_SOURCE) as recording:
        output = await asyncio.to_thread(sound.output(), source)
        try:
            await asyncio.sleep(SETTLE_S)
            settled = len(source.told_s)
            await asyncio.sleep(DURATION_S)
            told_s = source.told_s[settled:]
            await asyncio.sleep(0.5)
            heard = recorded(recording)
        finally:
            await asyncio.to_thread(output.close)
            await asyncio.to_thread(sound.close)
    heard_s = heard.at_s(clicks(heard.samples))
    return [float(heard_s[np.argmin(np.abs(heard_s - each_s))] - each_s) * 1_000 for each_s in told_s]
