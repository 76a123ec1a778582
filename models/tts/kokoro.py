"""The embedded voice: Kokoro-82M int8 on the CPU, English and Ukrainian; shifted towards somebody's voice on request.

The model speaks a whole clause at once, in about a third of the time that the clause lasts on two cores. A text of
several sentences, or a long one, is spoken piece by piece, each yielded as soon as it is ready.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.errors import EngineFailed
from models.interfaces import Speech, SpeechSynthesizer
from models.settings import EngineSettings, TtsSettings
from models.tts import speakable as english_text
from models.tts import speakable_ukrainian as ukrainian_text
from models.tts.clause import MODEL_RATE_HZ, finish
from models.tts.english import English
from models.tts.kokoro_model import KokoroModel, Stop
from models.tts.language import Language, language_of
from models.tts.lexicon import Lexicon
from models.tts.markers import undirected
from models.tts.match_file import read_match
from models.tts.pieces import sentences, shorter
from models.tts.stress_ukrainian import Stress
from models.tts.ukrainian import Ukrainian
from models.tts.voice_shift import UNCHANGED, VoiceShift, require_world, shifted
from models.weights import locate
from models.worker import Worker

_MOST_SYMBOLS_AT_ONCE: Final = 200
"""About 12 s of speech: longer pieces keep the listener waiting; the model's own limit is 510."""

_FEMALE_UK: Final = "if_sara"
_MALE_UK: Final = "im_nicola"
UKRAINIAN_VOICES: Final = (_FEMALE_UK, _MALE_UK)
"""Whisper base understands Ukrainian best from voices of languages with pure vowels (tests/bench/ukrainian.py)."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """How one language is spoken: what is said for a text, which phonemes it has, in which of Kokoro's voices."""

    speakable: Callable[[str], str]
    phonemes: Callable[[str], str]
    voice: str
    shift: VoiceShift = UNCHANGED
    """What makes the voice more like somebody's."""


class KokoroSynthesizer:
    """Speaks on a thread of its own. Closing a stream ends the running synthesis within 30 ms.

    Of several languages each text is in the one that its letters are of; a text without letters is in the language of
    the text before.
    """

    def __init__(self, model: KokoroModel, speakers: Mapping[Language, Speaker], *, speed: float) -> None:
        self._model = model
        self._speakers = speakers
        self._language = next(iter(speakers))
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

    def _speaker(self, text: str) -> Speaker:
        language = language_of(text, otherwise=self._language)
        if language in self._speakers:
            self._language = language
        return self._speakers[self._language]

    def _speak(self, text: str, stop: Stop) -> Generator[Speech, None, None]:
        text = undirected(text)
        speaker = self._speaker(text)
        for sentence in sentences(speaker.speakable(text)):
            for piece in shorter(self._model.symbols(speaker.phonemes(sentence)), most=_MOST_SYMBOLS_AT_ONCE):
                if stop.requested():
                    return
                try:
                    utterance = self._model.say(piece, speed=self._speed, stop=stop, voice=speaker.voice)
                except EngineFailed:
                    if stop.requested():
                        return
                    raise
                samples = shifted(utterance.samples, MODEL_RATE_HZ, speaker.shift, stop.requested)
                speech = finish(samples, utterance.symbols, utterance.frames)
                if len(speech.samples):
                    yield speech


async def _next(pieces: AsyncGenerator[Speech, None]) -> Speech | None:
    return await anext(pieces, None)


def create(settings: EngineSettings) -> SpeechSynthesizer:
    """Load model, voices and dictionaries (1-2 s) and say one word, because the first run of a session is slower.

    Raises WeightsMissing, WeightsCorrupt or EngineUnavailable.
    """
    directory, tts = settings.weights.dir, settings.tts
    speakers = speakers_of(directory, tts)
    voices = [speaker.voice for speaker in speakers.values()]
    model = KokoroModel(locate("kokoro-82m", directory), voice=voices[0], others=voices[1:], threads=tts.threads)
    synthesizer = KokoroSynthesizer(model, speakers, speed=tts.speed)
    first = next(iter(speakers.values()))
    model.say(model.symbols(first.phonemes("Ready.")), speed=1.0, stop=Stop())
    return synthesizer


def speakers_of(directory: Path, tts: TtsSettings) -> dict[Language, Speaker]:
    """Those of the languages that the settings allow; Ukrainian needs English for the Latin words in it."""
    english = English(Lexicon(locate("g2p-english", directory))).phonemes
    voices = _voices(tts)
    speakers: dict[Language, Speaker] = {}
    if tts.language in ("auto", "en"):
        speakers["en"] = Speaker(english_text.speakable, english, *voices["en"])
    if tts.language in ("auto", "uk"):
        stress = Stress(locate("stress-ukrainian", directory) / "stress.trie")
        phonemes = Ukrainian(stress, english).phonemes
        speakers["uk"] = Speaker(ukrainian_text.speakable, phonemes, *voices["uk"])
    return speakers


def _voices(tts: TtsSettings) -> dict[Language, tuple[str, VoiceShift]]:
    """The voice of each language and how it is shifted. The second letter of a voice's name is f or m."""
    plain: dict[Language, tuple[str, VoiceShift]] = {
        "en": (tts.voice, UNCHANGED),
        "uk": (tts.voice_uk or (_MALE_UK if tts.voice[1:2] == "m" else _FEMALE_UK), UNCHANGED),
    }
    if tts.match is None:
        return plain
    require_world()
    found = read_match(tts.match_dir / f"{tts.match}.toml")
    return plain | {language: (match.voice, match.shift) for language, match in found.items()}
