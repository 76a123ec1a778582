"""Reasons not to believe what Whisper says. Pure.

The thresholds are those of Radford et al. 2022 (arXiv 2212.04356), section 4.5. The phrases are what Whisper's training
on subtitles makes it say about noise and silence, in English, Ukrainian and the languages it confuses with Ukrainian.
"""

import re
import zlib
from dataclasses import dataclass

import numpy as np

from models.interfaces import HEARING_RATE_HZ, Samples

QUIETEST_RMS = 1e-3
"""-60 dB of full scale in the loudest tenth of a second: nobody spoke, or the rest of an echo."""
NO_SPEECH_PROBABILITY = 0.6
MEAN_LOG_PROBABILITY = -1.0
COMPRESSION_RATIO = 2.4
REPEATS = 4
"""So many times in a row the same words are a loop; people say a word three times."""

SUBTITLE_PHRASES = frozenset(
    {
        "bye bye",
        "captions by getsubs com",
        "like and subscribe",
        "please like and subscribe",
        "please subscribe",
        "please subscribe to my channel",
        "see you in the next video",
        "subscribe to my channel",
        "subtitles by the amara org community",
        "thank you for watching and don't forget to like and subscribe",
        "thank you for watching",
        "thank you so much for watching",
        "thank you very much for watching",
        "thanks for watching",
        "transcription by castingwords",
        "дякую за перегляд",
        "дякую за перегляд відео",
        "дякую за увагу і до зустрічі в наступному відео",
        "дякуємо за перегляд",
        "до зустрічі в наступному відео",
        "підписуйтесь на канал",
        "підписуйтеся на канал",
        "продовження далі",
        "продовження буде",
        "продолжение следует",
        "спасибо за просмотр",
        "ставте лайки та підписуйтесь на канал",
    }
)


CREDITS = ("субтитри", "субтитры", "субтитрування", "редактор субтитров", "редактор субтитрів", "корректор а")
MOST_CREDIT_WORDS = 8
"""A text that begins like this and is no longer than this is the end of a film."""

COURTESIES = frozenset(
    {"you", "thank you", "thank you very much", "thanks", "bye", "so", "oh", "okay", "дякую", "дякую за увагу", "так"}
)
"""What people say, and what Whisper says about noise: believed when it is sure of it."""
SURE_NO_SPEECH_PROBABILITY = 0.4
SURE_MEAN_LOG_PROBABILITY = -0.8

_SOUND = re.compile(r"[\[(*♪].*[\])*♪]\W*")
"""[Music], (laughter), *applause*: a sound that was described, no words."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One decoding and the model's own doubts about it."""

    text: str
    no_speech_probability: float
    mean_log_probability: float
    cut_off: bool = False
    """Whether the decoder was stopped before it was done."""


def loud_enough(samples: Samples) -> bool:
    """Whether there is anything to transcribe."""
    tenth = HEARING_RATE_HZ // 10
    padded = np.pad(samples, (0, -len(samples) % tenth)).reshape(-1, tenth)
    return bool(len(padded)) and float(np.sqrt(np.mean(padded**2, axis=1).max())) >= QUIETEST_RMS


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
    if not plain or unheard or plain in SUBTITLE_PHRASES or _SOUND.fullmatch(hypothesis.text.strip()):
        return False
    if plain.startswith(CREDITS) and len(plain.split()) <= MOST_CREDIT_WORDS:
        return False
    if plain in COURTESIES and not _is_sure(hypothesis):
        return False
    return not loops(hypothesis)


def said_once(text: str) -> str:
    """`text` without its second half when that only repeats the first, of two words or more.

    Whisper does so with short clips that begin with silence; a person who did is understood all the same.
    """
    parts = text.split()
    half = len(parts) // 2
    if len(parts) % 2 or half < 2 or _plain(" ".join(parts[:half])) != _plain(" ".join(parts[half:])):
        return text
    return " ".join(parts[:half])


def _is_sure(hypothesis: Hypothesis) -> bool:
    return (
        hypothesis.no_speech_probability <= SURE_NO_SPEECH_PROBABILITY
        and hypothesis.mean_log_probability >= SURE_MEAN_LOG_PROBABILITY
    )


def _plain(text: str) -> str:
    """Lower case, without punctuation, single spaces."""
    kept = "".join(character if character.isalnum() or character == "'" else " " for character in text.lower())
    return " ".join(kept.split())
