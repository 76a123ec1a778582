"""Speech told from silence by loudness alone: for tests, and where Silero cannot run."""

import numpy as np

from models.interfaces import VAD_WINDOW_SAMPLES, Samples
from models.settings import HearingSettings

_FLOOR_RISE_DB = 0.1
"""How far the noise floor climbs in a window of 32 ms: 3 dB a second, slower than a sentence."""


class EnergyVad:
    """VoiceActivityDetector with a noise floor that falls at once and rises slowly."""

    def __init__(self, *, margin_db: float = 12.0, quietest_db: float = -60.0) -> None:
        """Windows `margin_db` above the floor are speech with probability 0.5; the floor never is below the quietest
        level, in dB of full scale."""
        self._margin_db = margin_db
        self._quietest_db = quietest_db
        self._floor_db = quietest_db

    def probability(self, window: Samples) -> float:
        """A logistic function of the level above the floor, 3 dB wide. Raises ValueError for another length."""
        if window.shape != (VAD_WINDOW_SAMPLES,):
            raise ValueError(f"A window is {VAD_WINDOW_SAMPLES} samples, not {window.shape}.")
        power = float(np.mean(np.square(window, dtype=np.float64)))
        level_db = max(self._quietest_db, 10 * float(np.log10(power + 1e-12)))
        self._floor_db = min(level_db, self._floor_db + _FLOOR_RISE_DB)
        return float(1 / (1 + np.exp((self._margin_db - (level_db - self._floor_db)) / 3)))

    def reset(self) -> None:
        """Forget the noise floor."""
        self._floor_db = self._quietest_db


def create(settings: HearingSettings) -> EnergyVad:
    return EnergyVad()
