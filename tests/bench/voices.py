"""Utterances for the benches, spoken by the embedded voice and played in real time as a microphone."""

import asyncio
import time
from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from models import registry
from models.interfaces import SPEECH_RATE_HZ, Samples
from models.settings import EngineSettings, TtsSettings

FRAME_SAMPLES = 960
SPEECH_PEAK = 0.02
"""The last sample above this is where speech ends."""


async def utterances(lines: tuple[str, ...], voices: tuple[str, ...]) -> list[Samples]:
    """Speak each line at SPEECH_RATE_HZ, the voices in turn, cut after the last audible sample."""
    spoken = []
    for voice in voices:
        tts = registry.create("tts", EngineSettings(tts=TtsSettings(voice=voice)))
        try:
            for line in lines[voices.index(voice) :: len(voices)]:
                pieces = [speech.samples async for speech in tts.stream(line)]
                samples = np.concatenate(pieces)
                audible = np.flatnonzero(np.abs(samples) > SPEECH_PEAK)
                spoken.append(samples[: audible[-1] + 1])
        finally:
            await tts.aclose()
    return spoken


class Microphone(MediaStreamTrack):
    """A room with faint noise in which somebody speaks when `say` is called; paced by the clock."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._start_s: float | None = None
        self._sent_samples = 0
        self._speech: Samples = np.zeros(0, np.float32)
        self._done: asyncio.Future[float] | None = None
        self._noise = np.random.default_rng(1)

    async def say(self, samples: Samples) -> float:
        """Speak, and return the moment at which the last sample was due."""
        self._done = asyncio.get_running_loop().create_future()
        self._speech = samples
        return await self._done

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if self._start_s is None:
            self._start_s = time.monotonic()
        due_s = self._start_s + self._sent_samples / SPEECH_RATE_HZ
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        piece, self._speech = self._speech[:FRAME_SAMPLES], self._speech[FRAME_SAMPLES:]
        if self._done is not None and len(self._speech) == 0 and not self._done.done():
            self._done.set_result(due_s + len(piece) / SPEECH_RATE_HZ)
        samples = self._noise.normal(0, 0.0005, FRAME_SAMPLES).astype(np.float32)
        samples[: len(piece)] += piece
        frame = AudioFrame.from_ndarray((samples * 32_767).clip(-32_768, 32_767).astype(np.int16)[None], layout="mono")
        frame.sample_rate = SPEECH_RATE_HZ
        frame.pts = self._sent_samples
        frame.time_base = Fraction(1, SPEECH_RATE_HZ)
        self._sent_samples += FRAME_SAMPLES
        return frame
