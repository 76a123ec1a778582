"""Brings a voice that streams to the level of the other voices, without waiting for sound that has not come.

A gain that follows the sound would change how the lips look (models/face/musetalk/speech_window.py), so this one
belongs to the voice, not to the clause: it is learnt within the first seconds and hardly moves afterwards. It depends
only on the sound before, so the result is the same wherever the network cuts the stream.
"""

from math import log10
from typing import Final

import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Samples
from models.tts.clause import SPEECH_LEVEL_DB

HOP_SAMPLES: Final = 5 * SPEECH_RATE_HZ // 1_000
_SPEECH_ABOVE_NOISE_DB: Final = -50.0
_SPEECH_BELOW_LOUDEST_DB: Final = 25.0
"""As in models/tts/clause.py: pauses do not count."""
_LOUDEST_FALLS_DB: Final = 0.01
"""Per hop, 2 dB/s: one loud cry is forgotten."""
_REMEMBERED_HOPS: Final = 2_000
"""10 s of speech: what the level is the mean of, once so much was heard."""
MOST_GAIN_DB: Final = 9.0
_FIRST_STEP_DB: Final = 0.12
"""Per hop, 24 dB/s, while the voice is new."""
_LAST_STEP_DB: Final = 0.0025
"""Per hop, 0.5 dB/s."""
_STEP_FALLS_HOPS: Final = 60
"""0.3 s of speech after which the step is half as large."""
_KNEE: Final = 0.8


class Leveller:
    """The gain of one voice; kept from clause to clause."""

    def __init__(self) -> None:
        self._gain_db = 0.0
        self._power = 0.0
        self._heard_hops = 0
        self._loudest_db = -120.0
        self._begun: Samples = np.zeros(0, np.float32)
        """The sound of the hop that is not complete."""

    @property
    def gain_db(self) -> float:
        return self._gain_db

    def level(self, samples: Samples) -> Samples:
        """`samples` at the level of speech, all within [-1, 1]; peaks above 0.8 are rounded off."""
        sound = np.concatenate((self._begun, samples))
        whole = len(sound) // HOP_SAMPLES
        powers = np.mean(np.square(sound[: whole * HOP_SAMPLES].reshape(whole, HOP_SAMPLES)), axis=1)
        gains_db = [self._gain_db]
        for power in powers.tolist():
            self._learn(power)
            gains_db.append(self._gain_db)
        gains = np.power(10, np.array(gains_db, np.float32) / 20)
        result: Samples = samples * np.repeat(gains, HOP_SAMPLES)[len(self._begun) : len(sound)]
        self._begun = sound[whole * HOP_SAMPLES :]
        return _rounded(result)

    def _learn(self, power: float) -> None:
        """Take the mean power of one more hop into account."""
        level_db = 10 * log10(power + 1e-12)
        self._loudest_db = max(level_db, self._loudest_db - _LOUDEST_FALLS_DB)
        if level_db < max(_SPEECH_ABOVE_NOISE_DB, self._loudest_db - _SPEECH_BELOW_LOUDEST_DB):
            return
        self._heard_hops += 1
        self._power += (power - self._power) / min(self._heard_hops, _REMEMBERED_HOPS)
        wanted_db = SPEECH_LEVEL_DB - 10 * log10(self._power + 1e-12)
        wanted_db = min(max(wanted_db, -MOST_GAIN_DB), MOST_GAIN_DB)
        step_db = max(_LAST_STEP_DB, _FIRST_STEP_DB * 0.5 ** (self._heard_hops / _STEP_FALLS_HOPS))
        self._gain_db += min(max(wanted_db - self._gain_db, -step_db), step_db)


def _rounded(samples: Samples) -> Samples:
    """A memoryless limiter: straight up to the knee, then towards 1."""
    loud = np.abs(samples) > _KNEE
    if loud.any():
        over = (np.abs(samples[loud]) - _KNEE) / (1 - _KNEE)
        samples[loud] = np.sign(samples[loud]) * (_KNEE + (1 - _KNEE) * np.tanh(over))
    return samples
