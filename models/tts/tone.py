"""A voice for tests: one tone per word, with phonemes, without a model."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

import numpy as np

from models.errors import EngineFailed
from models.interfaces import SPEECH_RATE_HZ, Phoneme, Samples, Speech, SpeechSynthesizer
from models.settings import EngineSettings

CHUNK_SAMPLES: Final = 80 * SPEECH_RATE_HZ // 1_000
WORD_SAMPLES: Final = 150 * SPEECH_RATE_HZ // 1_000
GAP_SAMPLES: Final = 50 * SPEECH_RATE_HZ // 1_000
_PITCHES_HZ: Final = (220.0, 247.0, 277.0, 294.0, 330.0)
"""Words take turns, so that a test can tell which one it hears."""
_AMPLITUDE: Final = 0.3
_FADE_SAMPLES: Final = 5 * SPEECH_RATE_HZ // 1_000
_CONSONANT, _VOWEL = "m", "ɑ"

Sleep = Callable[[float], Awaitable[None]]


class ToneSynthesizer:
    """Each word sounds for 150 ms, half as `m` and half as `ɑ`, then 50 ms of silence; chunks of 80 ms.

    `sleep` with `realtime_factor` gives it a speed: that many seconds of waiting per second of sound before each
    chunk. With `fail_after_chunks` every request raises EngineFailed after so many chunks, until it is set to None.
    """

    def __init__(
        self, *, realtime_factor: float = 0.0, sleep: Sleep | None = None, fail_after_chunks: int | None = None
    ) -> None:
        self._wait_s = realtime_factor * CHUNK_SAMPLES / SPEECH_RATE_HZ
        self._sleep = sleep
        self._closed = False
        self.fail_after_chunks = fail_after_chunks

    async def stream(self, text: str) -> AsyncGenerator[Speech, None]:
        """Yield the tones of `text` in chunks; the last is shorter. Nothing for a text without words."""
        speech = tones(text)
        for number, start in enumerate(range(0, len(speech.samples), CHUNK_SAMPLES)):
            if self.fail_after_chunks is not None and number >= self.fail_after_chunks:
                raise EngineFailed(f"The tone voice was told to fail after {number} chunks.")
            if self._sleep is not None:
                await self._sleep(self._wait_s)
            if self._closed:
                return
            yield cut(speech, start, start + CHUNK_SAMPLES)

    async def aclose(self) -> None:
        self._closed = True


def tones(text: str) -> Speech:
    """The whole sound of `text` with its phonemes."""
    words = re.findall(r"\w+(?:['’-]\w+)*", text)
    phonemes: list[Phoneme] = []
    sound: list[Samples] = [np.zeros(0, np.float32)]
    for index in range(len(words)):
        start = index * (WORD_SAMPLES + GAP_SAMPLES)
        middle, end = start + WORD_SAMPLES // 2, start + WORD_SAMPLES
        phonemes += [
            Phoneme(_CONSONANT, start, middle),
            Phoneme(_VOWEL, middle, end),
            Phoneme(" ", end, end + GAP_SAMPLES),
        ]
        sound += [_burst(_PITCHES_HZ[index % len(_PITCHES_HZ)]), np.zeros(GAP_SAMPLES, np.float32)]
    return Speech(np.concatenate(sound), tuple(phonemes))


def cut(speech: Speech, start_samples: int, end_samples: int) -> Speech:
    """The part of `speech` between two positions, its phonemes counted from the new beginning."""
    end_samples = min(end_samples, len(speech.samples))
    phonemes = tuple(
        Phoneme(
            phoneme.symbol,
            max(phoneme.start_samples, start_samples) - start_samples,
            min(phoneme.end_samples, end_samples) - start_samples,
        )
        for phoneme in speech.phonemes
        if phoneme.end_samples > start_samples and phoneme.start_samples < end_samples
    )
    return Speech(speech.samples[start_samples:end_samples], phonemes)


def _burst(pitch_hz: float) -> Samples:
    time_s = np.arange(WORD_SAMPLES) / SPEECH_RATE_HZ
    ramp = np.minimum(1, np.minimum(np.arange(WORD_SAMPLES), np.arange(WORD_SAMPLES)[::-1]) / _FADE_SAMPLES)
    burst: Samples = (_AMPLITUDE * ramp * np.sin(2 * np.pi * pitch_hz * time_s)).astype(np.float32)
    return burst


def create(settings: EngineSettings) -> SpeechSynthesizer:
    return ToneSynthesizer()
