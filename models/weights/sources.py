"""What hub and package registries have in common: how they fail, and what they report while they work."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

OnBytes = Callable[[int], None]
"""Called with the number of bytes that arrived since the last call; negative when a download starts over."""


class SourceFailed(Exception):
    """This source did not deliver; the message says why, in words that follow the source's name."""


class SourceUnreachable(SourceFailed):
    """Nobody answers there, so that asking again in this run is a waste of time."""

    def __init__(self, place: str) -> None:
        super().__init__(f"{place} cannot be reached")
        self.place = place


class Stopped(Exception):
    """The user wants to stop."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file as it arrived, not yet checked."""

    path: Path
    source: str
    """Where it came from, for messages and records."""
    offered_sha256: str | None = None
    """What the source itself says about the bytes."""


class StopSignal:
    """Set once by whoever owns the fetch; every wait of a download goes through it."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._hangs: list[Callable[[], None]] = []

    def set(self) -> None:
        self._event.set()
        with self._lock:
            for wake in self._hangs:
                wake()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """While the body runs, which may hang in a read: `wake` is called when the user stops, from another thread."""
        with self._lock:
            self._hangs.append(wake)
        try:
            self.wait(0)
            yield
        finally:
            with self._lock:
                self._hangs.remove(wake)

    def wait(self, seconds: float) -> None:
        """Sleep, or raise Stopped as soon as the user wants to stop."""
        if self._event.wait(seconds):
            raise Stopped
