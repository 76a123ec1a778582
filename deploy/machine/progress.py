"""How far the start of a machine is: one line per event, on standard output and in a file. Standard library only.

    ==> 2026-11-25T20:40:01Z weights done: everything is here

Whoever rents the machine reads the same lines from its log. deploy/onstart.sh writes the first ones itself.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, get_args

from deploy.console import SetupError, say

PHASES: Final = ("network", "packages", "source", "environment", "weights", "compile", "warm-up", "ready")
"""In this order; `compile` is the servers of the language model and the voice, `warm-up` the double itself."""
State = Literal["began", "done", "failed", "note"]
TAIL_LINES: Final = 15
MAX_BYTES: Final = 256 * 1024
_LINE = re.compile(r"==> (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ([a-z-]+) (" + "|".join(get_args(State)) + r")(?:: (.*))?")


@dataclass(frozen=True, slots=True)
class Line:
    """One event of the start."""

    at: datetime
    phase: str
    state: State
    text: str = ""

    def __str__(self) -> str:
        ending = f": {self.text}" if self.text else ""
        return f"==> {self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} {self.phase} {self.state}{ending}"


def parse_line(text: str) -> Line | None:
    """The event in a line of a log, or None for any other line."""
    found = _LINE.fullmatch(text.rstrip())
    if found is None or found[2] not in PHASES:
        return None
    at = datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    state: State = found[3]  # type: ignore[assignment]  # the pattern is made of State's values
    return Line(at, found[2], state, found[4] or "")


class Progress:
    """Tells what happens, to people and to the file."""

    def __init__(
        self,
        file: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        out: Callable[[str], None] | None = None,
    ) -> None:
        self._file = file
        self._now = now
        self._out = out or say_on_the_machine

    def began(self, phase: str, text: str = "") -> None:
        self._tell(phase, "began", text)

    def note(self, phase: str, text: str) -> None:
        self._tell(phase, "note", text)

    def done(self, phase: str, text: str = "") -> None:
        self._tell(phase, "done", text)

    def failed(self, phase: str, text: str, tail: Sequence[str] = ()) -> None:
        """One sentence, and the last lines of the log that says more."""
        self._tell(phase, "failed", text)
        for line in tail:
            self._write(f"    | {line}")

    @contextmanager
    def phase(self, name: str, text: str = "", *, logs: Sequence[Path] = ()) -> Iterator[None]:
        """A phase from its beginning to its end; a SetupError inside is told and raised again.

        With it goes the end of that one of `logs` that was written last, if any was since the beginning.
        """
        self.began(name, text)
        before_ns = time.time_ns()
        try:
            yield
        except SetupError as error:
            written = [(log.stat().st_mtime_ns, log) for log in logs if log.is_file()]
            newest = max((entry for entry in written if entry[0] >= before_ns), default=None)
            self.failed(name, str(error), last_lines(newest[1]) if newest else ())
            raise
        self.done(name)

    def _tell(self, phase: str, state: State, text: str) -> None:
        assert phase in PHASES
        self._write(str(Line(self._now(), phase, state, " ".join(text.split()))))

    def _write(self, line: str) -> None:
        self._out(line)
        with suppress(OSError):  # a full disk; it has been said
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")


def say_on_the_machine(line: str, container_log: Path = Path("/proc/1/fd/1")) -> None:
    """Print, and on a rented machine write into the container's log too: only process 1 writes there by itself."""
    say(line)
    if not os.environ.get("CONTAINER_ID"):
        return
    with suppress(OSError):
        if not os.path.samestat(os.fstat(1), container_log.stat()):
            with container_log.open("a", encoding="utf-8") as log:
                log.write(f"{line}\n")


def begin_anew(file: Path) -> None:
    """Keep the events of the last starts only as long as they are few."""
    if file.is_file() and file.stat().st_size > MAX_BYTES:
        os.replace(file, file.with_name(f"{file.name}.1"))


def last_lines(log: Path, count: int = TAIL_LINES) -> list[str]:
    """The end of a log; nothing when there is none."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    except OSError:
        return []
