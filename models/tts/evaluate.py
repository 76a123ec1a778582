"""How a voice does: is it understood, how loud is it, how long does one wait for it, whom does it sound like."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from models.errors import EngineFailed
from models.interfaces import HEARING_RATE_HZ, SPEECH_RATE_HZ, Samples, SpeechRecognizer, SpeechSynthesizer
from models.tts.heard import heard_in
from models.tts.recording import resampled, wav_bytes
from models.tts.reference_check import speech_level_db, word_error_rate
from models.tts.speaker import mean_embedding, similarity

LINES: Final = {
    "en": (
        "Good morning, can everybody hear me well?",
        "I looked at the numbers yesterday, and they are better than we expected.",
        "Let us start with the first point on the list.",
        "That is a good question, give me a moment to think about it.",
        "We could move the meeting to Thursday afternoon.",
        "The weather in London was cold and wet last week.",
        "I would rather finish this before we begin something new.",
        "Thank you very much, that was really helpful.",
        "Could you say that again, please?",
        "I will send you a short summary after the call.",
    ),
    "uk": (
        "Доброго ранку, чи всі мене добре чують?",
        "Я вчора переглянув цифри, і вони кращі, ніж ми сподівалися.",
        "Почнімо з першого питання у списку.",
        "Це добре запитання, дайте мені хвилину подумати.",
        "Ми могли б перенести зустріч на четвер після обіду.",
        "Минулого тижня у Львові було холодно й мокро.",
        "Я краще закінчу це, перш ніж ми почнемо щось нове.",
        "Дуже дякую, це справді допомогло.",
        "Повторіть, будь ласка, ще раз.",
        "Після розмови я надішлю вам короткий підсумок.",
    ),
}
"""What is said when no lines are given; our own sentences, without digits, so that words can be compared."""

_GAP_SAMPLES: Final = SPEECH_RATE_HZ // 2

Embed = Callable[[Samples, int], Samples]
"""The embedding of a speaker, of samples and their rate in Hz."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One line as a voice said it."""

    voice: str
    line: str
    samples: Samples
    first_s: float
    """From the request to the first sound."""
    whole_s: float
    """From the request to the last."""
    heard: str
    embedding: Samples | None = None
    """Of the speaker, if it was asked for."""

    @property
    def seconds(self) -> float:
        return len(self.samples) / SPEECH_RATE_HZ

    @property
    def real_time_factor(self) -> float:
        """Time that the line took for each second that it lasts."""
        return self.whole_s / self.seconds

    @property
    def word_error_rate(self) -> float:
        return word_error_rate(self.line, self.heard)

    @property
    def level_db(self) -> float:
        return speech_level_db(self.samples, SPEECH_RATE_HZ)


async def evaluate(
    voices: Sequence[tuple[str, Callable[[], SpeechSynthesizer]]],
    lines: Sequence[str],
    recognizer: SpeechRecognizer,
    *,
    language: str,
    embed: Embed | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> list[Spoken]:
    """Let each voice say every line, after one that is not counted. Raises ModelError."""
    results = []
    for name, make in voices:
        voice = make()
        try:
            await _said(voice, lines[0], clock)
            for line in lines:
                samples, first_s, whole_s = await _said(voice, line, clock)
                heard = await heard_in(recognizer, resampled(samples, SPEECH_RATE_HZ, HEARING_RATE_HZ), language)
                embedding = None if embed is None else embed(samples, SPEECH_RATE_HZ)
                results.append(Spoken(name, line, samples, first_s, whole_s, heard, embedding))
        finally:
            await voice.aclose()
    return results


def write(results: Sequence[Spoken], directory: Path) -> Path:
    """One WAV file per line, and per voice one with all of them to listen through. Raises EngineFailed."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for voice in dict.fromkeys(result.voice for result in results):
            lines = [result.samples for result in results if result.voice == voice]
            for number, samples in enumerate(lines, 1):
                (directory / f"{voice}-{number:02}.wav").write_bytes(wav_bytes(samples, SPEECH_RATE_HZ))
            sheet = np.concatenate([np.pad(samples, (0, _GAP_SAMPLES)) for samples in lines])
            (directory / f"{voice}.wav").write_bytes(wav_bytes(sheet, SPEECH_RATE_HZ))
    except OSError as error:
        raise EngineFailed(f"{directory} cannot be written: {error.strerror}.") from None
    return directory


def rows(results: Sequence[Spoken], originals: Mapping[str, Samples] | None = None) -> Iterator[tuple[str, ...]]:
    """A table: name, words that differ, level, first sound, real-time factor, similarity; each line, then each voice.

    Of a voice it is the mean of the words, the similarity of all lines together, and the median of the rest.
    `originals` has the embedding of the recording that a voice should sound like.
    """
    for voice in dict.fromkeys(result.voice for result in results):
        of_voice = [result for result in results if result.voice == voice]
        original = (originals or {}).get(voice)
        for number, result in enumerate(of_voice, 1):
            yield _row(f"{voice} {number}", [result], original)
        yield _row(f"{voice}, all", of_voice, original)


def _row(name: str, results: Sequence[Spoken], original: Samples | None) -> tuple[str, ...]:
    errors = sum(result.word_error_rate for result in results) / len(results)
    embeddings = [result.embedding for result in results if result.embedding is not None]
    alike = "–" if original is None or not embeddings else f"{similarity(mean_embedding(embeddings), original):.2f}"
    return (
        name,
        f"{errors:.0%}",
        f"{median(result.level_db for result in results):.1f}",
        f"{median(result.first_s for result in results):.2f}",
        f"{median(result.real_time_factor for result in results):.2f}",
        alike,
    )


async def _said(voice: SpeechSynthesizer, line: str, clock: Callable[[], float]) -> tuple[Samples, float, float]:
    """The sound, and the seconds to its first and to its last piece."""
    begin_s = clock()
    first_s: float | None = None
    sound = []
    async with aclosing(voice.stream(line)) as pieces:
        async for piece in pieces:
            first_s = clock() - begin_s if first_s is None else first_s
            sound.append(piece.samples)
    if first_s is None:
        raise EngineFailed("A line has nothing to say; take it out of the file of lines.")
    return np.concatenate(sound), first_s, clock() - begin_s
