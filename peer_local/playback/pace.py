"""How fast to play, so that the buffer stays as full as it should be."""

from collections import deque

from models.interfaces import SPEECH_RATE_HZ

FASTEST = 0.01
"""1 % faster or slower is a sixth of a semitone: nobody hears it in speech."""
TOLERATED_S = 0.006
"""A buffer this near its target is left alone: what is heard is then exactly what was sent."""
_REACHED_S = 0.001
_APPROACH_S = 2.0
"""What is too much or too little goes within about so long, as far as FASTEST allows."""
_CHANGE_PER_S = 0.02


class Pace:
    """The ratio at which to read; it changes by two thousandths in 0.1 s at most."""

    def __init__(self) -> None:
        self.ratio = 1.0
        self._offset = 0.0
        self._correcting = False

    def reset(self) -> None:
        """Back to 1."""
        self._offset = 0.0
        self.ratio = 1.0
        self._correcting = False

    def follow(self, surplus_s: float, length_s: float) -> float:
        """The ratio for the next `length_s`, when the buffer holds `surplus_s` more than it should."""
        if abs(surplus_s) > TOLERATED_S:
            self._correcting = True
        elif abs(surplus_s) < _REACHED_S:
            self._correcting = False
        wanted = min(max(surplus_s / _APPROACH_S, -FASTEST), FASTEST) if self._correcting else 0.0
        most = _CHANGE_PER_S * length_s
        self._offset += min(max(wanted - self._offset, -most), most)
        self.ratio = 1.0 + self._offset
        return self.ratio


class PullTimes:
    """When a device asks for its samples at the earliest.

    Devices ask in bursts and sometimes late; the earliest of late decides when a packet must be there.
    """

    def __init__(self, window_s: float = 1.0) -> None:
        self._window_s = window_s
        self._earliest: deque[tuple[float, float]] = deque()

    def note(self, now_s: float, samples: int) -> float:
        """Samples up to the number `samples` are asked for at `now_s`. Returns when number 0 would have been asked for,
        had all of them been asked for as early as the earliest."""
        origin_s = now_s - samples / SPEECH_RATE_HZ
        while self._earliest and self._earliest[-1][1] >= origin_s:
            self._earliest.pop()
        self._earliest.append((now_s, origin_s))
        while self._earliest[0][0] < now_s - self._window_s:
            self._earliest.popleft()
        return self._earliest[0][1]


class Drift:
    """How much faster the sender's clock runs than the device's."""

    _POINTS = 120
    _LEAST_POINTS = 20

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque(maxlen=self._POINTS)

    def reset(self) -> None:
        """Forget everything."""
        self._points.clear()

    def note(self, played_s: float, ahead_s: float) -> None:
        """After `played_s` by the device's clock the sender's clock is ahead of it by `ahead_s` and a constant."""
        if not self._points or played_s >= self._points[-1][0] + 1:
            self._points.append((played_s, ahead_s))

    @property
    def ppm(self) -> float:
        """The slope of the line through the last two minutes; 0 before it is known."""
        count = len(self._points)
        if count < self._LEAST_POINTS:
            return 0.0
        middle_s = sum(played for played, _ in self._points) / count
        ahead_s = sum(ahead for _, ahead in self._points) / count
        rise = sum((played - middle_s) * (ahead - ahead_s) for played, ahead in self._points)
        return 1e6 * rise / sum((played - middle_s) ** 2 for played, _ in self._points)
