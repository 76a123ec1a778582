"""A place for the log while the screen has the terminal."""

import io
from collections import deque
from typing import TextIO

KEPT_LINES = 500


class LogTail(io.StringIO):
    """A stream for logs.setup: keeps the last lines until `release` writes them out, and passes on all after that."""

    def __init__(self, kept_lines: int = KEPT_LINES) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=kept_lines)
        self._dropped = 0
        self._stream: TextIO | None = None

    def write(self, text: str) -> int:
        """Take whole lines, as log handlers write them; called under the handler's lock."""
        if self._stream is not None:
            return self._stream.write(text)
        self._dropped += len(self._lines) == self._lines.maxlen
        self._lines.append(text)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            self._stream.flush()

    def release(self, stream: TextIO) -> None:
        """Write what was kept to `stream`, and everything from now on."""
        if self._dropped:
            stream.write(f"({self._dropped} earlier lines of the log were not kept)\n")
        self._stream = stream
        while self._lines:
            stream.write(self._lines.popleft())
        stream.flush()
