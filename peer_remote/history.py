"""What was said in the conversation, and only what was really heard."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.interfaces import Message
from peer_remote.tokens import conversation_tokens, estimated_tokens

FEWEST_WORDS = 4
MOST_UNANSWERED_CHARACTERS = 3_000
"""A third of the smallest context in use; a single line has at most 2,000."""
MOST_OVERHEARD_LINES = 8
MOST_OVERHEARD_CHARACTERS = 600
"""Reading this much takes a small machine about two seconds, most of them before the double is asked."""
UNASKED = "(go on)"
"""Stands for the user's line before words that answer none, because chat templates want roles to alternate."""
CROWDED = 0.75
"""Share of the room from which on the oldest exchanges are worth condensing, before they have to go."""
KEPT = 0.5
"""Share of the room that the newest exchanges may take after a cut: each cut makes the language model read everything
after the persona anew, so that it parts with many at once."""


@dataclass(slots=True, eq=False)
class Exchange:
    """A line and its answer."""

    turn_id: int
    user: str
    """Empty when nobody asked."""
    answer: str = ""


class History:
    """The last exchanges after the messages of the persona, with roles that strictly alternate.

    An answer that nobody heard leaves no trace, and what the user said next joins what they said before. What was said
    to others waits, bounded, for the next line that is asked and stands before it. When the exchanges are more than
    `longest`, or with the persona more than `budget_tokens`, the oldest ones fall out whole; `summary` stands for them
    once somebody has condensed them (peer_remote/memory.py).
    """

    def __init__(self, persona: Sequence[Message], *, longest: int = 24, budget_tokens: int | None = None) -> None:
        self._persona = tuple(persona)
        self._longest = longest
        self._room_tokens = None if budget_tokens is None else budget_tokens - conversation_tokens(self._persona)
        self._exchanges: list[Exchange] = []
        self._fallen: deque[Exchange] = deque(maxlen=longest)
        self._overheard: deque[str] = deque(maxlen=MOST_OVERHEARD_LINES)
        self.summary = ""
        """What was said before the first exchange that is kept."""

    def restore(self, exchanges: Iterable[tuple[str, str]], summary: str = "") -> None:
        """Begin with these lines and answers, and what was said before them, as if they had been said here."""
        self._exchanges = [Exchange(0, asked, answered) for asked, answered in exchanges][-self._longest :]
        self._fallen.clear()
        self.summary = summary

    def overhear(self, text: str) -> None:
        """Somebody said `text` to somebody else."""
        self._overheard.append(text)

    def ask(self, turn_id: int, text: str | None) -> None:
        """The user said `text`, which `turn_id` will answer; None when it says something unasked."""
        self._exchanges.append(Exchange(turn_id, self._line(text)))
        self._overheard.clear()
        if self._takes(1.0):
            cut = self._oldest()
            self._fallen.extend(self._exchanges[:cut])
            del self._exchanges[:cut]

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
        return self._prompt(self._exchanges, self._line(then))

    def aged(self) -> tuple[Exchange, ...]:
        """The oldest exchanges that `summary` should stand for: those that fell out, and those that soon would."""
        soon = self._exchanges[: self._oldest()] if self._takes(CROWDED) else []
        aged = [*self._fallen, *soon]
        while len(aged) > 1 and self._room_tokens is not None and self._tokens(aged) > self._room_tokens:
            aged.pop()
        return tuple(aged)

    def messages_of(self, exchanges: Iterable[Exchange], then: str) -> list[Message]:
        """The conversation as it was with `exchanges`, and `then` as the user's last line."""
        return self._prompt(exchanges, then)

    def condense(self, exchanges: Iterable[Exchange], summary: str) -> None:
        """From now on `summary` stands for the one before it and for `exchanges`."""
        gone = set(exchanges)
        self._exchanges = [exchange for exchange in self._exchanges if exchange not in gone]
        self._fallen = deque((one for one in self._fallen if one not in gone), maxlen=self._longest)
        self.summary = summary

    def _prompt(self, exchanges: Iterable[Exchange], then: str) -> list[Message]:
        messages = [*self._persona]
        unanswered = [_earlier(self.summary)]
        for exchange in exchanges:
            unanswered.append(exchange.user)
            if exchange.answer:
                messages += [Message("user", _joined(unanswered) or UNASKED), Message("assistant", exchange.answer)]
                unanswered = []
        unanswered.append(then)
        if last := _joined(unanswered):
            messages.append(Message("user", last))
        return messages

    def _takes(self, share: float) -> bool:
        """Whether the exchanges take more than `share` of their room."""
        if len(self._exchanges) > share * self._longest:
            return True
        return self._room_tokens is not None and self._tokens(self._exchanges) > share * self._room_tokens

    def _oldest(self) -> int:
        """How many of the oldest exchanges have to go, so that the others take KEPT of the room; the last one stays."""
        cut = max(0, len(self._exchanges) - round(KEPT * self._longest))
        if self._room_tokens is not None:
            while cut < len(self._exchanges) - 1 and self._tokens(self._exchanges[cut:]) > KEPT * self._room_tokens:
                cut += 1
        return cut

    def _tokens(self, exchanges: Iterable[Exchange]) -> int:
        """Tokens of `exchanges` after the summary."""
        said = [message for one in exchanges for message in (Message("user", one.user), Message("user", one.answer))]
        return conversation_tokens(said) + estimated_tokens(self.summary)

    def _line(self, text: str | None) -> str:
        """`text` with what was overheard before it."""
        return _joined([_meanwhile(self._overheard), text or ""])


def _earlier(summary: str) -> str:
    """What was said before, in brackets as nobody speaks."""
    return f"(earlier: {summary})" if summary else ""


def _meanwhile(overheard: Iterable[str]) -> str:
    """What others said, the newest of it when it is too much, in brackets as nobody speaks."""
    lines = "\n".join(f"- {line}" for line in overheard)
    if len(lines) > MOST_OVERHEARD_CHARACTERS:
        lines = "- …" + lines[-MOST_OVERHEARD_CHARACTERS:]
    return f"(meanwhile others said:\n{lines})" if lines else ""


def _joined(lines: list[str]) -> str:
    """What the user said without being answered, the newest of it when it is too much for one answer."""
    return "\n".join(filter(None, lines))[-MOST_UNANSWERED_CHARACTERS:]
