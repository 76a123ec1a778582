"""What the double is doing, from what the performer tells and what is heard of it here. Pure.

The performer is ahead: when it falls silent its last sound is still on the way, and it does not know yet what was just
sent to it. So what it says about a turn that is over here is ignored.
"""

from collections.abc import Callable

from models.interfaces import SPEECH_RATE_HZ
from peer_local.heard import Heard
from peer_local.listening.actions import TurnState
from signaling import protocol

LONGEST_TAIL_S = 1.0
"""After the performer's last sample its sound is heard for at most so long."""
REACTION_S = 5.0
"""The performer reacts to a line at once; after so long it did not get it."""

_PHASES: dict[protocol.ConversationState, TurnState] = {
    "listening": "listening",
    "thinking": "processing",
    "speaking": "speaking",
}


class Double:
    """`phase` is `speaking` until the last sound of the answer was heard here."""

    def __init__(self, heard: Callable[[], Heard | None]) -> None:
        """`heard` says how much of the newest turn the call has heard by now."""
        self._heard = heard
        self._over_id = -1
        """Turns up to this one are over."""
        self._length_samples = 0
        """Of the turn, as far as captions tell."""
        self._reacts_until_s: float | None = None
        self._tail_until_s: float | None = None
        self.phase: TurnState = "listening"
        self.turn_id = 0

    @property
    def ending(self) -> bool:
        """Whether only the last sound of an answer, already made, is still to be heard."""
        return self._tail_until_s is not None

    @property
    def expected_turn_id(self) -> int:
        """The turn that a message sent now will meet."""
        return self.turn_id + (self._reacts_until_s is not None and self.turn_id <= self._over_id)

    def heard_samples(self) -> int:
        """How much of the turn was heard by now."""
        heard = self._heard()
        return heard.samples if heard is not None and heard.turn_id == self.turn_id else 0

    # -- what we tell it -----------------------------------------------------------------------------------------------

    def asked(self, now_s: float) -> None:
        """A line was sent that ends what is being said and begins a turn."""
        self.stopped()
        self.phase = "processing"
        self._reacts_until_s = now_s + REACTION_S

    def resumed(self, now_s: float) -> None:
        """A held turn was told to go on."""
        self._reacts_until_s = now_s + REACTION_S

    def stopped(self) -> None:
        """The turn was ended from here, or the connection is gone."""
        self._over_id = max(self._over_id, self.turn_id)
        self._rest()

    # -- what it tells us ----------------------------------------------------------------------------------------------

    def greeted(self, hello: protocol.Hello) -> None:
        self._rest()
        self.turn_id = hello.turns
        self._over_id = hello.turns - 1
        self.phase = _PHASES[hello.state]

    def entered(self, state: protocol.ConversationState, turn_id: int) -> None:
        """It says that it listens, thinks or speaks; one that is held says that it listens."""
        if turn_id <= self._over_id:
            return
        if state != "listening":
            self.turn_id = turn_id
            self._reacts_until_s = self._tail_until_s = None
            self.phase = _PHASES[state]
        elif self._reacts_until_s is None:
            self._rest()

    def captioned(self, caption: protocol.Caption) -> bool:
        """False for a turn that is over."""
        if caption.turn_id <= self._over_id:
            return False
        self._length_samples = caption.start_samples + caption.duration_ms * SPEECH_RATE_HZ // 1_000
        return True

    def ended(self, ended: protocol.TurnEnded, now_s: float) -> bool:
        """False for a turn that is over already."""
        if ended.turn_id <= self._over_id:
            return False
        self._over_id = ended.turn_id
        if ended.reason == "finished" and self.phase == "speaking":
            self._reacts_until_s = None
            self._tail_until_s = now_s + LONGEST_TAIL_S
        else:
            self._rest()
        return True

    def refused(self) -> None:
        """It could not do what was sent."""
        if self._reacts_until_s is not None:
            self._rest()

    def tick(self, now_s: float) -> None:
        """Time has passed."""
        if self._tail_until_s is not None and (now_s >= self._tail_until_s or self._heard_to_the_end()):
            self._rest()
        if self._reacts_until_s is not None and now_s >= self._reacts_until_s:
            self._rest()

    def _heard_to_the_end(self) -> bool:
        return self.heard_samples() >= self._length_samples

    def _rest(self) -> None:
        self.phase = "listening"
        self._reacts_until_s = self._tail_until_s = None
