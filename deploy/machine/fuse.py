"""The last resort against a bill: `python -m deploy.machine.fuse`, begun by onstart.sh before anything can fail.

A start that never gets as far as the watchdog, on a machine whose renter's laptop is gone, would cost money until
somebody looks. The fuse gives such a machine back, and one whose watchdog did not at the longest time. Standard library
only; it does nothing on a machine that is not rented.
"""

import fcntl
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.machine.age import age_s, birth_of_first_process, can_be_destroyed
from deploy.machine.progress import parse_line
from deploy.vast.wire import destroy_self

LOOK_S: Final = 30.0
GRACE_S: Final = 600.0
"""How long after the longest time the watchdog has to end the machine itself."""
START_MINUTES: Final = 120.0
PREFIX: Final = "UNDERSTUDY_MACHINE__"


@dataclass(frozen=True, slots=True)
class Fuse:
    """In seconds of the machine's age; 0 means never."""

    start_s: float
    """A machine that is not ready by then is given back."""
    max_s: float
    """The longest time, after which the watchdog ends it; the fuse some minutes later."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Fuse | None":
        """By the machine's settings; None where nothing is to be destroyed. Numbers that are none count as not set."""
        if environment.get(f"{PREFIX}AT_END", "").lower() != "destroy" or not can_be_destroyed(environment):
            return None
        minutes = _number(environment.get(f"{PREFIX}START_MINUTES"), START_MINUTES)
        return cls(minutes * 60, _number(environment.get(f"{PREFIX}MAX_HOURS"), 0.0) * 3600)

    def blows(self, age_s: float, *, ready: bool) -> bool:
        """Whether the machine is to be given back now."""
        if self.max_s and age_s >= self.max_s + GRACE_S:
            return True
        return bool(self.start_s) and not ready and age_s >= self.start_s


def was_ready(progress: Path, since_s: float) -> bool:
    """Whether a start that began after `since_s`, Unix time, has ended well."""
    try:
        lines = progress.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    events = [line for line in map(parse_line, lines) if line is not None]
    return any((line.phase, line.state) == ("ready", "done") and line.at.timestamp() >= since_s - 1 for line in events)


def watch(
    fuse: Fuse,
    *,
    age: Callable[[], float],
    ready: Callable[[], bool],
    destroy: Callable[[], bool],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when the machine has been given back."""
    while not (fuse.blows(age(), ready=ready()) and destroy()):
        sleep(LOOK_S)


def steady_age(age: Callable[[], float], *, clock: Callable[[], float] = time.monotonic) -> Callable[[], float]:
    """`age` by Unix time, or what has passed since this call where that is more: a clock may be put right later."""
    began_s = clock() - age()
    return lambda: max(age(), clock() - began_s)


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Watch until the end of the machine; 0 at once where there is nothing to watch or another fuse does."""
    fuse = Fuse.read(environment)
    directory = Path(environment.get(f"{PREFIX}DIR", ""))
    if fuse is None or not directory.is_absolute():
        return 0
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "fuse.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return 0
        birth = birth_of_first_process()

        def age() -> float:
            return age_s(directory / "began", now_s=time.time(), birth=birth)

        began_s = time.time() - age()
        watch(
            fuse,
            age=steady_age(age),
            ready=lambda: was_ready(directory / "progress", began_s),
            destroy=lambda: destroy_self(environment),
        )
    return 0


def _number(text: str | None, otherwise: float) -> float:
    try:
        return max(0.0, float(text)) if text else otherwise
    except ValueError:
        return otherwise


if __name__ == "__main__":
    sys.exit(main())
