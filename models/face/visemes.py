"""From phonemes to mouth shapes: what lips, jaw and tongue do at any moment of a stretch of speech.

Each sound pulls the mouth toward its own shape, most at its centre and less with distance; what is seen is the mean of
all shapes weighted by these pulls (Cohen and Massaro, "Modeling coarticulation in synthetic visual speech", 1993). A
sound pulls strongly only on what it needs: /s/ on the teeth, /k/ on hardly anything, so that it looks like its
neighbours. Lips that must meet (m, b, p) and teeth that must touch the lip (f, v) are laid over the mean, so that no
neighbour can keep them apart.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from models.face.mouth_shape import MouthShape
from models.face.viseme_table import (
    LENGTHENERS,
    PRIMARY_STRESS,
    REDUCED_VOWELS,
    SILENCE,
    STRESS_MARKS,
    Viseme,
    is_vowel,
    visemes_of,
)
from models.interfaces import SPEECH_RATE_HZ, Phoneme, Samples, Speech

_ANTICIPATION_MS = 62.0
"""A pull falls to 1/e this long before its sound; lips begin 60 to 100 ms ahead of the sound they prepare."""
_CARRY_OVER_MS = 48.0
_CORE_SHARE = 0.5
"""The middle half of a sound is held."""
_CLOSURE_MS = 44.0
"""A closure is held at least as long as a picture, so that one picture shows it."""
_RELEASE_MS = 75.0
_PAUSE_MS = 90.0
"""A shorter gap between words does not close the mouth."""
_DIPHTHONG_TURN = 0.52
_ACCENT_SPACING_MS = 320.0
_LONG_VOWEL_MS = 60.0
"""Half a diphthong of 120 ms, or a vowel that is clearly not swallowed."""
_ENERGY_STEP_MS = 20.0
_QUIET_DB = -46.0
_LOUD_DB = -14.0


class Accent(NamedTuple):
    """A stressed syllable: when, and how much of a gesture it deserves, in (0, 1]."""

    at_ms: float
    strength: float


class MouthTrack(Protocol):
    """The mouth over a stretch of speech; times are in ms from its start, and may lie a little outside."""

    @property
    def accents(self) -> Sequence[Accent]: ...

    def at(self, time_ms: float) -> MouthShape: ...


def mouth_track(speech: Speech) -> MouthTrack:
    """The mouth for `speech`, from its phonemes if it has any, else from its loudness."""
    duration_ms = 1_000 * len(speech.samples) / SPEECH_RATE_HZ
    if any(visemes_of(phoneme.symbol.strip(STRESS_MARKS)) for phoneme in speech.phonemes):
        return PhonemeTrack(speech.phonemes, duration_ms)
    return EnergyTrack(speech.samples)


class _Segment(NamedTuple):
    viseme: Viseme
    start_ms: float
    end_ms: float
    stressed: bool = False
    full_vowel: bool = False


class PhonemeTrack:
    """The mouth that says `phonemes` within `duration_ms`."""

    def __init__(self, phonemes: Sequence[Phoneme], duration_ms: float) -> None:
        segments = list(_segments(phonemes, duration_ms))
        self.accents: Sequence[Accent] = _accents(segments)
        visemes = [segment.viseme for segment in segments]
        starts = np.array([segment.start_ms for segment in segments])
        ends = np.array([segment.end_ms for segment in segments])
        rim = (ends - starts) * (1 - _CORE_SHARE) / 2
        self._core_start, self._core_end = starts + rim, ends - rim
        self._targets = np.array([viseme[:5] for viseme in visemes])
        stress = np.array([1.12 if segment.stressed else 1.0 for segment in segments])
        self._targets[:, 0] = np.minimum(1.0, self._targets[:, 0] * stress)
        self._pulls = np.array([(v.jaw_pull, v.lip_pull, v.lip_pull, v.tongue_pull, v.tongue_pull) for v in visemes])
        self._presses = [_closure(segment) for segment in segments if segment.viseme.press]
        self._bites = [_closure(segment) for segment in segments if segment.viseme.bite]

    def at(self, time_ms: float) -> MouthShape:
        before = np.maximum(self._core_start - time_ms, 0.0) / _ANTICIPATION_MS
        after = np.maximum(time_ms - self._core_end, 0.0) / _CARRY_OVER_MS
        reach = np.exp(-((before + after) ** 1.4))[:, None]
        weights = self._pulls * reach + 1e-9
        opening, width, rounding, teeth, tongue = (self._targets * weights).sum(0) / weights.sum(0)
        press = max((_bell(time_ms, *closure) for closure in self._presses), default=0.0)
        bite = max((_bell(time_ms, *closure) for closure in self._bites), default=0.0) * (1 - press)
        free = 1 - press
        return MouthShape(
            opening=float(opening * (1 - bite) + 0.10 * bite) * free,
            width=float(width),
            rounding=float(rounding),
            teeth=float(teeth) * free * (1 - bite),
            tongue=float(tongue) * (1 - bite),
            press=press,
            bite=bite,
        )


class EnergyTrack:
    """The mouth of speech whose sounds are unknown: the jaw follows the loudness, hiss bares the teeth."""

    def __init__(self, samples: Samples) -> None:
        self.accents: Sequence[Accent] = ()
        step = round(SPEECH_RATE_HZ * _ENERGY_STEP_MS / 1_000)
        count = max(1, -(-len(samples) // step))
        padded = np.zeros(count * step, np.float32)
        padded[: len(samples)] = samples
        frames = padded.reshape(count, step)
        level_db = 20 * np.log10(np.sqrt((frames**2).mean(1)) + 1e-6)
        loud = np.clip((level_db - _QUIET_DB) / (_LOUD_DB - _QUIET_DB), 0, 1)
        crossings = (np.diff(np.signbit(frames), axis=1) != 0).mean(1)
        hiss = np.clip((crossings - 0.12) / 0.15, 0, 1) * (loud > 0.1)
        smooth = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
        self._opening = np.convolve(np.pad(0.72 * loud * (1 - 0.8 * hiss), 2), smooth, "valid")
        self._teeth = np.convolve(np.pad(hiss, 2), smooth, "valid")
        self._times = (np.arange(count) + 0.5) * _ENERGY_STEP_MS

    def at(self, time_ms: float) -> MouthShape:
        opening = float(np.interp(time_ms, self._times, self._opening, left=0.0, right=0.0))
        teeth = float(np.interp(time_ms, self._times, self._teeth, left=0.0, right=0.0))
        lively = min(1.0, opening * 3)
        width = 0.30 * float(np.sin(time_ms / 173)) * lively
        rounding = 0.30 * max(0.0, float(np.sin(time_ms / 231 + 1))) * lively
        return MouthShape(opening=opening, width=width, rounding=rounding, teeth=teeth)


def _segments(phonemes: Sequence[Phoneme], duration_ms: float) -> Iterator[_Segment]:
    """What is to be shown, in order, between the silence before and the silence after."""
    yield _Segment(SILENCE, -260.0, -20.0)
    stressed = False
    silent_from_ms = 0.0
    mark_from_ms: float | None = None
    for phoneme in phonemes:
        start_ms = 1_000 * phoneme.start_samples / SPEECH_RATE_HZ
        end_ms = 1_000 * phoneme.end_samples / SPEECH_RATE_HZ
        symbol = phoneme.symbol.strip(STRESS_MARKS)
        stressed = stressed or PRIMARY_STRESS in phoneme.symbol
        if not symbol:  # a stress mark with a duration of its own: the time belongs to the next sound
            mark_from_ms = start_ms if mark_from_ms is None else mark_from_ms
            continue
        visemes = visemes_of(symbol)
        if not visemes:
            if symbol in LENGTHENERS:
                silent_from_ms = end_ms
            continue
        if mark_from_ms is not None:
            start_ms, mark_from_ms = mark_from_ms, None
        if start_ms - silent_from_ms >= _PAUSE_MS:
            yield _Segment(SILENCE, silent_from_ms + 30, start_ms - 30)
        silent_from_ms = end_ms
        accent = stressed and is_vowel(symbol)
        turn_ms = start_ms + (end_ms - start_ms) * _DIPHTHONG_TURN if len(visemes) == 2 else end_ms
        yield _Segment(visemes[0], start_ms, turn_ms, accent, is_vowel(symbol) and symbol not in REDUCED_VOWELS)
        if len(visemes) == 2:
            yield _Segment(visemes[1], turn_ms, end_ms)
        if is_vowel(symbol):
            stressed = False
    yield _Segment(SILENCE, min(silent_from_ms, duration_ms) + 30.0, duration_ms + 270.0)


def _accents(segments: Sequence[_Segment]) -> tuple[Accent, ...]:
    """Stressed vowels far enough apart to be felt one by one; open and long ones count more.

    Without any stress mark the long full vowels are taken for stressed.
    """
    marked = any(segment.stressed for segment in segments)
    candidates = [
        Accent(
            segment.start_ms, min(1.0, 0.3 + 0.5 * segment.viseme.opening + (segment.end_ms - segment.start_ms) / 450)
        )
        for segment in segments
        if (segment.stressed if marked else segment.full_vowel and segment.end_ms - segment.start_ms >= _LONG_VOWEL_MS)
    ]
    chosen: list[Accent] = []
    for accent in sorted(candidates, key=lambda candidate: -candidate.strength):
        if all(abs(accent.at_ms - other.at_ms) >= _ACCENT_SPACING_MS for other in chosen):
            chosen.append(accent)
    return tuple(sorted(chosen))


def _closure(segment: _Segment) -> tuple[float, float]:
    """From when to when a closure is complete."""
    centre = (segment.start_ms + segment.end_ms) / 2
    half = max(_CLOSURE_MS, 0.6 * (segment.end_ms - segment.start_ms)) / 2
    return centre - half, centre + half


def _bell(time_ms: float, start_ms: float, end_ms: float) -> float:
    """1 within the closure, easing to 0 over the release on both sides."""
    away = max(start_ms - time_ms, time_ms - end_ms, 0.0) / _RELEASE_MS
    return 0.0 if away >= 1 else 0.5 + 0.5 * float(np.cos(np.pi * away))
