"""From the raw sound of one clause to Speech: silence trimmed, level set, edges faded, phonemes in their places."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from models.interfaces import SPEECH_RATE_HZ, Phoneme, Samples, Speech

MODEL_RATE_HZ: Final = 24_000
_FRAME_SAMPLES: Final = 600 * SPEECH_RATE_HZ // MODEL_RATE_HZ
"""One frame of the model's durations is 600 samples at 24 kHz, 25 ms."""

_SOUND_LEADS_SAMPLES: Final = 55 * SPEECH_RATE_HZ // 1_000
"""Kokoro's sound comes before its durations say: loudness and phoneme classes correlate best at -50 to -60 ms for
af_heart, am_michael, bf_emma and am_adam (five sentences each)."""

_ONSET_SAMPLES: Final = 250 * SPEECH_RATE_HZ // 1_000
"""After a pause the lead builds up only over the first phonemes."""

_HOP_SAMPLES: Final = 5 * SPEECH_RATE_HZ // 1_000
_QUIET_BELOW_SPEECH_DB: Final = 42.0
"""Softer than this below the speech level is silence; the breath of an initial h is about 30 dB below."""
_SHORTEST_PAUSE_HOPS: Final = 16
"""80 ms: the closure of a plosive inside a word is shorter."""

_LEAD_SAMPLES: Final = 30 * SPEECH_RATE_HZ // 1_000
_RELEASE_SAMPLES: Final = 20 * SPEECH_RATE_HZ // 1_000
_FADE_SAMPLES: Final = 4 * SPEECH_RATE_HZ // 1_000
_PAUSE_AFTER_MS: Final = {".": 260, "!": 260, "?": 260, "…": 380, ";": 200, ":": 200, "—": 160, ",": 130}
_PAUSE_WITHOUT_PUNCTUATION_MS: Final = 40

SPEECH_LEVEL_DB: Final = -20.0
"""RMS of the voiced parts relative to full scale, the level that call software expects of a microphone."""
_MOST_GAIN_DB: Final = 9.0
_PEAK_LIMIT: Final = 0.89

_MODIFIERS_BEFORE: Final = "ˈˌ"
_MODIFIERS_AFTER: Final = "ːʰʲ̃"
_SILENCES: Final = ' .,!?;:—…"()“”'


@dataclass(slots=True)
class _Sound:
    """A symbol and where it begins and ends; a run of silent symbols is one sound."""

    symbol: str
    start: int
    end: int

    @property
    def silent(self) -> bool:
        return self.symbol in _SILENCES


def finish(audio: Samples, symbols: str, frames: Sequence[int]) -> Speech:
    """Make the Speech of one clause.

    `audio` is what the model returned, at MODEL_RATE_HZ; `symbols` has one character for each of `frames`, with a
    space for the padding on both sides. The sound starts 30 ms after the beginning; after its end comes the pause that
    the last punctuation asks for. The phonemes cover the samples without gap or overlap.
    """
    samples = np.asarray(soxr.resample(audio, MODEL_RATE_HZ, SPEECH_RATE_HZ, quality="HQ"), np.float32)
    loudness = _loudness(samples)
    level = _speech_level(loudness)
    quiet = loudness < level - _QUIET_BELOW_SPEECH_DB
    if quiet.all():
        return Speech(np.zeros(0, np.float32))
    heard = np.flatnonzero(~quiet)
    begin = max(0, int(heard[0]) * _HOP_SAMPLES - _LEAD_SAMPLES)
    end = min(len(samples), (int(heard[-1]) + 1) * _HOP_SAMPLES + _RELEASE_SAMPLES)
    sounds = _sounds(symbols, frames)
    _fit_to_pauses(sounds, quiet, int(heard[0]) * _HOP_SAMPLES, (int(heard[-1]) + 1) * _HOP_SAMPLES)
    spoken = _level(_faded(samples[begin:end]), level)
    pause = np.zeros(pause_samples(symbols), np.float32)
    phonemes = _phonemes(sounds, begin, end, len(pause), lead=int(heard[0]) * _HOP_SAMPLES - begin)
    return Speech(np.concatenate((spoken, pause)), phonemes)


def _loudness(samples: Samples) -> NDArray[np.float32]:
    """Level in dB of each whole hop."""
    hops = samples[: len(samples) // _HOP_SAMPLES * _HOP_SAMPLES].reshape(-1, _HOP_SAMPLES)
    level: NDArray[np.float32] = 10 * np.log10(np.mean(hops**2, axis=1) + 1e-12)
    return level


def _speech_level(loudness: NDArray[np.float32]) -> float:
    """Mean power in dB of the hops within 25 dB of the loudest: pauses do not count."""
    if not len(loudness):
        return -120.0
    active = loudness[loudness > loudness.max() - 25]
    return max(float(10 * np.log10(np.mean(10 ** (active / 10)))), -60.0)


def _sounds(symbols: str, frames: Sequence[int]) -> list[_Sound]:
    """Sounds in the model's time: a stress mark stands before its sound, a length mark is dropped, silences are one."""
    ends = np.cumsum(frames) * _FRAME_SAMPLES - _SOUND_LEADS_SAMPLES
    sounds: list[_Sound] = []
    start = 0
    stress = ""
    for symbol, end in zip(symbols, map(int, ends), strict=True):
        end = max(end, start)
        if symbol in _MODIFIERS_BEFORE:
            stress = symbol
            continue
        if sounds and symbol in _MODIFIERS_AFTER:
            sounds[-1].end = end
        elif sounds and symbol in _SILENCES and sounds[-1].silent:
            sounds[-1].end = end
            if sounds[-1].symbol == " ":
                sounds[-1].symbol = symbol
        else:
            sounds.append(_Sound(stress + symbol, start, end))
        stress = ""
        start = end
    return sounds


def _fit_to_pauses(sounds: list[_Sound], quiet: NDArray[np.bool_], onset: int, end: int) -> None:
    """Put each silence where the sound really pauses, and drop those through which the voice goes on.

    The model counts most of a pause as part of the phoneme before it, and its word spaces are not silent at all.
    `onset` and `end` are the first and the last sample of the clause that can be heard.
    """
    first_spoken = next((index for index, sound in enumerate(sounds) if not sound.silent), 0)
    _start_at(sounds[first_spoken:], onset)
    for index in range(first_spoken + 1, len(sounds) - 1):
        silence, before, after = sounds[index], sounds[index - 1], sounds[index + 1]
        if not silence.silent:
            continue
        offset = before.start // _HOP_SAMPLES
        first, last = _longest_run(quiet[offset : after.end // _HOP_SAMPLES])
        if last - first < _SHORTEST_PAUSE_HOPS:
            before.end = after.start = silence.start = silence.end = (silence.start + silence.end) // 2
            continue
        silence.start, silence.end = (offset + first) * _HOP_SAMPLES, (offset + last) * _HOP_SAMPLES
        before.end = silence.start
        _start_at(sounds[index + 1 :], silence.end)
    spoken = [sound for sound in sounds if not sound.silent]
    if spoken:
        spoken[-1].end = max(spoken[-1].start, end)


def _start_at(sounds: list[_Sound], onset: int) -> None:
    """Make `sounds` begin at `onset`, squeezing or stretching only the first quarter of a second."""
    start = sounds[0].start
    shift = min(onset - start, _ONSET_SAMPLES - 1)

    def moved(position: int) -> int:
        return position + shift * max(0, _ONSET_SAMPLES - (position - start)) // _ONSET_SAMPLES

    for sound in sounds:
        sound.start, sound.end = moved(sound.start), moved(sound.end)
        if sound.start >= start + _ONSET_SAMPLES:
            return


def _longest_run(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """Start and end of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return 0, 0
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])


def _phonemes(sounds: list[_Sound], begin: int, end: int, pause: int, *, lead: int) -> tuple[Phoneme, ...]:
    """Phonemes counted from `begin`, the silence at both ends included."""
    length = end - begin + pause
    silence_after = sounds[-1].symbol if sounds[-1].silent else " "
    spoken = sounds[1 if sounds[0].silent else 0 : -1 if sounds[-1].silent else None]
    phonemes = [Phoneme(" ", 0, lead)] if lead else []
    position = lead
    for sound in spoken:
        sound_end = min(max(sound.end - begin, position), length)
        if sound_end > position:
            phonemes.append(Phoneme(sound.symbol, position, sound_end))
        position = sound_end
    if length > position:
        phonemes.append(Phoneme(silence_after, position, length))
    return tuple(phonemes)


def _faded(samples: Samples) -> Samples:
    """A copy with both edges faded, so that it joins silence without a click."""
    faded = samples.copy()
    fade = min(_FADE_SAMPLES, len(faded) // 2)
    ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
    faded[:fade] *= ramp
    faded[len(faded) - fade :] *= ramp[::-1]
    return faded


def _level(samples: Samples, level: float) -> Samples:
    """Bring `samples`, whose speech level is `level` dB, to SPEECH_LEVEL_DB as far as gain and peak allow."""
    gain = 10 ** (float(np.clip(SPEECH_LEVEL_DB - level, -_MOST_GAIN_DB, _MOST_GAIN_DB)) / 20)
    peak = float(np.abs(samples).max(initial=0.0))
    result: Samples = samples * np.float32(min(gain, _PEAK_LIMIT / peak) if peak else 1.0)
    return result


def pause_samples(text: str) -> int:
    """The pause at SPEECH_RATE_HZ that the last punctuation of `text`, or of its phonemes, asks for."""
    last = text.rstrip(' "()“”')[-1:]
    return _PAUSE_AFTER_MS.get(last, _PAUSE_WITHOUT_PUNCTUATION_MS) * SPEECH_RATE_HZ // 1_000
