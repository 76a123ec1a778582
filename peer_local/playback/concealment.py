"""Something to hear in place of what was lost, joined without a step.

Repeats the last pitch period and fades it out, after ITU-T G.711 Appendix I. That looks ahead to join the two; here
what is past has been heard already, so the first repetition is bent to meet it instead.
"""

import numpy as np

from models.interfaces import Samples
from peer_local.playback.opus import PACKET_SAMPLES

SHORTEST_PERIOD_SAMPLES = 120
LONGEST_PERIOD_SAMPLES = 800
"""400 Hz to 60 Hz: the voices of people."""
_COMPARED_SAMPLES = 960
_STEADY_SAMPLES = 480
_FADED_SAMPLES = 3_840
"""Full for 10 ms, silent after 80: what is repeated for longer sounds like a machine."""
JOIN_SAMPLES = 480
_LONGEST_BEND_SAMPLES = 240
_COARSE = 6
"""The period is sought at 8 kHz first."""

_HISTORY_SAMPLES = _COMPARED_SAMPLES + LONGEST_PERIOD_SAMPLES


class Concealer:
    """Sits between the decoder and the ear, and sees every packet's sound or its absence. One thread.

    A lost packet costs 0.2 ms at most, one that is there next to nothing.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far."""
        self._history = np.zeros(_HISTORY_SAMPLES, np.float32)
        self._period = np.zeros(0, np.float32)
        self._bend = 0.0
        self._bend_samples = 1.0
        self._peak = 0.0
        self._made_samples = 0

    @property
    def faded(self) -> bool:
        """Whether what is made up has become silence."""
        return self._made_samples >= _FADED_SAMPLES

    def heard(self, sound: Samples) -> Samples:
        """Sound that is there: itself, but for its beginning after a loss. Returns as many samples."""
        if self._made_samples:
            count = min(JOIN_SAMPLES, len(sound))
            rise = np.linspace(0, 1, count, endpoint=False, dtype=np.float32)
            sound = sound.copy()
            sound[:count] = sound[:count] * rise + self._made(count) * (1 - rise)
            self._made_samples = 0
        self._remember(sound)
        return sound

    def lost(self, count: int = PACKET_SAMPLES) -> Samples:
        """Sound that is missing: `count` samples that continue the last ones."""
        if not self._made_samples:
            self._begin()
        sound = self._made(count)
        self._made_samples += count
        self._remember(sound)
        return sound

    def _remember(self, sound: Samples) -> None:
        kept = sound[-_HISTORY_SAMPLES:]
        self._history = np.concatenate((self._history[len(kept) :], kept))

    def _begin(self) -> None:
        history = self._history
        length = pitch_period(history)
        period = history[-length:].copy()
        # The end of each repetition leads over to the beginning of the next: it turns into what came before it.
        lead = length // 4
        turn = np.linspace(0, 1, lead, endpoint=False, dtype=np.float32)
        period[-lead:] = period[-lead:] * (1 - turn) + history[-length - lead : -length] * turn
        self._period = period
        # What was heard last, against what came before the first repetition.
        self._bend = float(history[-1] - history[-length - 1])
        self._peak = float(np.max(np.abs(history)))
        # So slowly that it adds little to the steps that there are anyway: in noise that is soon.
        step = float(np.max(np.abs(np.diff(history[-_COMPARED_SAMPLES:])))) + 1e-9
        self._bend_samples = min(1 + 32 * abs(self._bend) / step, _LONGEST_BEND_SAMPLES)

    def _made(self, count: int) -> Samples:
        places = self._made_samples + np.arange(count)
        if self._made_samples >= _FADED_SAMPLES:
            return np.zeros(count, np.float32)
        gain = np.clip((_FADED_SAMPLES - places) / (_FADED_SAMPLES - _STEADY_SAMPLES), 0, 1)
        bend = self._bend * np.clip(1 - (places + 1) / self._bend_samples, 0, 1)
        bent = np.clip(self._period[places % len(self._period)] + bend, -self._peak, self._peak)
        sound: Samples = (bent * gain).astype(np.float32)
        return sound


def pitch_period(history: Samples) -> int:
    """The shift at which the last 20 ms of `history`, float32 [_HISTORY_SAMPLES], are most like what was before."""
    coarse = history[: len(history) // _COARSE * _COARSE].reshape(-1, _COARSE).mean(axis=1)
    near = _best_shift(
        coarse, _COMPARED_SAMPLES // _COARSE, SHORTEST_PERIOD_SAMPLES // _COARSE, LONGEST_PERIOD_SAMPLES // _COARSE
    )
    return _best_shift(
        history,
        _COMPARED_SAMPLES,
        max(SHORTEST_PERIOD_SAMPLES, (near - 1) * _COARSE),
        min(LONGEST_PERIOD_SAMPLES, (near + 1) * _COARSE),
    )


def _best_shift(sound: Samples, compared: int, shortest: int, longest: int) -> int:
    shifts = np.arange(shortest, min(longest, len(sound) - compared) + 1)
    before = np.lib.stride_tricks.sliding_window_view(sound, compared)[len(sound) - compared - shifts]
    likeness = before @ sound[-compared:]
    energy = np.sqrt(np.einsum("ij,ij->i", before, before)) + 1e-9
    # A multiple of the period is as like as the period itself: take the shortest of those that are nearly the best.
    score = likeness / energy
    good = np.flatnonzero(score >= 0.97 * score.max()) if score.max() > 0 else np.array([len(shifts) - 1])
    first = good[0]
    last = first
    while last + 1 < len(score) and score[last + 1] > score[last]:
        last += 1
    return int(shifts[last])
