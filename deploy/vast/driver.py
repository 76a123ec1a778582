"""Doing what a rental's rules say, until they are through; signals only ever count, so that nothing is cut short."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Protocol, Self

from deploy.vast.steps import (
    Check,
    Destroy,
    Done,
    Event,
    Heard,
    Listen,
    Look,
    NotDestroyed,
    NotPassed,
    Pause,
    Rent,
    Step,
    Unanswered,
    Unseen,
)

log = logging.getLogger(__name__)

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""Ctrl-C, a supervisor, and the terminal's window that closes."""
BROKEN = "an error of this program, which is in its log"


class Rules(Protocol):
    """What is driven: a Rental or a Removal."""

    def next(self, now_s: float) -> Step: ...
    def on(self, event: Event, now_s: float) -> None: ...
    def interrupt(self, now_s: float) -> None: ...


class Stops:
    """How often somebody wanted to end the program; as a context manager it takes the signals over."""

    def __init__(self) -> None:
        self.count = 0
        self._wanted = threading.Event()
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN or number == signal.SIGINT:
                self._before[number] = signal.signal(number, self._signalled)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def ask(self) -> None:
        self.count += 1
        self._wanted.set()

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than until the next wish to end."""
        self._wanted.wait(seconds)
        self._wanted.clear()

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self.ask()


def drive(
    rules: Rules,
    do: Callable[[Step], Event],
    *,
    stops: Stops,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] | None = None,
    show: Callable[[], None] = lambda: None,
) -> None:
    """Drive `rules` to their end. Whatever `do` raises counts as the worst that the step can have come to."""
    wait = pause or stops.wait
    heeded = 0
    while True:
        step = rules.next(clock())
        try:
            show()
        except Exception as error:  # the terminal is gone or lacks a letter; what is rented is still there
            log.debug("rental_not_shown", extra={"error": type(error).__name__})
        if isinstance(step, Done):
            return
        if isinstance(step, Pause):
            wait(step.seconds)
        else:
            rules.on(_done(do, step, stops), clock())
        while heeded < stops.count:
            heeded += 1
            rules.interrupt(clock())


def _done(do: Callable[[Step], Event], step: Step, stops: Stops) -> Event:
    try:
        return do(step)
    except KeyboardInterrupt:  # where the signals could not be taken over
        stops.ask()
        return worst(step, "you stopped it")
    except Exception:
        log.exception("rental_step_broke", extra={"step": type(step).__name__})
        return worst(step, BROKEN)


def worst(step: Step, reason: str) -> Event:
    """What a step without a result must be taken for."""
    match step:
        case Rent():
            return Unanswered(reason)
        case Look():
            return Unseen(reason)
        case Listen():
            return Heard()
        case Check():
            return NotPassed(reason)
        case Destroy(instance):
            return NotDestroyed(instance, reason)
        case Pause() | Done():
            raise AssertionError(f"{step} has no result")
