"""When a machine that costs money by the hour goes off: the rules, without clocks and without doing anything.

running ─► warned ─► over
   ▲          │
   └──────────┘ somebody came, or something was said
"""

from dataclasses import dataclass
from typing import Literal

Reason = Literal["max", "idle", "silent"]


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds; 0 means never."""

    max_s: float = 0.0
    """So long after the start it is over, whatever happens."""
    idle_s: float = 0.0
    """Over when nobody has been connected for so long."""
    silent_s: float = 0.0
    """Over when somebody is connected, and nothing was said for so long."""
    warn_s: float = 300.0
    """So long before it is over it is told."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the performer's metrics tell at one moment."""

    viewers: int
    turns: float
    """Turns since its start: a number that changes when something was said."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How long it still goes on and why not longer; None for `left_s` when there is no end in sight."""

    left_s: float | None = None
    reason: Reason | None = None
    warns: bool = False

    @property
    def over(self) -> bool:
        return self.left_s is not None and self.left_s <= 0


class Curfew:
    """`age_s` is how long the machine has run already when the watch begins; moments are in seconds of one clock."""

    def __init__(self, limits: Limits, *, now_s: float, age_s: float = 0.0) -> None:
        self._limits = limits
        self._began_s = now_s - age_s
        self._connected_s = now_s
        """The last moment at which somebody was connected."""
        self._active_s = now_s
        """The last moment at which something was said, or somebody came."""
        self._before: Sight | None = None

    def look(self, sight: Sight | None, now_s: float) -> Verdict:
        """Judge what is seen now; None when the performer tells nothing, which counts as nobody."""
        if sight is not None:
            before = self._before
            if sight.viewers > 0 or before is None:
                self._connected_s = now_s  # nobody could come before the double was there
            if before is None or sight.viewers > before.viewers or sight.turns != before.turns:
                self._active_s = now_s
            self._before = sight
        connected = sight is not None and sight.viewers > 0
        ends: list[tuple[float, Reason]] = []
        if self._limits.max_s:
            ends.append((self._began_s + self._limits.max_s, "max"))
        if self._limits.idle_s and not connected:
            ends.append((self._connected_s + self._limits.idle_s, "idle"))
        if self._limits.silent_s and connected:
            ends.append((self._active_s + self._limits.silent_s, "silent"))
        if not ends:
            return Verdict()
        end_s, reason = min(ends)
        left_s = end_s - now_s
        return Verdict(left_s, reason, warns=left_s <= self._limits.warn_s)


WHY: dict[Reason, str] = {
    "max": "its time is over",
    "idle": "nobody is connected",
    "silent": "nothing has been said for a long time",
}


def sentence(verdict: Verdict) -> str | None:
    """What everybody who is connected reads; None when there is nothing to say."""
    if not verdict.warns or verdict.left_s is None or verdict.reason is None:
        return None
    minutes = max(1, round(verdict.left_s / 60))
    when = "in a minute" if minutes == 1 else f"in {minutes} minutes"
    hint = "; say something to keep it" if verdict.reason == "silent" else ""
    return f"The machine of the double goes off {when}, because {WHY[verdict.reason]}{hint}."
