"""A call with simulated time, for the tests of turn-taking."""

from models.hearing.listener import (
    HearingEvent,
    PartialText,
    SpeechConfirmed,
    SpeechPaused,
    SpeechStarted,
    Utterance,
)
from models.interfaces import SPEECH_RATE_HZ
from peer_local.heard import Heard
from peer_local.listening.actions import Action, Send, ShowHeard
from peer_local.listening.modes import Modes
from peer_local.listening.turn_taking import Duplex, TurnTaking
from peer_local.settings import Mode
from signaling import protocol

ANSWER = "Well, I think that we could meet on Thursday afternoon."


class Call:
    """A call with somebody who talks to the double; `now_s` moves with what happens."""

    def __init__(self, mode: Mode = "converse", duplex: Duplex = "full", *, owner_speaks: bool = False) -> None:
        self.now_s = 100.0
        self.heard: Heard | None = None
        self.done: list[Action] = []
        self.turns = TurnTaking(
            Modes(mode, owner_speaks=owner_speaks),
            duplex=duplex,
            heard=lambda: self.heard,
            heard_at_s=lambda at_s: at_s,
        )
        self.take(protocol.Hello(name="Alex", state="listening", turns=0))

    def _note(self, actions: list[Action]) -> list[Action]:
        self.done += actions
        return actions

    def hear(self, *events: HearingEvent) -> list[Action]:
        return [action for event in events for action in self._note(self.turns.hear(event, self.now_s))]

    def take(self, message: protocol.FromPerformer) -> list[Action]:
        return self._note(self.turns.take(message, self.now_s))

    def wait(self, seconds: float) -> list[Action]:
        actions = []
        for _ in range(round(seconds * 10)):
            self.now_s += 0.1
            actions += self._note(self.turns.tick(self.now_s))
        return actions

    def begin_to_speak(self, seconds: float = 0.2) -> list[Action]:
        self.hear(SpeechStarted())
        self.wait(seconds)
        return self.hear(SpeechConfirmed())

    def understood(self, text: str) -> list[Action]:
        """The speaker has paused for a moment and the text is there."""
        self.hear(SpeechPaused())
        self.now_s += 0.5
        partial = self.hear(PartialText(text)) if text else []
        self.now_s += 0.1
        return [*partial, *self.hear(Utterance(text, self.now_s - 0.7, self.now_s - 0.1))]

    def say(self, text: str) -> list[Action]:
        return [*self.begin_to_speak(), *self.understood(text)]

    def think(self, turn_id: int = 1) -> None:
        self.take(protocol.State(state="thinking", turn_id=turn_id))

    def speak(self, turn_id: int = 1, text: str = ANSWER, seconds: float = 4.0) -> None:
        """The double thinks and begins to say `text`, which is heard for a second."""
        self.think(turn_id)
        self.now_s += 0.5
        self.take(protocol.State(state="speaking", turn_id=turn_id))
        self.take(
            protocol.Caption(
                turn_id=turn_id,
                index=0,
                text=text,
                duration_ms=round(seconds * 1_000),
                start_samples=0,
                at_s=self.now_s,
            )
        )
        self.wait(1.0)
        self.heard = Heard(turn_id, SPEECH_RATE_HZ)

    def finish(self, turn_id: int = 1, text: str = ANSWER) -> None:
        """The performer has sent everything; its last 0.3 s are on the way."""
        self.take(protocol.TurnEnded(turn_id=turn_id, reason="finished", text=text, moments_ms={}))
        self.take(protocol.State(state="listening", turn_id=turn_id))

    @property
    def state(self) -> str:
        return self.turns.state


def sent(actions: list[Action]) -> list[protocol.ToPerformer]:
    return [action.message for action in actions if isinstance(action, Send)]


def kinds(actions: list[Action]) -> list[str]:
    return [message.type for message in sent(actions)]


def verdicts(actions: list[Action]) -> list[str]:
    return [action.verdict for action in actions if isinstance(action, ShowHeard) and action.verdict != "partial"]
