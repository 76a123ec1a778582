"""The embedded voice: Kokoro-82M int8 on the CPU, English.

The model speaks a whole clause at once, in about a third of the time that the clause lasts on two cores. A text of
several sentences, or a long one, is spoken piece by piece, each yielded as soon as it is ready.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Final

from models.errors import EngineFailed
from models.interfaces import Speech, SpeechSynthesizer
from models.settings import EngineSettings
from models.tts.clause import finish
from models.tts.english import English
from models.tts.kokoro_model import KokoroModel, Stop
from models.tts.lexicon import Lexicon
from models.tts.pieces import sentences, shorter
from models.tts.speakable import speakable
from models.weights import locate
from models.worker import Worker

_MOST_SYMBOLS_AT_ONCE: Final = 200
"""About 12 s of speech: longer pieces keep the listener waiting; the model's own limit is 510."""


class KokoroSynthesizer:
    """Speaks with one voice on a thread of its own. Closing a stream ends the running synthesis within 30 ms."""

    def __init__(self, model: KokoroModel, english: English, *, speed: float) -> None:
        self._model = model
        self._english = english
        self._speed = speed
        self._worker = Worker("kokoro")
        self._running: set[Stop] = set()

    async def stream(self, text: str) -> AsyncGenerator[Speech, None]:
        """Yield the sound of `text`, one piece per sentence. Raises EngineFailed; the next request may succeed."""
        stop = Stop()
        self._running.add(stop)
        pieces = self._worker.stream(lambda: self._speak(text, stop))
        try:
            while True:
                # Waited for, not awaited: a cancellation must reach the model before the worker waits for its thread.
                step = asyncio.ensure_future(_next(pieces))
                try:
                    await asyncio.wait((step,))
                except asyncio.CancelledError:
                    stop.request()
                    step.cancel()
                    await asyncio.wait((step,))
                    if not step.cancelled():
                        step.exception()  # seen, so that asyncio does not report it
                    raise
                speech = step.result()
                if speech is None or stop.requested():
                    return
                yield speech
        finally:
            stop.request()
            self._running.discard(stop)
            await pieces.aclose()

    async def aclose(self) -> None:
        """End what is being spoken, then the thread."""
        for stop in self._running:
            stop.request()
        await self._worker.aclose()

    def _speak(self, text: str, stop: Stop) -> Generator[Speech, None, None]:
        for sentence in sentences(speakable(text)):
            for piece in shorter(self._model.symbols(self._english.phonemes(sentence)), most=_MOST_SYMBOLS_AT_ONCE):
                if stop.requested():
                    return
                try:
                    utterance = self._model.say(piece, speed=self._speed, stop=stop)
                except EngineFailed:
                    if stop.requested():
                        return
                    raise
                speech = finish(utterance.samples, utterance.symbols, utterance.frames)
                if len(speech.samples):
                    yield speech


async def _next(pieces: AsyncGenerator[Speech, None]) -> Speech | None:
    return await anext(pieces, None)


def create(settings: EngineSettings) -> SpeechSynthesizer:
    """Load model, voice and dictionaries (1-2 s) and say one word, because the first run of a session is slower.

    Raises WeightsMissing, WeightsCorrupt or EngineUnavailable.
    """
    directory = settings.weights.dir
    model = KokoroModel(locate("kokoro-82m", directory), voice=settings.tts.voice, threads=settings.tts.threads)
    english = English(Lexicon(locate("g2p-english", directory)))
    model.say(model.symbols(english.phonemes("Ready.")), speed=1.0, stop=Stop())
    return KokoroSynthesizer(model, english, speed=settings.tts.speed)
