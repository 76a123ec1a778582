"""What was said, by whom, as the screen shows it. Pure."""

from collections import deque
from dataclasses import replace

from peer_local.listening.actions import ShowHeard
from peer_local.screen.view import KEPT_LINES, Line, Speaker
from signaling import protocol


class Transcript:
    """Lines of both sides; an answer grows by its clauses, an utterance is replaced by its better understanding."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque(maxlen=KEPT_LINES)
        self._captions: dict[int, list[protocol.Caption]] = {}
        self._number = 0

    def begin_anew(self) -> None:
        """A performer that was started again counts its turns from the beginning."""
        self._captions.clear()

    def typed(self, text: str) -> None:
        """The owner has typed a line."""
        self._add("typed", (text,))

    def heard(self, shown: ShowHeard) -> None:
        """Somebody in the call has said something, or is saying it."""
        last = self._lines[-1] if self._lines else None
        going_on = last is not None and last.speaker == "call" and not last.final
        if shown.verdict == "echo" or not shown.text:
            if going_on:
                self._lines.pop()
        elif last is not None and going_on:
            self._lines[-1] = replace(last, clauses=(shown.text,), final=shown.verdict != "partial")
        else:
            self._add("call", (shown.text,), final=shown.verdict != "partial")

    def caption(self, caption: protocol.Caption) -> None:
        """The double begins a clause; one that comes again after a resume takes its earlier place."""
        clauses = self._captions.get(caption.turn_id)
        if clauses is None:
            clauses = self._captions[caption.turn_id] = []
            self._add("double", ())
            if len(self._captions) > KEPT_LINES:
                del self._captions[next(iter(self._captions))]
        del clauses[caption.index :]
        clauses.append(caption)
        self._change_answer(caption.turn_id, interrupted=False)

    def ended(self, ended: protocol.TurnEnded) -> None:
        """The double has ended an answer."""
        if ended.turn_id in self._captions:
            self._change_answer(ended.turn_id, interrupted=ended.reason != "finished")

    def lines(self, hears: protocol.Caption | None) -> tuple[Line, ...]:
        """All of them; `hears` is the clause that is heard now."""
        if hears is None or not self._lines:
            return tuple(self._lines)
        number = self._number_of.get(hears.turn_id)
        return tuple(replace(line, current=hears.index) if line.number == number else line for line in self._lines)

    @property
    def _number_of(self) -> dict[int, int]:
        """Turn → number of its line."""
        answers = [line.number for line in self._lines if line.speaker == "double"]
        return dict(zip(reversed(self._captions), reversed(answers), strict=False))

    def _change_answer(self, turn_id: int, *, interrupted: bool) -> None:
        number = self._number_of.get(turn_id)
        clauses = tuple(caption.text for caption in self._captions[turn_id])
        for place, line in enumerate(self._lines):
            if line.number == number:
                self._lines[place] = replace(line, clauses=clauses, interrupted=interrupted)

    def _add(self, speaker: Speaker, clauses: tuple[str, ...], *, final: bool = True) -> None:
        self._number += 1
        self._lines.append(Line(self._number, speaker, clauses, final=final))
