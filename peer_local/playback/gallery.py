"""Decoded pictures by media time, between the connection, which brings them, and the camera, which asks for one."""

import bisect
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from models.interfaces import Image

CAPACITY = 32
"""1.28 s at 25 pictures per second, more than any jitter buffer holds back; at 1280×720 these are 44 MB."""
TOLERANCE_S = 0.02
"""Half a picture's time: a picture is shown when the ear is nearer to it than to the one before."""
HORIZON_S = 2.0
"""A picture further away than this from the ear belongs to another beginning of the performer's clock."""


@dataclass(frozen=True, slots=True)
class GalleryFigures:
    shown: int
    late: int
    """Came when a later picture was already shown."""
    skipped: int
    """Were overtaken by the picture after them before anybody asked."""
    dropped: int
    """Did not fit, or belonged to another time."""
    waiting: int
    waiting_s: float
    """From the ear's last position to the newest picture."""


class Gallery:
    """Put on one thread, picked on another.

    Budget: the lock is held for list work on at most CAPACITY entries, a few µs; pictures are never copied. Who picks
    late skips pictures, who puts late finds them counted as `late`.
    """

    def __init__(self, *, capacity: int = CAPACITY, now: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._now = now
        self._lock = threading.Lock()
        self._times: list[float] = []
        self._images: list[Image] = []
        self._current: Image | None = None
        self._current_media_s: float | None = None
        self._asked_media_s: float | None = None
        self._new_at_s: float | None = None
        self._shown = self._late = self._skipped = self._dropped = 0

    @property
    def last_media_s(self) -> float | None:
        """Media time of the picture that was picked last."""
        return self._current_media_s

    @property
    def last_new_s(self) -> float | None:
        """When a picture was picked for the first time, the last time that happened; freezes are measured by it."""
        return self._new_at_s

    def put(self, image: Image, media_s: float) -> None:
        """Keep `image`, I420 that nobody writes to any more, for its time."""
        with self._lock:
            current_s = self._current_media_s
            if current_s is not None and current_s - HORIZON_S < media_s <= current_s:
                self._late += 1
                return
            place = bisect.bisect_left(self._times, media_s)
            self._times.insert(place, media_s)
            self._images.insert(place, image)
            if len(self._times) > self._capacity:
                self._forget(1)
                self._dropped += 1

    def pick(self, media_s: float) -> Image | None:
        """The newest picture that is due at `media_s`: the same as before until its successor is; None before any."""
        with self._lock:
            self._asked_media_s = media_s
            self._drop_other_times(media_s)
            due = bisect.bisect_right(self._times, media_s + TOLERANCE_S)
            if due:
                self._current, self._current_media_s = self._images[due - 1], self._times[due - 1]
                self._new_at_s = self._now()
                self._shown += 1
                self._skipped += due - 1
                self._forget(due)
            return self._current

    def clear(self) -> None:
        """Forget all pictures, also the current one: the connection is a new one."""
        with self._lock:
            self._forget(len(self._times))
            self._current = self._current_media_s = self._asked_media_s = None

    def figures(self) -> GalleryFigures:
        with self._lock:
            ahead_s = self._times[-1] - self._asked_media_s if self._times and self._asked_media_s is not None else 0.0
            return GalleryFigures(
                self._shown, self._late, self._skipped, self._dropped, len(self._times), max(0.0, ahead_s)
            )

    def _drop_other_times(self, media_s: float) -> None:
        alien = bisect.bisect_right(self._times, media_s + HORIZON_S)
        self._dropped += len(self._times) - alien
        del self._times[alien:], self._images[alien:]
        if self._current_media_s is not None and self._current_media_s > media_s + HORIZON_S:
            self._current_media_s = None  # time went back; the picture stays until one of the new time is due

    def _forget(self, count: int) -> None:
        del self._times[:count], self._images[:count]
