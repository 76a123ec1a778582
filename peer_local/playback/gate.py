"""Lets sound be heard or not, without clicks."""

import numpy as np

from models.interfaces import Samples

FADE_SAMPLES = 240
"""5 ms, both ways."""


class Gate:
    """Open at first. A caller decides from which sample on it is open; one thread at a time."""

    def __init__(self) -> None:
        self._gain = 1.0

    @property
    def shut(self) -> bool:
        """Whether nothing is heard at all."""
        return self._gain == 0.0

    def apply(self, sound: Samples, opens_at: int) -> Samples:
        """`sound` as it is heard when the gate is shut before its sample `opens_at` and open from there on."""
        count = len(sound)
        if opens_at <= 0 and self._gain == 1.0:
            return sound
        opens_at = min(max(opens_at, 0), count)
        gains = np.empty(count, np.float32)
        gains[:opens_at] = self._gain - np.arange(1, opens_at + 1) / FADE_SAMPLES
        if opens_at:
            self._gain = max(0.0, self._gain - opens_at / FADE_SAMPLES)
        gains[opens_at:] = self._gain + np.arange(1, count - opens_at + 1) / FADE_SAMPLES
        if opens_at < count:
            self._gain = min(1.0, self._gain + (count - opens_at) / FADE_SAMPLES)
        heard: Samples = sound * np.clip(gains, 0, 1)
        return heard
