"""When an engine that failed is tried again. Pure.

closed ── failures ──► open ── after a pause ──► half open ── the trial succeeded ──► closed
                         ▲                           │ it failed: a longer pause
                         └───────────────────────────┘
"""

import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half_open"]

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 60.0
GROWTH = 2.0


class Breaker:
    """One engine's record: `failures` in a row open it, and so does one that cost its listeners time.

    A trial that succeeded closes it, but the next pause is longer all the same until a real request has succeeded to
    its end: an engine that is well only in trials is not asked all the time.
    """

    def __init__(
        self,
        *,
        failures: int = 2,
        first_pause_s: float = FIRST_PAUSE_S,
        longest_pause_s: float = LONGEST_PAUSE_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._first_pause_s = first_pause_s
        self._longest_pause_s = longest_pause_s
        self._now = now
        self._in_a_row = 0
        self._pause_s = first_pause_s
        self._trial_at_s = 0.0
        self.state: State = "closed"

    @property
    def closed(self) -> bool:
        """Whether requests may go to the engine."""
        return self.state == "closed"

    def failed(self, *, heavy: bool = False) -> None:
        """A request or a trial failed; `heavy` is one that was waited for, or that broke off amid an answer."""
        self._in_a_row += 1
        if self.state == "half_open" or heavy or self._in_a_row >= self._failures:
            self._open()

    def succeeded(self, *, whole: bool = True) -> None:
        """A request succeeded; not yet `whole` is one that has begun well and may still break off."""
        self.state = "closed"
        self._in_a_row = 0
        if whole:
            self._pause_s = self._first_pause_s

    def wait_s(self) -> float:
        """How long until the next trial may begin; 0 when it may begin now."""
        return max(0.0, self._trial_at_s - self._now()) if self.state == "open" else 0.0

    def begin_trial(self) -> bool:
        """Let one trial through; false when it is not time for one, or when none is needed."""
        if self.state != "open" or self.wait_s() > 0:
            return False
        self.state = "half_open"
        return True

    def passed(self) -> None:
        """The trial succeeded."""
        if self.state == "half_open":
            self.state = "closed"
            self._in_a_row = 0

    def _open(self) -> None:
        if self.state != "open":
            self._trial_at_s = self._now() + self._pause_s
            self._pause_s = min(self._longest_pause_s, self._pause_s * GROWTH)
        self.state = "open"
