"""The edges of a clause that streams: no silence before it, after it the pause that its punctuation asks for, no click.

A cloning model puts up to half a second of near silence around what it says; between two clauses that is a hole. What
is inside a clause stays as it is, and the result does not depend on where the stream was cut.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.interfaces import SPEECH_RATE_HZ, Samples
from models.tts.clause import SPEECH_LEVEL_DB

_HOP_SAMPLES: Final = 5 * SPEECH_RATE_HZ // 1_000
_QUIET_POWER: Final = 10 ** ((SPEECH_LEVEL_DB - 30.0) / 10)
"""Softer is the room that the voice was recorded in, or its breath; a breathed h at the start lies in LEAD_SAMPLES."""
LEAD_SAMPLES: Final = 60 * SPEECH_RATE_HZ // 1_000
RELEASE_SAMPLES: Final = 40 * SPEECH_RATE_HZ // 1_000
FADE_SAMPLES: Final = 4 * SPEECH_RATE_HZ // 1_000


class ClauseEdges:
    """Trims one clause as it comes, at the level of speech and at SPEECH_RATE_HZ; holds back 9 ms of its sound.

    Silence is held back beyond the pause, until it is certain whether it lies inside the clause or after it.
    """

    def __init__(self, pause_samples: int) -> None:
        self._tail = RELEASE_SAMPLES + pause_samples
        self._held: Samples = np.zeros(0, np.float32)
        self._judged = 0
        """Samples of `_held` that are known to be loud or quiet."""
        self._loud_end = 0
        """Where in `_held` the last loud hop ends; below zero once that was given out."""
        self._begun = False

    def push(self, samples: Samples) -> Samples:
        """What is certain after `samples`; often a little less than what came in."""
        self._held = np.concatenate((self._held, samples))
        loud = np.flatnonzero(_loud(self._held[self._judged :]))
        if len(loud):
            if not self._begun:
                self._begin(self._judged + int(loud[0]) * _HOP_SAMPLES)
                return self.push(np.zeros(0, np.float32))
            self._loud_end = self._judged + (int(loud[-1]) + 1) * _HOP_SAMPLES
        self._judged += (len(self._held) - self._judged) // _HOP_SAMPLES * _HOP_SAMPLES
        if not self._begun:
            self._give(self._judged - LEAD_SAMPLES)
            return self._held[:0]
        return self._give(min(self._judged, self._loud_end + self._tail) - FADE_SAMPLES)

    def finish(self) -> Samples:
        """No more comes: the rest and the pause; empty for a clause that was silent throughout."""
        if not self._begun:
            return self._held[:0]
        unjudged = self._held[self._judged :]
        if len(unjudged) and np.mean(np.square(unjudged)) > _QUIET_POWER:
            self._loud_end = len(self._held)
        end = self._loud_end + self._tail
        rest = self._held[:end].copy()
        fade = min(FADE_SAMPLES, len(rest))
        rest[len(rest) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        return np.pad(rest, (0, end - len(rest)))

    def _begin(self, onset: int) -> None:
        """The first loud hop is at `onset`: what lies before its lead goes."""
        self._begun = True
        self._give(onset - LEAD_SAMPLES)
        self._judged = max(0, self._judged)
        self._held = self._held.copy()
        self._held[:FADE_SAMPLES] *= np.linspace(0, 1, FADE_SAMPLES, dtype=np.float32)

    def _give(self, count: int) -> Samples:
        """Take the first `count` samples away."""
        count = max(0, count)
        given, self._held = self._held[:count], self._held[count:]
        self._judged -= count
        self._loud_end -= count
        return given


def _loud(samples: Samples) -> NDArray[np.bool_]:
    """Whether each whole hop can be heard."""
    hops = samples[: len(samples) // _HOP_SAMPLES * _HOP_SAMPLES].reshape(-1, _HOP_SAMPLES)
    heard: NDArray[np.bool_] = np.mean(np.square(hops), axis=1) > _QUIET_POWER
    return heard
