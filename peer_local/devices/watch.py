"""Looks whether open devices are still the right ones, where drivers do not tell."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from peer_local.errors import DeviceError

CHECK_S = 1.0
CLOSE_S = 2.0

log = logging.getLogger(__name__)


class Watched(Protocol):
    """An open device."""

    @property
    def name(self) -> str: ...

    @property
    def alive(self) -> bool: ...

    def close(self) -> None: ...


class Watch:
    """Closes a device that is no longer in its place, so that it falls silent and who keeps it opens it anew.

    Every CHECK_S, on a thread of its own that starts with the first device; each question takes some 10 ms and may
    raise DeviceError, which is no answer: the device stays open.
    """

    def __init__(self, every_s: float = CHECK_S) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._watched: list[tuple[Watched, Callable[[], bool]]] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0

    def add(self, device: Watched, in_place: Callable[[], bool]) -> None:
        """Watch `device` until it is closed."""
        with self._lock:
            self._watched.append((device, in_place))
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="sound-watch", daemon=True)
                self._thread.start()

    def check(self) -> None:
        """Look at every device once."""
        with self._lock:
            self._watched = [entry for entry in self._watched if entry[0].alive]
            watched = list(self._watched)
        for device, in_place in watched:
            try:
                if in_place() or not device.alive:  # it may have been closed meanwhile
                    continue
            except DeviceError:
                continue
            log.warning("sound_device_moved", extra={"device": device.name})
            device.close()

    def close(self) -> None:
        """End the thread, within CLOSE_S."""
        self._stop.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(CLOSE_S)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self.check()
            except Exception:
                self._failures += 1
                if self._failures == 1:
                    log.exception("sound_watch_failed")
