"""From RTP timestamps to the performer's time and back, by its sender reports (RFC 3550, 6.4.1). Pure: never looks at a
clock, so a laptop that is asleep, late or drifting changes nothing here.
"""

import statistics
from collections import deque
from dataclasses import dataclass
from typing import Literal

from peer_local.interfaces import SenderReport

Kind = Literal["audio", "video"]

CLOCK_HZ: dict[Kind, int] = {"audio": 48_000, "video": 90_000}
REPORTS = 9
"""Reports whose median counts. At a report a second, 200 ppm of drift lag behind by 0.8 ms, whatever the hour; a
performer that reports media time, as ours does, does not drift at all."""
REBASE_S = 1.0
"""A report that is further off speaks of a new beginning or of a clock that was set."""


@dataclass(frozen=True, slots=True)
class ClockFigures:
    reports: int
    rebases: int
    settled: bool
    """Both tracks have been reported; before, they are taken to have begun at the same moment."""


class _Track:
    """One track's offset: the performer's time at its timestamp 0."""

    def __init__(self, hz: int) -> None:
        self.hz = hz
        self.first: int | None = None
        self.offset_s: float | None = None
        self.reported = False
        self._heard: deque[float] = deque(maxlen=REPORTS)

    def hear(self, offset_s: float) -> float:
        """Take a report's offset in; how far it moved away from the others, 0 when it did not."""
        moved_s = offset_s - statistics.median(self._heard) if self._heard else 0.0
        if abs(moved_s) <= REBASE_S:
            moved_s = 0.0
        else:
            self._heard.clear()
        self._heard.append(offset_s)
        self.offset_s = statistics.median(self._heard)
        self.reported = True
        return moved_s

    def move(self, moved_s: float) -> None:
        """Follow the other track for now; the next report decides alone."""
        if self.offset_s is not None and self._heard:
            self.offset_s += moved_s
            self._heard.clear()


class SenderClock:
    """Joins both tracks of one connection in the performer's time.

    Until the first report of any track, time counts from the moment at which both began; until its own first report, a
    track keeps its place relative to the other. `begin` and `note` belong to one thread, the rest to any.
    """

    def __init__(self) -> None:
        self._tracks: dict[Kind, _Track] = {kind: _Track(hz) for kind, hz in CLOCK_HZ.items()}
        self._reports = 0
        self._rebases = 0

    def begin(self, kind: Kind, timestamp: int) -> None:
        """Note a track's first timestamp (extended); later calls change nothing, so every packet may be passed."""
        if self._tracks[kind].first is None:
            self._tracks[kind].first = timestamp
            self._guess()

    def note(self, kind: Kind, report: SenderReport) -> None:
        """Take a sender report in."""
        track = self._tracks[kind]
        self._reports += 1
        moved_s = track.hear(report.media_s - report.timestamp / track.hz)
        if moved_s:
            self._rebases += 1
            for other in self._tracks.values():
                if other is not track:
                    other.move(moved_s)
        self._guess()

    def _guess(self) -> None:
        """Place the tracks that no report placed yet: both are taken to have begun at the same moment."""
        begun_s = 0.0
        known = [track for track in self._tracks.values() if track.reported]
        for track in known:
            if track.first is None or track.offset_s is None:
                return
            begun_s = track.offset_s + track.first / track.hz
        for track in self._tracks.values():
            if not track.reported and track.first is not None:
                track.offset_s = begun_s - track.first / track.hz

    def media_s(self, kind: Kind, timestamp: float) -> float | None:
        """The performer's time of an extended timestamp, which may have a fraction; None while nothing is known."""
        offset_s = self._tracks[kind].offset_s
        return None if offset_s is None else offset_s + timestamp / CLOCK_HZ[kind]

    def timestamp(self, kind: Kind, media_s: float) -> float | None:
        """The timestamp that `kind` has at `media_s` of the performer's time; None while nothing is known."""
        offset_s = self._tracks[kind].offset_s
        return None if offset_s is None else (media_s - offset_s) * CLOCK_HZ[kind]

    def figures(self) -> ClockFigures:
        return ClockFigures(self._reports, self._rebases, all(track.reported for track in self._tracks.values()))
