"""How far ahead of whoever plays it pictures are drawn: the rules of both ends, without any I/O."""

from dataclasses import dataclass
from typing import Final

from models.face.remote.wire import Ask
from models.interfaces import BEAT_SAMPLES

AHEAD: Final = 3
"""Pictures that are on their way while one is waited for: at 25 a second they hide a round trip of 100 ms, and an
interruption throws no more away."""
IDLE_AHEAD: Final = 2
"""Silent pictures that are asked for before their beat."""


@dataclass(slots=True)
class Window:
    """The performer's end of one answer: what was asked for, and what has come."""

    answer: int
    given: int = 0
    """Pictures that were handed out."""
    came: int = 0
    sent_samples: int = 0
    ended: bool = False
    """All sound was sent."""
    _asked: Ask | None = None

    def ask(self, position: int) -> Ask | None:
        """What to say when the next picture is wanted, or still waited for, at `position`; None when that is known."""
        ask = Ask(self.answer, self.given, self.given + 1 + AHEAD, position)
        if ask == self._asked:
            return None
        self._asked = ask
        return ask

    def expects(self, index: int) -> bool:
        """Whether a picture of this number may come now."""
        return self._asked is not None and index == self.came < self._asked.upto

    @property
    def due(self) -> bool:
        """Whether the service has all that it needs for the next picture."""
        return self.ended or self.whole_beats > self.given

    @property
    def whole_beats(self) -> int:
        return self.sent_samples // BEAT_SAMPLES


@dataclass(slots=True)
class Asked:
    """The service's end: what may be drawn, and for which position."""

    made: int = 0
    """Pictures that were drawn."""
    _ask: Ask | None = None
    _over_at: int | None = None

    def update(self, ask: Ask) -> bool:
        """Take in `ask`; false when it cannot be meant."""
        before = 0 if self._ask is None else self._ask.index
        if not before <= ask.index <= self.made or not ask.index <= ask.upto <= ask.index + 1 + AHEAD:
            return False
        self._ask = ask
        return True

    def over(self, position: int) -> None:
        """Nothing more is wanted; what is shown next is shown at `position`."""
        self._over_at = position

    @property
    def wanted(self) -> bool:
        return self._ask is not None and self.made < self._ask.upto

    def position(self) -> int:
        """The beat at which the picture that is handed out next is shown."""
        if self._over_at is not None:
            return self._over_at
        return 0 if self._ask is None else self._ask.position + self.made - self._ask.index
