"""How loud a signal is at the moment."""

from dataclasses import dataclass

import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Samples

FLOOR_DBFS = -90.0
_PEAK_FALL_DB_PER_S = 20.0
"""How fast the peak comes down after a loud moment (IEC 60268-10, type I falls 20 dB in 1.7 s; a screen wants less)."""
_RMS_WINDOW_S = 0.3


@dataclass(frozen=True, slots=True)
class Level:
    """In dB below full scale, FLOOR_DBFS at least. A sine of full scale has peak 0 and RMS -3."""

    peak_dbfs: float = FLOOR_DBFS
    rms_dbfs: float = FLOOR_DBFS


class Meter:
    """Fed with blocks on one thread, read on any; costs some microseconds per block."""

    def __init__(self, rate_hz: int = SPEECH_RATE_HZ) -> None:
        self._rate_hz = rate_hz
        self._power = 0.0
        self.level = Level()

    def push(self, samples: Samples) -> None:
        """Take the next samples of the signal."""
        if not len(samples):
            return
        duration_s = len(samples) / self._rate_hz
        peak_dbfs = _dbfs(float(np.abs(samples).max()))
        share = min(1.0, duration_s / _RMS_WINDOW_S)
        self._power += share * (float(np.dot(samples, samples)) / len(samples) - self._power)
        falling = self.level.peak_dbfs - _PEAK_FALL_DB_PER_S * duration_s
        self.level = Level(max(peak_dbfs, falling, FLOOR_DBFS), _dbfs(self._power**0.5))


def _dbfs(amplitude: float) -> float:
    return max(FLOOR_DBFS, 20 * float(np.log10(max(amplitude, 1e-9))))
