"""A line editor without a terminal: keys in, finished lines out."""

import re
from collections.abc import Iterator, Sequence

LONGEST_CHARACTERS = 2_000
"""What one message to the performer may hold."""
HISTORY_LINES = 100

_KEY = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Za-z]|\x1b[^\[O]|\x1b|.", re.DOTALL)
_WORD = re.compile(r"\s*\S*")
_NAMES = {
    "\r": "enter", "\n": "enter", "\t": "tab", "\x1b": "escape", "\x7f": "backspace", "\b": "backspace",
    "\x01": "home", "\x02": "left", "\x05": "end", "\x06": "right", "\x0b": "cut_end", "\x0e": "down", "\x10": "up",
    "\x15": "cut_start", "\x17": "cut_word", "\x03": "quit", "\x04": "end_of_input",
    "\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left", "\x1b[H": "home", "\x1b[F": "end",
    "\x1bOA": "up", "\x1bOB": "down", "\x1bOC": "right", "\x1bOD": "left", "\x1bOH": "home", "\x1bOF": "end",
    "\x1b[1~": "home", "\x1b[4~": "end", "\x1b[7~": "home", "\x1b[8~": "end", "\x1b[3~": "delete",
    "\x1b[1;5C": "word_right", "\x1b[1;5D": "word_left", "\x1bf": "word_right", "\x1bb": "word_left",
}  # fmt: skip


class LineEditor:
    """One line of text with a cursor, and the lines before it. Keys are what a terminal in cbreak mode sends.

    `feed` returns what a person asked for: ("line", text), or the names of keys that mean something only to the
    program: ("escape" | "tab" | "quit" | "cleared", "").
    """

    def __init__(self, completions: Sequence[str] = ()) -> None:
        """`completions` are words that Tab completes at the start of a line."""
        self._completions = completions
        self._history: list[str] = []
        self._place = 0
        self._kept = ""
        self.text = ""
        self.cursor = 0
        """Between 0 and len(text), in characters."""

    def feed(self, keys: str) -> Iterator[tuple[str, str]]:
        """Take what was typed since the last call; the events must be taken, one by one, as each may `set` the line."""
        for key in _KEY.findall(keys):
            name = _NAMES.get(key)
            if name is not None:
                yield from self._press(name)
            elif key.isprintable() and len(self.text) < LONGEST_CHARACTERS:
                self._replace(self.text[: self.cursor] + key + self.text[self.cursor :], self.cursor + 1)

    def set(self, text: str) -> None:
        """Put `text` into the line for editing."""
        text = " ".join(text.split())[:LONGEST_CHARACTERS]
        self._replace(text, len(text))

    def _press(self, name: str) -> list[tuple[str, str]]:
        before, after = self.text[: self.cursor], self.text[self.cursor :]
        match name:
            case "enter":
                line = self.text.strip()
                if line and self._history[-1:] != [line]:
                    self._history = [*self._history, line][-HISTORY_LINES:]
                self._place, self._kept = len(self._history), ""
                self._replace("", 0)
                return [("line", line)]
            case "escape" if self.text:
                self._replace("", 0)
                return [("cleared", "")]
            case "tab" if self.text:
                self._complete()
            case "escape" | "tab" | "quit":
                return [(name, "")]
            case "end_of_input" if not self.text:
                return [("quit", "")]
            case "backspace":
                self._replace(before[:-1] + after, max(0, self.cursor - 1))
            case "delete" | "end_of_input":
                self._replace(before + after[1:], self.cursor)
            case "left" | "right":
                self.cursor = min(max(0, self.cursor + (1 if name == "right" else -1)), len(self.text))
            case "home":
                self.cursor = 0
            case "end":
                self.cursor = len(self.text)
            case "word_left":
                self.cursor = len(_without_last_word(before))
            case "word_right":
                self.cursor += _WORD.match(after).end()  # type: ignore[union-attr]  # it matches nothing, too
            case "cut_start":
                self._replace(after, 0)
            case "cut_end":
                self._replace(before, len(before))
            case "cut_word":
                kept = _without_last_word(before)
                self._replace(kept + after, len(kept))
            case "up" | "down":
                self._recall(-1 if name == "up" else 1)
        return []

    def _recall(self, step: int) -> None:
        if not 0 <= self._place + step <= len(self._history):
            return
        if self._place == len(self._history):
            self._kept = self.text
        self._place += step
        text = self._history[self._place] if self._place < len(self._history) else self._kept
        self._replace(text, len(text))

    def _complete(self) -> None:
        fitting = [word for word in self._completions if word.startswith(self.text)]
        if len(fitting) == 1:
            self._replace(fitting[0] + " ", len(fitting[0]) + 1)

    def _replace(self, text: str, cursor: int) -> None:
        self.text, self.cursor = text, cursor


def _without_last_word(text: str) -> str:
    return text.rstrip().rpartition(" ")[0] + " " * (" " in text.rstrip())
