"""Reasons not to believe what Whisper says. Pure.

The thresholds are those of Radford et al. 2022 (arXiv 2212.04356), section 4.5. The phrases are what Whisper's training
on subtitles makes it say about noise and silence, in English, Ukrainian and the languages it confuses with Ukrainian.
"""

import zlib
from dataclasses import dataclass

NO_SPEECH_PROBABILITY = 0.6
MEAN_LOG_PROBABILITY = -1.0
COMPRESSION_RATIO = 2.4
REPEATS = 4
"""So many times in a row the same words are a loop; people say a word three times."""

SUBTITLE_PHRASES = frozenset(
    {
        "bye bye",
        "like and subscribe",
        "please subscribe",
        "please subscribe to my channel",
        "subscribe to my channel",
        "thank you for watching",
        "thank you so much for watching",
        "thank you very much for watching",
        "thanks for watching",
        "transcription by castingwords",
        "дякую за перегляд",
        "дякую за перегляд відео",
        "дякуємо за перегляд",
        "підписуйтесь на канал",
        "підписуйтеся на канал",
        "продовження далі",
        "продовження буде",
        "продолжение следует",
        "редактор субтитров",
        "спасибо за просмотр",
        "субтитри",
        "субтитри створив",
        "субтитры",
        "субтитры сделал dimatorzok",
    }
)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One decoding and the model's own doubts about it."""

    text: str
    no_speech_probability: float
    mean_log_probability: float
    cut_off: bool = False
    """Whether the decoder was stopped before it was done."""


def loops(hypothesis: Hypothesis) -> bool:
    """Whether the decoder ran in circles."""
    raw = hypothesis.text.encode()
    compression_ratio = len(raw) / len(zlib.compress(raw)) if raw else 0.0
    return hypothesis.cut_off or compression_ratio > COMPRESSION_RATIO or repeats(hypothesis.text)


def repeats(text: str) -> bool:
    """Whether one to six words come REPEATS times in a row."""
    words = _plain(text).split()
    for size in range(1, 7):
        run = 0
        for index in range(size, len(words)):
            run = run + 1 if words[index] == words[index - size] else 0
            if run >= size * (REPEATS - 1):
                return True
    return False


def believable(hypothesis: Hypothesis) -> bool:
    """Whether the text is worth answering."""
    unheard = (
        hypothesis.no_speech_probability > NO_SPEECH_PROBABILITY
        and hypothesis.mean_log_probability < MEAN_LOG_PROBABILITY
    )
    plain = _plain(hypothesis.text)
    return bool(plain) and not unheard and plain not in SUBTITLE_PHRASES and not loops(hypothesis)


def _plain(text: str) -> str:
    """Lower case, without punctuation, single spaces."""
    kept = "".join(character if character.isalnum() or character == "'" else " " for character in text.lower())
    return " ".join(kept.split())
