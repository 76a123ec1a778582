"""Where sound and pictures belong in a recording, when their clocks and the sound device's do not run alike."""

_GAP_S = 0.1
"""A larger deviation is a hole or an overlap of the sound, a smaller one jitter and drift."""
_SMOOTHING_S = 2.0


class RecordingTime:
    """Counts the recording's time in samples of its sound, from the first sound or picture on.

    Sound follows sound without a seam as long as it is where it is expected to within 0.1 s; slow drift of the device's
    clock against the laptop's moves the pictures instead.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._origin_s: float | None = None
        self._drift_s = 0.0
        self.position_samples = 0
        """Length of the sound so far."""

    def picture_s(self, at_s: float) -> float:
        """Where a picture goes that is seen at `at_s`, in seconds of the recording."""
        return max(0.0, self._since_origin_s(at_s) - self._drift_s)

    def sound(self, count: int, at_s: float) -> tuple[int, int]:
        """Where `count` samples go that are heard from `at_s` on: silence before them, and how many to leave out."""
        first = self.position_samples == 0
        error_s = self._since_origin_s(at_s) - self._drift_s - self.position_samples / self._rate_hz
        missing = skipped = 0
        if first or error_s > _GAP_S:
            missing = max(0, round(error_s * self._rate_hz))
        if error_s < (0.0 if first else -_GAP_S):
            skipped = min(count, round(-error_s * self._rate_hz))
        elif not missing:
            self._drift_s += error_s * min(1.0, count / self._rate_hz / _SMOOTHING_S)
        self.position_samples += missing + count - skipped
        return missing, skipped

    def _since_origin_s(self, at_s: float) -> float:
        if self._origin_s is None:
            self._origin_s = at_s
        return at_s - self._origin_s
