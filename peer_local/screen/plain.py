"""The view as plain lines, for a pipe, a log file or a terminal that should scroll; typed lines work there as well.

on air   | double
call     | Hello, can you hear us?
double   | Yes, loud and clear.
answer   | 1.42 s
"""

import contextlib
import sys
from collections import deque
from collections.abc import Callable, Iterator

from peer_local.control import Controls
from peer_local.screen.desk import HELP, Desk
from peer_local.screen.editor import LONGEST_CHARACTERS
from peer_local.screen.keyboard import Keyboard
from peer_local.screen.look import SPEAKERS
from peer_local.screen.terminal_thread import TerminalThread
from peer_local.screen.view import NOT_YET, Line, View

INTERVAL_S = 0.1
WAITING_LINES = 1_000
"""More are dropped while nobody reads the output; the newest are kept."""


def changes(before: View, after: View) -> list[str]:
    """What happened between two views, one line for each event."""
    events: list[tuple[str, str]] = []
    if after.on_air != before.on_air:
        events.append(("on air", after.on_air))
    if after.mode != before.mode:
        events.append(("mode", after.mode))
    if after.link != before.link:
        events.append(("link", f"connected to {after.name or after.room}" if after.link == "connected" else after.link))
    if after.recording != before.recording:
        events.append(("record", "on" if after.recording else "off"))
    known = {line.number: line for line in before.lines}
    for line in after.lines:
        events += [(SPEAKERS[line.speaker][0], text) for text in _said(known.get(line.number), line)]
    if (after.state, after.held) != (before.state, before.held):
        events.append(("state", "held" if after.held else after.state))
    if after.draft is not None and after.draft != before.draft:
        if after.draft.text == NOT_YET:
            events.append(("draft", "is being thought of; /veto drops it"))
        else:
            events += [("draft", after.draft.text), ("", "/approve, /approve OTHER TEXT, or /veto")]
    if after.turns and after.turns[-1] != (before.turns or (None,))[-1]:
        events.append(("answer", f"{after.turns[-1].first_sound_ms / 1000:.2f} s"))
    events += [("warning", text) for text in after.warnings if text not in before.warnings]
    events += [("resolved", text) for text in before.warnings if text not in after.warnings]
    return [f"{kind:8} | {' '.join(text.split())}" for kind, text in events]


def _said(before: Line | None, after: Line) -> list[str]:
    """What is new of an utterance: clauses of the double as they are heard, other words once they are final."""
    if after.speaker != "double":
        return [" ".join(after.clauses)] if after.final and (before is None or not before.final) else []
    new = list(after.clauses[_heard(before) if before else 0 : _heard(after)])
    return [*new, "(interrupted)"] if after.interrupted and not (before and before.interrupted) else new


def _heard(line: Line) -> int:
    return len(line.clauses) if line.current is None else line.current + 1


class PlainLog:
    """Writes what changes in `view`, and carries out the lines of standard input, until cancelled."""

    def __init__(
        self,
        view: Callable[[], View],
        controls: Controls,
        quit_program: Callable[[], None],
        *,
        keyboard: Keyboard | None,
        write: Callable[[str], object] | None = None,
        interval_s: float = INTERVAL_S,
    ) -> None:
        """`keyboard` gives whole lines; `write` takes text with its line ends, on another thread."""
        self._get_view = view
        self._desk = Desk(controls, quit_program)
        self._write = write or _to_stdout
        self._before = View()
        self._waiting: deque[str] = deque(maxlen=WAITING_LINES)
        self._typed_so_far = ""
        self._thread = TerminalThread(keyboard, open_terminal=self._terminal, typed=self._typed, interval_s=interval_s)

    async def run(self) -> None:
        await self._thread.run(self._look)

    def _look(self) -> None:
        view = self._get_view()
        self._say(changes(self._before, view))
        self._before = view

    def _typed(self, text: str) -> None:
        *lines, rest = (self._typed_so_far + text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
        self._typed_so_far = rest[:LONGEST_CHARACTERS]
        for line in lines:
            self._desk.take(line[:LONGEST_CHARACTERS])
            if self._desk.help:
                self._say([f"{name:18} {about}" for name, about in HELP])
            if self._desk.notice:
                self._say([f"{'':8} | {self._desk.notice}"])
            self._desk.help, self._desk.notice = False, ""

    def _say(self, lines: list[str]) -> None:
        self._waiting.extend(lines)

    @contextlib.contextmanager
    def _terminal(self) -> Iterator[Callable[[], None]]:
        def draw() -> None:
            while self._waiting:
                self._write(f"{self._waiting.popleft()}\n")

        yield draw


def _to_stdout(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
