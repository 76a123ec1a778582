"""Who decides what the double says. Pure.

    converse    the model answers everything
    repeat      the owner's words, typed or spoken, are said as they are
    approve     the model's answer waits for the owner's yes, edit or veto
    addressed   the model answers who speaks to the double: by name, or in reply to its question

A typed line is always meant for the double. Each utterance or line becomes the messages that the performer gets.
"""

from dataclasses import dataclass
from typing import get_args

from peer_local.listening.words import names_somebody
from peer_local.settings import Mode
from signaling import protocol

REPLY_S = 8.0
"""So long after the double has asked something, whoever speaks is taken to answer it."""
LEAST_NAME_LETTERS = 3
MOST_CHARACTERS = 2_000
MOST_DELAY_MS = 60_000.0

Messages = tuple[protocol.ToPerformer, ...]


@dataclass(frozen=True, slots=True)
class PendingDraft:
    """An answer that waits for the owner; `text` is None until the model has thought of one."""

    answers: str
    text: str | None = None


class Modes:
    """What to do with what was said. The mode can change at any time; a draft that waits goes on waiting."""

    def __init__(self, mode: Mode, *, names: tuple[str, ...] = (), owner_speaks: bool = False) -> None:
        """`owner_speaks`: the ears hear the owner, not the call, so that mode `repeat` may repeat what they hear."""
        self._mode: Mode = mode
        self._further_names = names
        self._names: tuple[str, ...] = names
        self._owner_speaks = owner_speaks
        self._asked_s: float | None = None
        self.pending: PendingDraft | None = None

    @property
    def mode(self) -> Mode:
        return self._mode

    def switch(self, mode: Mode) -> None:
        """Raises ValueError for a mode that there is not."""
        if mode not in get_args(Mode):
            raise ValueError(f"There is no mode {mode}; choose {', '.join(get_args(Mode))}.")
        self._mode = mode

    def called(self, name: str) -> None:
        """The double's name, as the performer tells it; each of its words counts, like the names of the settings."""
        parts = [part for part in name.split() if len(part) >= LEAST_NAME_LETTERS]
        self._names = (name, *parts, *self._further_names)

    @property
    def interruptible(self) -> bool:
        """Whether people in the call can make the double stop: what its owner dictates, it says to the end."""
        return self._mode != "repeat"

    def answered(self, text: str, now_s: float) -> None:
        """The double has just said `text` to the end."""
        self._asked_s = now_s if text.rstrip(' "»”)').endswith("?") else None

    def expects(self, text: str, began_s: float) -> bool:
        """Whether the model should think ahead about what somebody is saying."""
        return self._mode in ("converse", "approve") or (
            self._mode == "addressed" and self._is_addressed(text, began_s)
        )

    def typed(self, text: str) -> Messages:
        """What the owner's line means; empty for a line without words."""
        text = _bounded(text)
        if not text:
            return ()
        if self._mode == "repeat":
            return (protocol.Speak(text=text),)
        if self._mode == "approve":
            return self._draft(text)
        return (protocol.Say(text=text, source="typed"),)

    def spoken(
        self, text: str, *, began_s: float, speech_ended_ms: float, transcribed_ms: float, goes_on: bool
    ) -> Messages:
        """What an utterance means that began at `began_s` and ended and was transcribed so long ago.

        `goes_on`: it continues the utterance that the double is about to answer.
        """
        text = _bounded(text)
        if not text:
            return ()
        match self._mode:
            case "repeat":
                return (protocol.Speak(text=text) if self._owner_speaks else protocol.Overheard(text=text),)
            case "approve":
                return self._draft(text)
            case "addressed" if not goes_on and not self._is_addressed(text, began_s):
                return (protocol.Overheard(text=text),)
            case _:
                self._asked_s = None
                say = protocol.Say(
                    text=text,
                    source="spoken",
                    speech_ended_ms=_delay(speech_ended_ms),
                    transcribed_ms=_delay(transcribed_ms),
                )
                return (say,)

    def overheard(self, text: str) -> Messages:
        """An utterance that the double must not answer, whatever the mode."""
        text = _bounded(text)
        return (protocol.Overheard(text=text),) if text else ()

    def drafted(self, message: protocol.Drafted) -> bool:
        """The model's draft has come; false when it is for something that was replaced or vetoed meanwhile."""
        if self.pending is None or self.pending.answers != message.answers:
            return False
        self.pending = PendingDraft(message.answers, message.text)
        return True

    def forget_unfinished(self) -> bool:
        """The model could not think of the draft; false when none was being thought of."""
        unfinished = self.pending is not None and self.pending.text is None
        if unfinished:
            self.pending = None
        return unfinished

    def approve(self, text: str | None = None) -> Messages:
        """Say the draft, or `text` in its place; nothing when there is neither."""
        pending = self.pending
        said = _bounded(text) if text is not None else pending.text if pending else None
        if pending is None or not said:
            return ()
        self.pending = None
        return (protocol.Speak(text=_bounded(said), answers=pending.answers),)

    def veto(self) -> Messages:
        """Leave it unanswered, but remembered."""
        pending, self.pending = self.pending, None
        return (protocol.Overheard(text=pending.answers),) if pending else ()

    def _draft(self, text: str) -> Messages:
        replaced = self.veto()
        self.pending = PendingDraft(text)
        return (*replaced, protocol.Draft(text=text))

    def _is_addressed(self, text: str, began_s: float) -> bool:
        replies = self._asked_s is not None and began_s - self._asked_s <= REPLY_S
        return replies or any(names_somebody(text, name) for name in self._names)


def _bounded(text: str) -> str:
    return text.strip()[:MOST_CHARACTERS]


def _delay(ms: float) -> float:
    return min(max(ms, 0.0), MOST_DELAY_MS)
