"""When the pictures of an answer are due. Pure; times are seconds of the event loop's clock."""

import math
from dataclasses import dataclass

from models.interfaces import BEAT_MS

BEAT_S = BEAT_MS / 1_000
MARGIN_S = 0.06
"""A picture is begun at least this long before it is due, with all of its sound or without."""
PATIENCE_S = 0.06
"""How long a picture that is due at once waits for the sound after it: the next piece may be on its way."""
AMPLE_PICTURES = 5
"""With 200 ms in hand pictures are made by four, which costs the device less each."""


@dataclass(slots=True)
class Pace:
    """Counts an answer's pictures: `ordered` of the engine, `given` to whoever plays them.

    Playing is taken to begin with the first picture, and to go on without a pause unless we are late ourselves.
    """

    ordered: int = 0
    given: int = 0
    held_up_s: float = 0.0
    """How much playing was held up by pictures that were not made in time; waiting for sound does not count."""
    _start_s: float | None = None

    def resume(self, now_s: float) -> None:
        """The sound, or whoever plays it, kept us until now."""
        if self._start_s is not None:
            self._start_s = max(self._start_s, now_s - self.given * BEAT_S)

    def give(self, now_s: float) -> None:
        """One picture leaves, for which only the engine was waited since `resume`."""
        before_s = self._start_s
        self._start_s = now_s - self.given * BEAT_S
        if before_s is not None:
            self.held_up_s += max(0.0, self._start_s - before_s)
            self._start_s = max(self._start_s, before_s)
        self.given += 1

    def wait_until_s(self, patience_s: float) -> float:
        """How long to wait for the picture that is given next, if pictures may hold up the answer by `patience_s`."""
        if self._start_s is None:
            return math.inf
        return self._start_s + self.given * BEAT_S + max(0.0, patience_s - self.held_up_s)

    def due_s(self, now_s: float) -> float:
        """When the picture that is ordered next is played."""
        return now_s if self._start_s is None else max(now_s, self._start_s + self.ordered * BEAT_S)

    def hurry_s(self, now_s: float, heard_s: float) -> float:
        """When the picture that is ordered next must be begun; `heard_s` is when sound came last."""
        return max(self.due_s(now_s) - MARGIN_S, heard_s + PATIENCE_S)

    def batch(self, now_s: float) -> int:
        """How many pictures to make at once: one at the start, where nothing may wait, and few while time is short."""
        if not self.ordered:
            return 1
        return 4 if round((self.due_s(now_s) - now_s) / BEAT_S) >= AMPLE_PICTURES else 2
