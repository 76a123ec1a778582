"""What the other participants of the call say: played to this machine's loudspeaker, where the double's ears listen."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Samples
from tests.bench.laptop import recorded
from tests.bench.voices import SPEECH_PEAK
from tests.recorded_sound import RecordedSound
from tests.sound_server import SPEAKER, Recording, SoundServer

FLUSH_S = 0.15
"""What was played is in the recording after so long."""


class CallSound:
    """Plays and knows when it was heard, by the recorder that also hears the virtual microphone."""

    def __init__(self, server: SoundServer, recording: Recording) -> None:
        self._server = server
        self._recording = recording

    async def play(self, samples: Samples) -> tuple[float, float]:
        """Play to the end; when the first and the last audible sample came."""
        begun_s = time.monotonic()
        await _play(self._server, SPEAKER, samples)
        await asyncio.sleep(FLUSH_S)
        heard = self.heard()
        start = heard.place(begun_s)
        loud = np.flatnonzero(np.abs(heard.samples[start:]) > SPEECH_PEAK)
        first_s, last_s = heard.at_s(start + loud[[0, -1]])
        return float(first_s), float(last_s)

    def heard(self) -> RecordedSound:
        """Everything so far."""
        return recorded(self._recording)


@asynccontextmanager
async def call_sound(server: SoundServer) -> AsyncIterator[CallSound]:
    """Record the loudspeaker while the context lasts."""
    with server.recording(f"{SPEAKER}.monitor") as recording:
        yield CallSound(server, recording)


async def _play(server: SoundServer, sink: str, samples: Samples) -> None:
    file = Path(server.folder) / "played.raw"
    await asyncio.to_thread(file.write_bytes, samples.astype(np.float32).tobytes())
    options = (f"--device={sink}", "--format=float32le", f"--rate={SPEECH_RATE_HZ}", "--channels=1", "--raw")
    process = await asyncio.create_subprocess_exec(
        "pacat", "--playback", "--latency-msec=40", *options, str(file), env={**os.environ, **server.environment}
    )
    try:
        async with asyncio.timeout(len(samples) / SPEECH_RATE_HZ + 10):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
