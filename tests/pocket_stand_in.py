"""A stand-in for the package pocket_tts with the part of its API that the adapter uses, as version 4.0.1 has it.

Read from its code and compared once by running the adapter against the real package with random weights: a frame is
1,920 samples at 24 kHz, sometimes several of them at once; the stream looks at `stop` before each frame and ends early;
the model is not to be asked again before the stream has ended.
"""

import threading
import wave
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np

from models.interfaces import Samples

FRAME_SAMPLES = 1_920
RATE_HZ = 24_000
FRAMES_PER_WORD = 3
LEADING_FRAMES = 5
"""Near silence before the first word, as a model does now and then."""


class Tensor:
    """What of torch.Tensor is used."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def numpy(self) -> Samples:
        return self._samples


class TTSModel:
    """Each word is a hum of three frames."""

    load_error: Exception | None = None
    cloning = True

    def __init__(self) -> None:
        self.sample_rate = RATE_HZ
        self.has_voice_cloning = type(self).cloning
        self.asked: list[str] = []
        self.frames = 0
        self.running = 0
        self.fail_after: int | None = None
        self.gate: threading.Semaphore | None = None
        """Lets one frame through for each release, if a test wants to hold it."""
        self.recording_s = 0.0

    @classmethod
    def load_model(cls, language: str | None = None, config: str | None = None) -> Self:
        if cls.load_error is not None:
            raise cls.load_error
        assert (language is None) != (config is None)
        return cls()

    def get_state_for_audio_prompt(self, audio_conditioning: Path | str, truncate: bool = False) -> dict[str, Any]:
        with wave.open(str(audio_conditioning), "rb") as file:
            assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
            self.recording_s = file.getnframes() / file.getframerate()
        return {}

    def generate_audio_stream(
        self,
        model_state: dict[str, Any],
        text_to_generate: str,
        max_tokens: int = 50,
        frames_after_eos: int | None = None,
        copy_state: bool = True,
        stop: threading.Event | None = None,
    ) -> Iterator[Tensor]:
        assert not self.running, "the clause before is not over"
        self.running += 1
        self.asked.append(text_to_generate)
        try:
            yield from self._words(len(text_to_generate.split()), stop or threading.Event())
        finally:
            self.running -= 1

    def _words(self, words: int, stop: threading.Event) -> Iterator[Tensor]:
        time_s = np.arange(FRAME_SAMPLES * FRAMES_PER_WORD) / RATE_HZ
        hum = np.asarray(0.05 * np.sin(2 * np.pi * 150 * time_s), np.float32)
        silence = np.zeros(FRAME_SAMPLES, np.float32)
        for number in range(LEADING_FRAMES + words * FRAMES_PER_WORD):
            if stop.is_set():
                return
            if self.gate is not None:
                self.gate.acquire(timeout=10)
            if self.fail_after == number:
                raise RuntimeError("The size of tensor a (7) must match the size of tensor b (9)")
            self.frames += 1
            at = (number - LEADING_FRAMES) % FRAMES_PER_WORD * FRAME_SAMPLES
            yield Tensor(silence if number < LEADING_FRAMES else hum[at : at + FRAME_SAMPLES])


def module() -> ModuleType:
    """A fresh `pocket_tts` for sys.modules."""
    package = ModuleType("pocket_tts")
    package.TTSModel = type("TTSModel", (TTSModel,), {})  # type: ignore[attr-defined]
    return package
