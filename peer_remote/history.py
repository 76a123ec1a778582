"""What was said in the conversation, and only what was really heard."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.interfaces import Message

FEWEST_WORDS = 4
MOST_UNANSWERED_CHARACTERS = 3_000
"""A third of the smallest context in use; a single line has at most 2,000."""
MOST_OVERHEARD_LINES = 8
MOST_OVERHEARD_CHARACTERS = 600
"""Reading this much takes a small machine about two seconds, most of them before the double is asked."""
UNASKED = "(go on)"
"""Stands for the user's line before words that answer none, because chat templates want roles to alternate."""


@dataclass(slots=True)
class _Exchange:
    turn_id: int
    user: str
    """Empty when nobody asked."""
    answer: str = ""


class History:
    """The last exchanges after the messages of the persona, with roles that strictly alternate.

    An answer that nobody heard leaves no trace, and what the user said next joins what they said before. What was said
    to others waits, bounded, for the next line that is asked and stands before it.
    """

    def __init__(self, persona: Sequence[Message], *, longest: int = 24) -> None:
        self._persona = tuple(persona)
        self._longest = longest
        self._exchanges: list[_Exchange] = []
        self._overheard: deque[str] = deque(maxlen=MOST_OVERHEARD_LINES)

    def restore(self, exchanges: Iterable[tuple[str, str]]) -> None:
        """Begin with these lines and answers, as if they had been said here."""
        self._exchanges = [_Exchange(0, asked, answered) for asked, answered in exchanges][-self._longest :]

    def overhear(self, text: str) -> None:
        """Somebody said `text` to somebody else."""
        self._overheard.append(text)

    def ask(self, turn_id: int, text: str | None) -> None:
        """The user said `text`, which `turn_id` will answer; None when it says something unasked."""
        self._exchanges.append(_Exchange(turn_id, self._line(text)))
        self._overheard.clear()
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
                messages += [Message("user", _joined(unanswered) or UNASKED), Message("assistant", exchange.answer)]
                unanswered = []
        unanswered.append(self._line(then))
        if last := _joined(unanswered):
            messages.append(Message("user", last))
        return messages

    def _line(self, text: str | None) -> str:
        """`text` with what was overheard before it."""
        return _joined([_meanwhile(self._overheard), text or ""])


def _meanwhile(overheard: Iterable[str]) -> str:
    """What others said, the newest of it when it is too much, in brackets as nobody speaks."""
    lines = "\n".join(f"- {line}" for line in overheard)
    if len(lines) > MOST_OVERHEARD_CHARACTERS:
        lines = "- …" + lines[-MOST_OVERHEARD_CHARACTERS:]
    return f"(meanwhile others said:\n{lines})" if lines else ""


def _joined(lines: list[str]) -> str:
    """What the user said without being answered, the newest of it when it is too much for one answer."""
    return "\n".join(filter(None, lines))[-MOST_UNANSWERED_CHARACTERS:]
