"""Finds the voice of Kokoro, and how to shift it, that comes nearest to a recording. An approximation, not a clone.

recording ─► embeddings of its first and its last part
each voice says a line ─► the four that are nearest, as they are or at the recording's pitch
each of those says more ─► pitch and formants that bring it nearest to the first part
the best one says lines that it was not tuned on ─► how near it is to the last part
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.errors import EngineFailed
from models.interfaces import Samples
from models.tts.clause import MODEL_RATE_HZ
from models.tts.speaker import mean_embedding, similarity
from models.tts.voice_shift import UNCHANGED, Voiceprint, VoiceShift, median_pitch_hz, put_together, taken_apart

SHORTEST_S: Final = 6.0
_FITTED_SHARE: Final = 0.6
"""Of the recording; the rest is kept to judge the result."""
_TRIED_FURTHER: Final = 4
_PITCH_RATIOS: Final = (0.65, 1.55)
_FORMANT_RATIOS: Final = (0.84, 1.19)
"""Beyond these a voice does not sound like a person, whatever the embedding says."""
_STEPS: Final = ((0.12, 0.06), (0.06, 0.03), (0.03, 0.015))
"""Of pitch and formants, as shares, ever smaller."""

Say = Callable[[str, str], Samples]
"""A voice and a line to its sound at MODEL_RATE_HZ."""
Embed = Callable[[Samples, int], Samples]


@dataclass(frozen=True, slots=True)
class Match:
    """The nearest voice of one language, and how alike it is to the part of the recording that it was not fitted to."""

    voice: str
    shift: VoiceShift
    similarity: float
    unshifted_similarity: float


def best_match(
    recording: Samples,
    rate_hz: int,
    voices: Sequence[str],
    lines: Sequence[str],
    *,
    say: Say,
    embed: Embed,
    progress: Callable[[str], None] = lambda _: None,
) -> Match:
    """The match among `voices`, which say `lines`: the first half to search with, the second to judge by.

    Raises EngineFailed for a recording in which nobody speaks long enough.
    """
    if len(recording) < SHORTEST_S * rate_hz:
        raise EngineFailed(f"The recording is too short to match a voice to: speak for at least {SHORTEST_S:.0f} s.")
    cut = int(len(recording) * _FITTED_SHARE)
    print_ = taken_apart(recording, rate_hz)
    pitch_hz = None if print_ is None else median_pitch_hz(print_)
    if pitch_hz is None:
        raise EngineFailed("Nobody can be heard speaking in the recording; record 10-20 s of natural speech.")
    wanted, kept = embed(recording[:cut], rate_hz), embed(recording[cut:], rate_hz)
    half = len(lines) // 2
    first: dict[str, _Candidate] = {}
    for voice in voices:
        progress(f"listening to {voice}")
        first[voice] = _Candidate([_print(say, voice, lines[0])], wanted, embed, pitch_hz)
    near = sorted(voices, key=lambda voice: -first[voice].nearest()[1])[:_TRIED_FURTHER]
    found: dict[str, tuple[VoiceShift, float]] = {}
    for voice in near:
        progress(f"shifting {voice}")
        prints = [_print(say, voice, line) for line in lines[1:half]]
        found[voice] = _Candidate([*first[voice].prints, *prints], wanted, embed, pitch_hz).searched()
    voice = max(found, key=lambda voice: found[voice][1])
    shift = found[voice][0]
    progress(f"judging {voice}")
    judged = _Candidate([_print(say, voice, line) for line in lines[half:]], kept, embed, pitch_hz)
    plain, after = judged.similarity(UNCHANGED), judged.similarity(shift)
    if after <= plain:
        return Match(voice, UNCHANGED, plain, plain)
    return Match(voice, shift, after, plain)


class _Candidate:
    """One voice: how near it comes to the embedding that is wanted."""

    def __init__(self, prints: list[Voiceprint], wanted: Samples, embed: Embed, pitch_hz: float) -> None:
        self.prints = prints
        self._wanted = wanted
        self._embed = embed
        own = [hertz for hertz in map(median_pitch_hz, prints) if hertz is not None]
        self._pitch_ratio = pitch_hz / float(np.median(own)) if own else 1.0
        self._known: dict[VoiceShift, float] = {}

    def similarity(self, shift: VoiceShift) -> float:
        if shift not in self._known:
            said = [put_together(print_, shift) for print_ in self.prints]
            embedding = mean_embedding([self._embed(samples, MODEL_RATE_HZ) for samples in said])
            self._known[shift] = similarity(embedding, self._wanted)
        return self._known[shift]

    def nearest(self) -> tuple[VoiceShift, float]:
        """As it is, or at the pitch that is wanted."""
        shifts = (UNCHANGED, _bounded(self._pitch_ratio, 1.0))
        best = max(shifts, key=self.similarity)
        return best, self.similarity(best)

    def searched(self) -> tuple[VoiceShift, float]:
        """The best shift, by steps up and down in pitch and formants that get smaller when none helps."""
        best, _ = self.nearest()
        for pitch, formants in _STEPS:
            better = True
            while better:
                around = [
                    _bounded(best.pitch_ratio * (1 + up), best.formant_ratio * (1 + longer))
                    for up, longer in ((pitch, 0.0), (-pitch, 0.0), (0.0, formants), (0.0, -formants))
                ]
                next_ = max(around, key=self.similarity)
                better = self.similarity(next_) > self.similarity(best)
                best = next_ if better else best
        return best, self.similarity(best)


def _print(say: Say, voice: str, line: str) -> Voiceprint:
    print_ = taken_apart(say(voice, line), MODEL_RATE_HZ)
    if print_ is None:
        raise EngineFailed("A line is too short to judge a voice by.")
    return print_


def _bounded(pitch_ratio: float, formant_ratio: float) -> VoiceShift:
    return VoiceShift(
        round(float(np.clip(pitch_ratio, *_PITCH_RATIOS)), 3), round(float(np.clip(formant_ratio, *_FORMANT_RATIOS)), 3)
    )
