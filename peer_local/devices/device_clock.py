"""From a sound device's own time to this machine's monotonic time. Pure."""

PLAUSIBLE_S = 2.0
"""No device is further ahead of its converter than this; PortAudio gives 0 or old times when it does not know."""
WINDOW_S = 2.0
STEP_S = 0.1


class DeviceClock:
    """When a sample meets the converter, from the times that PortAudio gives with each block.

    PortAudio's clock is the monotonic one on some systems and the wall clock on others, so only differences count. The
    offset is the lowest of the last 2 to 4 s: a callback can only come late (it waits for Python's lock), never early,
    and those milliseconds must not move the sound. A step of over 100 ms, as when the wall clock is set, is taken over
    at once.
    """

    def __init__(self, latency_s: float, *, output: bool) -> None:
        self.latency_s = latency_s
        """The stream's own figure, used while the times given are not plausible."""
        self._sign = 1.0 if output else -1.0
        self._lowest_s = float("inf")
        self._older_s = float("inf")
        self._window_s = float("-inf")

    def at_s(self, now_s: float, current_s: float, sample_s: float) -> float:
        """The monotonic time of the sample at `sample_s`, in a callback at `now_s` when the device says `current_s`."""
        ahead_s = (sample_s - current_s) * self._sign
        if current_s <= 0 or sample_s <= 0 or not 0 < ahead_s <= PLAUSIBLE_S:
            return now_s + self._sign * self.latency_s
        return self._offset_s(now_s, now_s - current_s) + sample_s

    def _offset_s(self, now_s: float, offset_s: float) -> float:
        if abs(offset_s - min(self._lowest_s, self._older_s)) > STEP_S:
            self._lowest_s = self._older_s = offset_s
            self._window_s = now_s
        elif now_s - self._window_s > WINDOW_S:
            self._older_s, self._lowest_s, self._window_s = self._lowest_s, offset_s, now_s
        self._lowest_s = min(self._lowest_s, offset_s)
        return min(self._lowest_s, self._older_s)
