"""When each stage of a turn did its first work."""

import time
from collections.abc import Callable
from typing import Literal

Moment = Literal[
    "end_of_speech", "transcript", "first_token", "first_clause", "first_sample", "first_picture", "first_packet"
]


class Trace:
    """Moments of one turn in ms since the user stopped speaking or the typed line arrived."""

    def __init__(self, *, started_s: float | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._started_s = now() if started_s is None else started_s
        self.moments_ms: dict[str, float] = {}

    def mark(self, moment: Moment, at_s: float | None = None) -> None:
        """Note the first time `moment` happens; later times are ignored."""
        at_s = self._now() if at_s is None else at_s
        self.moments_ms.setdefault(moment, round((at_s - self._started_s) * 1_000, 1))
