"""A virtual camera for tests and benches: a backend of pyvirtualcam that notes when it was shown what."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import numpy as np
import pyvirtualcam
from pyvirtualcam.camera import BACKENDS

from models.interfaces import Image

T = TypeVar("T")
NAME = "recording"


class Recording(Generic[T]):
    """What the call saw: `look` turns each picture, I420, into what is kept of it, on the camera's own thread."""

    def __init__(self, look: Callable[[Image], T], *, now: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._now = now
        self.shown: list[tuple[float, T]] = []
        """Each picture's moment and what was kept of it, in order."""
        self.size_px = (0, 0)
        self.cameras = 0
        """How often a program opened the camera."""

    def latest(self) -> T | None:
        return self.shown[-1][1] if self.shown else None

    def since(self, at_s: float) -> list[tuple[float, T]]:
        """What was shown at `at_s` or later."""
        return [(shown_s, seen) for shown_s, seen in self.shown.copy() if shown_s >= at_s]

    def _take(self, picture: Image) -> None:
        at_s = self._now()
        self.shown.append((at_s, self._look(picture)))


@contextmanager
def recording_camera(recording: Recording[Any]) -> Iterator[None]:
    """Be the only virtual camera of this process."""

    class Backend:
        """The interface that pyvirtualcam documents as `Backend`."""

        def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: str | None) -> None:
            if fourcc != _I420:
                raise RuntimeError("The recording camera takes I420 only.")
            self._height = height
            self._device = device or NAME
            recording.size_px = (width, height)
            recording.cameras += 1

        def send(self, frame: Image) -> None:
            recording._take(np.asarray(frame).reshape(self._height * 3 // 2, -1))

        def close(self) -> None: ...

        def device(self) -> str:
            return self._device

        def native_fourcc(self) -> int | None:
            return None

    others = dict(BACKENDS)
    BACKENDS.clear()
    pyvirtualcam.register_backend(NAME, Backend)
    try:
        yield
    finally:
        BACKENDS.clear()
        BACKENDS.update(others)


_I420 = int.from_bytes(b"I420", "little")
