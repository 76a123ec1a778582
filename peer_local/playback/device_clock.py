"""At which time a device plays which sample, from the noisy times that it reports."""

from models.interfaces import SPEECH_RATE_HZ

OUTLIER_S = 0.04
"""A report that is further off says nothing about the others."""
OUTLIERS_BELIEVED = 3
"""As many in a row say that the device was interrupted or exchanged."""
_PHASE_GAIN_HZ = 1.0
_RATE_GAIN_HZ2 = 0.25
"""A critically damped loop of 0.5 rad/s: 5 ms of noise in the reports leave 0.4 ms, a new rate is learnt in 5 s."""
_RATE_LIMIT = 2e-3


class DeviceClock:
    """A phase-locked loop over (samples played, time) pairs. Not for two threads at once."""

    def __init__(self) -> None:
        self.interruptions = 0
        self._samples = 0
        self._next_s: float | None = None
        """When the sample of number `_samples` is heard."""
        self._rate = 1.0
        """Seconds of the device for each second of ours."""
        self._reports = 0
        self._outliers = 0

    @property
    def samples(self) -> int:
        """How many samples the device has taken so far."""
        return self._samples

    def note(self, count: int, at_s: float) -> None:
        """The device takes `count` more samples and says that the first of them is heard at `at_s`."""
        length_s = count / SPEECH_RATE_HZ
        start_s = at_s if self._next_s is None else self._follow(self._next_s, at_s, length_s)
        self._samples += count
        self._next_s = start_s + length_s / self._rate

    def _follow(self, expected_s: float, at_s: float, length_s: float) -> float:
        error_s = at_s - expected_s
        if abs(error_s) > OUTLIER_S:
            self._outliers += 1
            if self._outliers < OUTLIERS_BELIEVED:
                return expected_s
            self.interruptions += 1
            self._outliers = self._reports = 0
            return at_s
        self._outliers = 0
        self._reports += 1
        gain = _PHASE_GAIN_HZ * length_s
        if gain * (self._reports + 1) > 1:
            rate = self._rate - error_s * _RATE_GAIN_HZ2 * length_s
            self._rate = min(max(rate, 1 - _RATE_LIMIT), 1 + _RATE_LIMIT)
        # The first reports count alike: their mean is the best guess.
        return expected_s + error_s * min(0.5, max(gain, 1 / (self._reports + 1)))

    def sample_at(self, at_s: float) -> float | None:
        """The number of the sample, with fraction, that is heard at `at_s`; None before the first report."""
        if self._next_s is None:
            return None
        return self._samples + (at_s - self._next_s) * self._rate * SPEECH_RATE_HZ

    def heard_s(self, sample: float) -> float | None:
        """When the sample of this number is heard; None before the first report."""
        if self._next_s is None:
            return None
        return self._next_s + (sample - self._samples) / (self._rate * SPEECH_RATE_HZ)
