"""The camera's pulse: one picture per tick to every screen, whatever happens to one of them."""

import logging
import math
import threading
import time
from collections.abc import Callable

from models.interfaces import Image
from peer_local.errors import DeviceError
from peer_local.interfaces import PictureOutput

logger = logging.getLogger(__name__)

OpenPictureOutput = Callable[[], PictureOutput]
"""Raises DeviceError."""

REOPEN_S = 2.0
_CLOSE_TIMEOUT_S = 2.0


class Schedule:
    """Ticks at `origin_s + n / fps`: never drifts, and never makes up for what is too late."""

    def __init__(self, fps: float, origin_s: float) -> None:
        self._fps = fps
        self._origin_s = origin_s
        self._next = 0
        self.skipped = 0
        """Ticks that were over before their turn came."""

    def due(self, now_s: float) -> float | None:
        """The time of the newest tick that has come and was not yet taken; None before the next one."""
        newest = math.floor((now_s - self._origin_s) * self._fps + 1e-6)
        if newest < self._next:
            return None
        self.skipped += newest - self._next
        self._next = newest + 1
        return self._origin_s + newest / self._fps

    def wait_s(self, now_s: float) -> float:
        """How long it is to the next tick."""
        return max(0.0, self._origin_s + self._next / self._fps - now_s)


class _Screen:
    """One output, and its way back when it fails.

    Closing what failed and opening it anew happen on a thread of their own: some drivers take a second, and the other
    screens do not wait.
    """

    def __init__(self, output: PictureOutput, reopen: OpenPictureOutput | None) -> None:
        self.output: PictureOutput | None = output
        self.first = output
        self._name = output.name
        self._reopen = reopen
        self._retry_s = 0.0
        self._aside: threading.Thread | None = None
        self._opened: PictureOutput | None = None
        self.failures = 0

    def show(self, image: Image, at_s: float, now_s: float) -> None:
        """Show `image`, or see to it that the output comes back."""
        if self.output is None:
            self._come_back(now_s)
            return
        try:
            self.output.show(image, at_s)
        except Exception as error:
            self.failures += 1
            logger.error("picture_output_lost", extra={"output": self._name, "reason": str(error)})
            lost, self.output = self.output, None
            self._retry_s = now_s + REOPEN_S
            self._do_aside(lambda: _close(lost))

    def _come_back(self, now_s: float) -> None:
        if self._aside is not None and self._aside.is_alive():
            return
        if self._opened is not None:
            self.output, self._opened = self._opened, None
            logger.info("picture_output_back", extra={"output": self._name})
        elif self._reopen is not None and now_s >= self._retry_s:
            self._retry_s = now_s + REOPEN_S
            self._do_aside(self._open)

    def _do_aside(self, work: Callable[[], None]) -> None:
        self._aside = threading.Thread(target=work, name=f"screen {self._name}", daemon=True)
        self._aside.start()

    def _open(self) -> None:
        assert self._reopen is not None
        try:
            self._opened = self._reopen()
        except DeviceError:
            return  # it was said when it was lost
        except Exception as error:
            logger.error("picture_output_not_opened", extra={"output": self._name, "error": type(error).__name__})

    def close(self) -> None:
        if self._aside is not None:
            self._aside.join(_CLOSE_TIMEOUT_S)
        for output in (self.output, self._opened):
            if output is not None:
                _close(output)
        self.output = self._opened = None


def _close(output: PictureOutput) -> None:
    try:
        output.close()
    except Exception as error:
        logger.warning("picture_output_not_closed", extra={"output": output.name, "error": type(error).__name__})


class CameraLoop:
    """Owns its screens and the thread `camera`; `start` it once, `close` it once.

    `picture(at_s)` makes what is seen at `at_s` (see Director). A camera that shows what it gets `camera_latency_ms`
    later is asked for, and told, the picture of that later moment, so that lips stay with the sound.
    A tick that comes too late is skipped and counted in `skipped`; one that fails is counted in `failures`.
    Budget: a tick may take half its period; `busy_s` is what the last one took.
    """

    def __init__(
        self,
        picture: Callable[[float], Image],
        *,
        fps: int,
        camera_latency_ms: float = 0.0,
        now: Callable[[], float] = time.monotonic,
        # Not Event.wait, which on Windows comes back only every 15.6 ms.
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._picture = picture
        self._latency_s = camera_latency_ms / 1_000
        self._now = now
        self._sleep = sleep
        self._schedule = Schedule(fps, now())
        self._changes = threading.Lock()
        self._screens: tuple[_Screen, ...] = ()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.failures = 0
        self.shown = 0
        """Ticks that were shown."""
        self.busy_s = 0.0

    @property
    def skipped(self) -> int:
        """Ticks that came too late."""
        return self._schedule.skipped

    @property
    def showing_on(self) -> tuple[str, ...]:
        """Names of the screens that work."""
        outputs = [screen.output for screen in self._screens]  # read once: the loop's thread may take one away
        return tuple(output.name for output in outputs if output is not None)

    def add(self, output: PictureOutput, *, reopen: OpenPictureOutput | None = None) -> None:
        """Show everything on `output` too, from now on. When it fails, `reopen` is tried every REOPEN_S."""
        with self._changes:
            self._screens = (*self._screens, _Screen(output, reopen))

    def remove(self, output: PictureOutput) -> None:
        """Show nothing more on `output` and leave its closing to the caller; it may get one last picture."""
        with self._changes:
            self._screens = tuple(screen for screen in self._screens if screen.first is not output)

    def start(self) -> None:
        """Begin to show pictures."""
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and close every screen; returns within a few seconds in any case."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_TIMEOUT_S)
            if self._thread.is_alive():
                logger.warning("camera_did_not_stop")
                return
        for screen in self._screens:
            screen.close()

    def step(self) -> float:
        """Show the picture that is due, if one is; how long to wait for the next, in seconds."""
        due_s = self._schedule.due(self._now())
        if due_s is not None:
            self._show(due_s)
        return self._schedule.wait_s(self._now())

    def _show(self, due_s: float) -> None:
        started_s = self._now()
        at_s = due_s + self._latency_s
        try:
            image = self._picture(at_s)
        except Exception as error:
            self.failures += 1
            if self.failures == 1:
                logger.error("picture_failed", extra={"error": type(error).__name__})
            return
        for screen in self._screens:
            screen.show(image, at_s, due_s)
        self.shown += 1
        self.busy_s = self._now() - started_s

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._sleep(self.step())
