"""How much of the made mouth is shown, from one picture to the next.

MuseTalk cannot rest: on silence its mouth quivers. So in silence the recording's own closed mouth is shown and the
network does not run; in between, the two are mixed by `g`, never with a jump and never fluttering.

    IDLE ──loud──► ONSET ──g = 1──► SPEAK ──quiet for 3 pictures──► PAUSE
                     ▲                                                │
                     └──────────────────loud─────────────────────────┘
    any ──nothing to say, or interrupted──► TAIL ──g = 0──► IDLE
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

_FULL: Final = 12
"""g is counted in twelfths, so that both ends are reached exactly."""
_UP: Final = 4
"""Opens within 3 pictures, 120 ms; the first of them is shown 60 to 100 ms before the sound (SpeechWindow.loud)."""
_DOWN: Final = 3
"""Closes within 4 pictures, 160 ms."""
_QUIET_PICTURES: Final = 3


class Phase(Enum):
    IDLE = "idle"
    """Nothing is said, or nothing yet of the answer."""
    ONSET = "onset"
    """Opening; goes on to the end even if it gets quiet meanwhile."""
    SPEAK = "speak"
    PAUSE = "pause"
    """Closing or closed within an answer."""
    TAIL = "tail"
    """Closing after an answer."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What the mouth was doing on one picture. Equal histories give equal gates."""

    phase: Phase = Phase.IDLE
    twelfths: int = 0
    quiet_pictures: int = 0
    """Quiet pictures in a row since the mouth is fully open."""

    @property
    def g(self) -> float:
        """Share of the made mouth in the picture; exactly 0.0 and 1.0 at the ends."""
        return self.twelfths / _FULL

    @property
    def needs_network(self) -> bool:
        """Whether anything of the made mouth is seen."""
        return self.twelfths > 0

    def speaking(self, loud: bool) -> "Gate":
        """One picture later, within an answer; `loud` says whether there is sound around the picture."""
        if self.phase is Phase.SPEAK:
            quiet_pictures = 0 if loud else self.quiet_pictures + 1
            if quiet_pictures < _QUIET_PICTURES:
                return Gate(Phase.SPEAK, _FULL, quiet_pictures)
            return self._closing(Phase.PAUSE)
        if loud or self.phase is Phase.ONSET:
            return self._opening()
        return self if self.phase is Phase.IDLE else self._closing(Phase.PAUSE)

    def silent(self) -> "Gate":
        """One picture later, with nothing to say or interrupted: closes at once."""
        closing = self._closing(Phase.TAIL)
        return closing if closing.twelfths else Gate()

    def _opening(self) -> "Gate":
        twelfths = min(self.twelfths + _UP, _FULL)
        return Gate(Phase.SPEAK if twelfths == _FULL else Phase.ONSET, twelfths)

    def _closing(self, phase: Phase) -> "Gate":
        return Gate(phase, max(self.twelfths - _DOWN, 0))
