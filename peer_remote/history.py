"""What was said in the conversation, and only what was really heard."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.interfaces import Message

FEWEST_WORDS = 4
MOST_UNANSWERED_CHARACTERS = 3_000
"""A third of the smallest context in use; a single line has at most 2,000."""


@dataclass(slots=True)
class _Exchange:
    turn_id: int
    user: str
    answer: str = ""


class History:
    """The last exchanges after the messages of the persona, with roles that strictly alternate.

    An answer that nobody heard leaves no trace, and what the user said next joins what they said before.
    """

    def __init__(self, persona: Sequence[Message], *, longest: int = 24) -> None:
        self._persona = tuple(persona)
        self._longest = longest
        self._exchanges: list[_Exchange] = []

    def ask(self, turn_id: int, text: str) -> None:
        """The user said `text`, which `turn_id` will answer."""
        self._exchanges.append(_Exchange(turn_id, text))
        if len(self._exchanges) > self._longest:
            # Half at once: each cut makes the language model read everything after the persona anew.
            del self._exchanges[: -self._longest // 2]

    def heard(self, turn_id: int, answer: str, *, whole: bool = True) -> None:
        """The listeners heard `answer` of `turn_id`; unknown turns are ignored.

        An answer that was broken off ends in "…", and one of fewer than FEWEST_WORDS leaves no trace: a small model
        takes fragments for whole answers and soon gives nothing else.
        """
        if not whole:
            enough = len(answer.split()) >= FEWEST_WORDS
            answer = answer.rstrip(" .,;:!?—-") + "…" if enough else ""
        for exchange in self._exchanges:
            if exchange.turn_id == turn_id:
                exchange.answer = answer

    def messages(self, then: str | None = None) -> list[Message]:
        """The conversation with the persona first; `then` is what the user is about to say."""
        messages = [*self._persona]
        unanswered: list[str] = []
        for exchange in self._exchanges:
            unanswered.append(exchange.user)
            if exchange.answer:
                messages += [Message("user", _joined(unanswered)), Message("assistant", exchange.answer)]
                unanswered = []
        if then is not None:
            unanswered.append(then)
        if unanswered:
            messages.append(Message("user", _joined(unanswered)))
        return messages


def _joined(lines: list[str]) -> str:
    """What the user said without being answered, the newest of it when it is too much for one answer."""
    return "\n".join(lines)[-MOST_UNANSWERED_CHARACTERS:]
