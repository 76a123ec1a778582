"""How long packets have to wait, so that those which come late are in time as well."""

import math
from bisect import bisect_left, insort
from collections import deque

from models.interfaces import SPEECH_RATE_HZ

QUANTILE = 0.97
"""Share of the packets that the target is made for: what NetEQ's delay manager aims at (0.95 to 0.97)."""
WINDOW_PACKETS = 200
"""4 s of packets decide, so that the target is low again 4 s after the network has calmed down."""
BASE_WINDOW_S = 10.0
"""The fastest packet of this long is what the others are measured by. Clocks that run 200 ppm apart move it by 2 ms."""
MARGIN_MS = 15.0
"""Kept above the quantile: 10 ms because packets are 20 ms long, so that the buffer holds that much more on average
than it is sure to hold, and 5 ms because the packets beyond the quantile are not much later, as a rule."""


class JitterEstimator:
    """Feed it every packet in order of arrival; it never looks at a clock.

    A packet's delay is its arrival minus its timestamp: only differences mean anything.
    """

    def __init__(self, lowest_ms: float, highest_ms: float) -> None:
        self.lowest_ms = lowest_ms
        self.highest_ms = max(lowest_ms, highest_ms)
        self.reset()

    def reset(self) -> None:
        """Start over, as with another sender."""
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        self._lowest: deque[tuple[float, float]] = deque()

    @property
    def base_s(self) -> float | None:
        """When timestamp 0 would have arrived, had it come as fast as the fastest of late; None before any packet."""
        return self._lowest[0][1] if self._lowest else None

    @property
    def jitter_ms(self) -> float:
        """How much later than the fastest packet the QUANTILE of them came."""
        if not self._sorted or not self._lowest:
            return 0.0
        place = min(len(self._sorted) - 1, math.ceil(QUANTILE * len(self._sorted)) - 1)
        return max(0.0, (self._sorted[place] - self._lowest[0][1]) * 1_000)

    @property
    def target_ms(self) -> float:
        """How much sound should be in the buffer on average."""
        return min(max(self.lowest_ms, self.jitter_ms + MARGIN_MS), self.highest_ms)

    def observe(self, timestamp: int, arrived_s: float) -> None:
        """Take note of a packet; also of one that was too late to be played."""
        delay_s = arrived_s - timestamp / SPEECH_RATE_HZ
        while self._lowest and self._lowest[-1][1] >= delay_s:
            self._lowest.pop()
        self._lowest.append((arrived_s, delay_s))
        while self._lowest[0][0] < arrived_s - BASE_WINDOW_S:
            self._lowest.popleft()
        if (delay_s - self._lowest[0][1]) * 1_000 > self.highest_ms:
            # No buffer that we want would have saved it: a stall of the network is not jitter.
            return
        insort(self._sorted, delay_s)
        self._recent.append(delay_s)
        if len(self._recent) > WINDOW_PACKETS:
            del self._sorted[bisect_left(self._sorted, self._recent.popleft())]
