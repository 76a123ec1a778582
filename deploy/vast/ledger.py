"""What was rented, for how long and for how much: a file that the caps are computed from, whoever ended the rental.

An entry is written before the rent is sent, so that also a program that is killed at that moment leaves a trace.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from deploy.vast.instance import Instance
from models.weights.exclusive import exclusive

P = ParamSpec("P")

SECONDS_PER_HOUR = 3_600.0
KEPT = 1_000
"""Entries; the oldest ones go."""


class LedgerError(Exception):
    """The ledger cannot be read or written; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One stretch of time at one price. Times are seconds since 1970."""

    label: str
    instance: int | None
    """None while it is not known whether the rent came about."""
    gpu: str
    usd_per_hour: float
    began_s: float
    longest_s: float
    """The machine destroys itself after so long, seen or not."""
    ended_s: float | None = None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "Entry":
        """A row of the file. Raises TypeError and ValueError for one that was not written by `Ledger`."""
        entry = cls(**row)
        numbers = (entry.usd_per_hour, entry.began_s, entry.longest_s, entry.ended_s or 0.0)
        if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
            raise TypeError("a price and times are numbers")
        if not all(map(math.isfinite, numbers)):
            raise ValueError("a price and times are finite")
        return entry

    def seconds(self, since_s: float, now_s: float) -> float:
        """How much of it lies between the two moments."""
        ended_s = self.ended_s if self.ended_s is not None else min(now_s, self.began_s + self.longest_s)
        return max(0.0, min(ended_s, now_s) - max(self.began_s, since_s))

    def usd(self, since_s: float, now_s: float) -> float:
        return self.usd_per_hour * self.seconds(since_s, now_s) / SECONDS_PER_HOUR


def _alone(change: Callable[Concatenate["Ledger", P], None]) -> Callable[Concatenate["Ledger", P], None]:
    """Let one program at a time read and write the file."""

    def changed(ledger: "Ledger", /, *arguments: P.args, **named: P.kwargs) -> None:
        with ledger.held():
            change(ledger, *arguments, **named)

    return changed


class Ledger:
    """The file `ledger.json` in the rental's folder."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._file = folder / "ledger.json"
        self._now = now

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other programs from changing it. Raises LedgerError."""
        with ExitStack() as held:
            try:
                held.enter_context(exclusive(self._file.with_suffix(".lock"), on_wait=lambda: None, poll_s=0.02))
            except OSError as error:
                raise LedgerError(f"{self._file} cannot be written: {error.strerror}.") from None
            yield

    def entries(self) -> list[Entry]:
        """Oldest first. Raises LedgerError."""
        try:
            rows = json.loads(self._file.read_text(encoding="utf-8"))["entries"]
            return [Entry.read(row) for row in rows]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError):
            raise LedgerError(
                f"{self._file} cannot be read, and without it nobody knows what was spent; repair it or move it away."
            ) from None

    @_alone
    def begin(self, label: str, gpu: str, usd_per_hour: float, longest_s: float, instance: int | None = None) -> None:
        """A rent is about to be sent, or an instance goes on at another price."""
        self._write([*self.entries(), Entry(label, instance, gpu, usd_per_hour, self._now(), longest_s)])

    @_alone
    def bind(self, label: str, instance: int) -> None:
        """The newest entry of the label turned out to be this instance."""
        entries = self.entries()
        for place in reversed(range(len(entries))):
            if entries[place].label == label and entries[place].instance is None:
                entries[place] = replace(entries[place], instance=instance)
                self._write(entries)
                return

    @_alone
    def end_unrented(self, label: str) -> None:
        """The rent did not come about, so it costs nothing."""
        self._write([entry for entry in self.entries() if not (entry.label == label and entry.instance is None)])

    @_alone
    def end(self, instance: int) -> None:
        self._change(lambda entry: entry.instance == instance and entry.ended_s is None, ended_s=self._now())

    @_alone
    def reconcile(self, listed: Iterable[Instance]) -> None:
        """Close what is not rented any more, and take in what carries our label and was rented elsewhere.

        What was closed and is listed goes on: a listing can lag behind the rent.
        """
        now_s = self._now()
        rented = {instance.id: instance for instance in listed}
        entries = [
            replace(entry, ended_s=min(now_s, entry.began_s + entry.longest_s))
            if entry.ended_s is None and entry.instance not in rented
            else entry
            for entry in self.entries()
        ]
        goes_on = {entry.instance for entry in entries if entry.ended_s is None}
        for place in reversed(range(len(entries))):
            if entries[place].instance in rented and entries[place].instance not in goes_on:
                goes_on.add(entries[place].instance)
                entries[place] = replace(entries[place], ended_s=None)
        known = {entry.instance for entry in entries}
        entries += [
            Entry(one.label, one.id, one.gpu, one.usd_per_hour, one.began_s or now_s, float("1e9"))
            for one in rented.values()
            if one.id not in known
        ]
        self._write(entries)

    @_alone
    def settle(self, label: str, alive: frozenset[int] | None) -> None:
        """A rental has ended: of its label only `alive` may go on costing money; None says that this is not known."""
        if alive is None:
            return
        now_s = self._now()
        entries = [entry for entry in self.entries() if not (entry.label == label and entry.instance is None)]
        self._write(
            [
                replace(entry, ended_s=now_s)
                if entry.label == label and entry.ended_s is None and entry.instance not in alive
                else entry
                for entry in entries
            ]
        )

    def spent_usd(self, since_s: float) -> float:
        now_s = self._now()
        return sum(entry.usd(since_s, now_s) for entry in self.entries())

    def spent_this_month_usd(self) -> float:
        return self.spent_usd(month_began_s(self._now()))

    def _change(self, which: Callable[[Entry], bool], **values: float | int) -> None:
        self._write([replace(entry, **values) if which(entry) else entry for entry in self.entries()])  # type: ignore[arg-type]

    def _write(self, entries: list[Entry]) -> None:
        content: Mapping[str, object] = {"entries": [asdict(entry) for entry in entries[-KEPT:]]}
        try:
            write_private(self._file, json.dumps(content, indent=1) + "\n")
        except OSError as error:
            raise LedgerError(f"{self._file} cannot be written: {error.strerror}.") from None


def month_began_s(now_s: float) -> float:
    """The first moment of the calendar month, UTC."""
    return datetime.fromtimestamp(now_s, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()


def too_dear(spent_usd: float, usd_per_hour: float, max_hours: float, max_usd_per_month: float) -> str | None:
    """Why nothing is rented at this price any more in this month, or None."""
    coming_usd = usd_per_hour * max_hours
    if spent_usd + coming_usd <= max_usd_per_month:
        return None
    return (
        f"${spent_usd:.2f} were spent this month and ${usd_per_hour:.2f} per hour for up to {max_hours:g} h are "
        f"${coming_usd:.2f} more, above the ${max_usd_per_month:.2f} of UNDERSTUDY_DEPLOY__MAX_USD_PER_MONTH; raise it "
        "or lower UNDERSTUDY_DEPLOY__MAX_HOURS."
    )


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as output:
            output.write(text)
        os.replace(draft, file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
