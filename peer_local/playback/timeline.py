"""Which media time a played sample has."""

from collections import deque
from dataclasses import dataclass

_REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start` on, `value` grows by `slope` for every step; until the next stretch starts."""

    start: float
    value: float
    slope: float

    def at(self, place: float) -> float:
        return self.value + (place - self.start) * self.slope


class Timeline:
    """Two joined maps: number of the played sample → position in the decoded sound → RTP timestamp.

    Remembers the last 512 stretches of each, which is over a second; what is asked about later than the last one is
    extrapolated.
    """

    def __init__(self) -> None:
        self._positions: deque[Stretch] = deque(maxlen=_REMEMBERED)
        self._timestamps: deque[Stretch] = deque(maxlen=_REMEMBERED)

    def played(self, sample: int, position: float, ratio: float) -> None:
        """From sample number `sample` on the sound is read from `position` at `ratio`."""
        last = self._positions[-1] if self._positions else None
        if last is None or last.slope != ratio or abs(last.at(sample) - position) > 1e-6:
            self._positions.append(Stretch(sample, position, ratio))

    def decoded(self, stretch: Stretch) -> None:
        """The decoded sound has these timestamps from a position on."""
        last = self._timestamps[-1] if self._timestamps else None
        if last is None or last.slope != stretch.slope or last.at(stretch.start) != stretch.value:
            self._timestamps.append(stretch)

    def timestamp(self, sample: float) -> float | None:
        """The timestamp of sample number `sample`, with fraction; None when that was before any sound."""
        position = _find(self._positions, sample)
        return None if position is None else self.timestamp_of(position)

    def timestamp_of(self, position: float) -> float | None:
        """The timestamp of a position in the decoded sound."""
        return _find(self._timestamps, position)

    def position_of(self, timestamp: float, start: float, end: float) -> float:
        """The first position from `start` on with `timestamp` or a later one; `end` when that is not before it."""
        stretches = [each for each in self._timestamps if each.start < end]
        for index, each in enumerate(stretches):
            until = stretches[index + 1].start if index + 1 < len(stretches) else end
            if until <= start:
                continue
            first = max(each.start, start)
            if each.at(first) >= timestamp:
                return first
            if each.slope > 0 and each.at(until) > timestamp:
                return first + (timestamp - each.at(first)) / each.slope
        return end


def _find(stretches: deque[Stretch], place: float) -> float | None:
    for stretch in reversed(stretches):
        if stretch.start <= place:
            return stretch.at(place)
    return None
