"""How far a fetch is: a ledger of bytes per download, and two ways to show it."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import TransferSpeedColumn as SpeedColumn

PLAIN_INTERVAL_S = 5.0
MIN_SHARE = 0.01
"""Before that the time left is a guess that nobody wants to read."""


class View(Protocol):
    """Shows what a Ledger knows."""

    def update(self, model: str, done_bytes: int, total_bytes: int) -> None: ...

    def say(self, line: str) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Ledger:
    """Counts what is downloaded for each model; a download is known by a name of its own."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._downloads: dict[tuple[str, str], list[int]] = {}
        self._lock = threading.Lock()

    def expect(self, model: str, download: str, total_bytes: int) -> None:
        """Announce a download and its size."""
        self._change(model, download, lambda entry: (entry[0], max(total_bytes, entry[1])))

    def advance(self, model: str, download: str, count: int) -> None:
        """Count bytes; a download whose size was a guess never stands above its total."""
        self._change(model, download, lambda entry: (min(max(entry[0] + count, 0), entry[1]), entry[1]))

    def finish(self, model: str, download: str) -> None:
        self._change(model, download, lambda entry: (entry[1], entry[1]))

    def drop(self, model: str, download: str) -> None:
        """Take a download out of the sum: its source failed."""
        self._change(model, download, lambda entry: (0, 0))

    def _change(self, model: str, download: str, change: Callable[[list[int]], tuple[int, int]]) -> None:
        with self._lock:
            entry = self._downloads.setdefault((model, download), [0, 0])
            entry[:] = change(entry)
            mine = [value for (owner, _), value in self._downloads.items() if owner == model]
            self._view.update(model, sum(done for done, _ in mine), sum(total for _, total in mine))


class BarsView:
    """One bar per model, for a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            SpeedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def update(self, model: str, done_bytes: int, total_bytes: int) -> None:
        if model not in self._tasks:
            self._tasks[model] = self._progress.add_task(model, total=total_bytes)
        self._progress.update(self._tasks[model], completed=done_bytes, total=total_bytes)

    def say(self, line: str) -> None:
        self._console.print(line, highlight=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class LinesView:
    """A line now and then, for a log or a pipe."""

    def __init__(self, write: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._models: dict[str, tuple[int, int]] = {}
        self._began_s: float | None = None
        self._last_s = 0.0

    def update(self, model: str, done_bytes: int, total_bytes: int) -> None:
        self._models[model] = (done_bytes, total_bytes)
        now = self._clock()
        if self._began_s is None:
            self._began_s = self._last_s = now
        if now - self._last_s < PLAIN_INTERVAL_S:
            return
        self._last_s = now
        done = sum(value for value, _ in self._models.values())
        total = sum(value for _, value in self._models.values())
        if not total:
            return
        rate = done / (now - self._began_s)
        share = done / total
        left = f", about {_duration((total - done) / rate)} left" if MIN_SHARE < share < 1 else ""
        self._write(f"  {share:4.0%} of {megabytes(total)}, {rate / 1e6:.1f} MB/s{left}")

    def say(self, line: str) -> None:
        self._write(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def view_for(console: Console) -> View:
    """Bars on a terminal, lines elsewhere."""
    return BarsView(console) if console.is_terminal else LinesView(lambda line: print(line, flush=True))


def megabytes(count: int) -> str:
    """`12 MB` or `1.31 GB`."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB" if count >= 1e6 else "under 1 MB"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
