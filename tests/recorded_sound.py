"""Sound that was recorded in pieces with their times of arrival: which sample came when, to under a millisecond.

A piece can only come late, never early, so the least late one of a few seconds tells the time of all of them. What
stays unknown is how long the recorder itself holds a piece back: with `parec --latency-msec=5` on a null sink, pieces
are 240 samples and arrive 0.14 ms late in the median, 0.4 ms in the 99th percentile; a sample is 0 to 5 ms older.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.interfaces import SPEECH_RATE_HZ, Samples

Numbers = NDArray[np.floating[Any]]
WINDOW_S = 4.0


class RecordedSound:
    """Mono `samples` at SPEECH_RATE_HZ without gaps; for each piece, how many there were with it and when it came.

    The last sample of a piece is the one that came at that time.
    """

    def __init__(self, samples: Samples, ends: Numbers, arrivals_s: Numbers) -> None:
        self.samples = samples
        self._ends = np.asarray(ends, np.float64)
        arrivals_s = np.asarray(arrivals_s, np.float64)
        self._starts_s = _least_late(arrivals_s, arrivals_s - self._ends / SPEECH_RATE_HZ)

    def at_s(self, places: NDArray[np.int64] | int) -> NDArray[np.float64]:
        """When the samples at `places` came."""
        piece = np.minimum(np.searchsorted(self._ends, places, side="right"), len(self._ends) - 1)
        return np.asarray(self._starts_s[piece] + np.asarray(places) / SPEECH_RATE_HZ)

    def place(self, at_s: float) -> int:
        """The sample that came at `at_s`, or the nearest."""
        times = self._starts_s + self._ends / SPEECH_RATE_HZ
        piece = min(int(np.searchsorted(times, at_s)), len(times) - 1)
        return int(np.clip(round((at_s - self._starts_s[piece]) * SPEECH_RATE_HZ), 0, len(self.samples)))

    def between(self, start_s: float, end_s: float) -> Samples:
        """What came from `start_s` to `end_s`."""
        return self.samples[self.place(start_s) : self.place(end_s)]


def _least_late(arrivals_s: Numbers, offsets_s: Numbers) -> NDArray[np.float64]:
    """For each piece the lowest offset within WINDOW_S / 2 of it."""
    first = np.searchsorted(arrivals_s, arrivals_s - WINDOW_S / 2)
    last = np.searchsorted(arrivals_s, arrivals_s + WINDOW_S / 2)
    return np.array([offsets_s[start:end].min() for start, end in zip(first, last, strict=True)], np.float64)
