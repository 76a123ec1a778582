"""One thread for calls into a driver, which may hang without hanging who asks."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from queue import SimpleQueue
from typing import Any, TypeVar

from peer_local.errors import DeviceError

T = TypeVar("T")
PRIORITY = 10
"""Above PulseAudio's own threads, which have 5: without sound to mix they have nothing to do."""


class DeviceThread:
    """Runs one call after the other, each waited for with a time-out.

    One thread for all, because Windows ties its sound interfaces to the thread that initialised them, and PortAudio
    forbids opening and closing from two threads at once. It is a daemon: a driver that hangs must not keep the program
    from ending. The queue holds at most one call per waiting caller.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._hanging: Future[Any] | None = None
        """The call that was given up while it ran; until it ends every other one is refused at once."""
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()

    def call(
        self, function: Callable[[], T], *, timeout_s: float, what: str, discard: Callable[[T], object] | None = None
    ) -> T:
        """Return what `function` returns, or raise what it raises.

        Raises DeviceError after `timeout_s`, naming `what`. A call that has not begun by then never will; the result of
        one that ends later is handed to `discard`, on this thread.
        """
        job: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise DeviceError(f"{what} is closed; restart Understudy.")
            if self._hanging is not None and not self._hanging.done():
                raise DeviceError(
                    f"{what} waits for a device that does not answer; reconnect that or restart Understudy."
                )
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._jobs.put((job, function))
        try:
            return job.result(timeout_s)
        except NotInTime:
            if job.done():  # it raised a TimeoutError of its own
                raise
            if not job.cancel():
                self._hanging = job
                if discard is not None:
                    job.add_done_callback(lambda late: None if late.exception() else discard(late.result()))
            raise DeviceError(
                f"{what} did not answer within {timeout_s:g} s; reconnect the device or restart it."
            ) from None

    def close(self, timeout_s: float = 2.0) -> bool:
        """End the thread after the calls that wait; False while it hangs. No call is taken afterwards."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _run(self) -> None:
        while (entry := self._jobs.get()) is not None:
            job, function = entry
            if not job.set_running_or_notify_cancel():
                continue
            try:
                job.set_result(function())
            except BaseException as error:  # it belongs to the caller, whatever it is
                job.set_exception(error)


@contextlib.contextmanager
def hurried() -> Iterator[None]:
    """Threads that a driver starts meanwhile run before others, where the system allows it: root, or an `rtprio` limit.

    Windows and macOS do that for their sound threads; those of ALSA and PulseAudio's client inherit from this one.
    """
    if sys.platform != "linux":
        yield
        return
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
    except OSError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
