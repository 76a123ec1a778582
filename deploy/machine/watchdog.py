"""Ends the machine in time, from the inside: looks every few seconds, warns, and at the end destroys or stops.

The performer's metrics say who is connected and how many turns there were. A warning is a line in a file that the
performer reads and tells everybody who is connected (UNDERSTUDY_REMOTE__NOTICE_FILE).
"""

import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

from deploy.machine.curfew import WHY, Curfew, Limits, Sight, Verdict, sentence
from deploy.machine.keys import write_private
from deploy.machine.settings import MachineSettings

logger = logging.getLogger(__name__)

LOOK_S: Final = 10.0
RETRY_S: Final = 60.0
"""Between tries to give the machine back; it costs money until one succeeds, so they never end."""
_SAMPLE = re.compile(r"^(understudy_viewers|understudy_turns_total)(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)


def limits_of(settings: MachineSettings) -> Limits:
    """The settings in seconds."""
    idle_s = settings.idle_minutes * 60
    return Limits(
        max_s=settings.max_hours * 3600,
        idle_s=idle_s,
        silent_s=settings.silent_minutes * 60 or 3 * idle_s,
        warn_s=settings.warn_minutes * 60,
    )


def read_sight(metrics: bytes | None) -> Sight | None:
    """What the performer's metrics tell, or None when there are none."""
    found = _SAMPLE.findall((metrics or b"").decode(errors="replace"))
    viewers = [float(value) for name, value in found if name == "understudy_viewers"]
    if not viewers:
        return None
    return Sight(int(viewers[0]), sum(float(value) for name, value in found if name == "understudy_turns_total"))


def age_s(file: Path, *, now_s: float, birth: str) -> float:
    """How long this machine has run, by Unix time; the first look of a container's life notes when it began.

    `birth` tells one life from the next: a machine that was stopped and started again has its whole time once more, one
    whose watchdog was killed has not.
    """
    try:
        noted, _, began = file.read_text().strip().partition(" ")
        if noted == birth:
            return max(0.0, now_s - float(began))
    except (OSError, ValueError):
        pass
    write_private(file, f"{birth} {now_s:.0f}\n")
    return 0.0


def birth_of_first_process(proc: Path = Path("/proc")) -> str:
    """When process 1 was started, in ticks since the host's boot, with that boot's own number."""
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{(proc / '1/stat').read_text().rpartition(')')[2].split()[19]}"
    except (OSError, IndexError):
        return "unknown"


class Watchdog:
    """Call `look` every LOOK_S seconds; it says how long to wait until the next time, or None when all is done."""

    def __init__(
        self,
        curfew: Curfew,
        *,
        at_end: Literal["nothing", "stop", "destroy"],
        sight: Callable[[], Sight | None],
        tell: Callable[[str | None], None],
        stop: Callable[[], None],
        destroy: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._curfew = curfew
        self._at_end = at_end
        self._sight = sight
        self._tell = tell
        self._stop = stop
        self._destroy = destroy
        self._clock = clock
        self._told: str | None = None

    def look(self) -> float | None:
        """See, warn, and end the machine when its time has come."""
        verdict = self._curfew.look(self._sight(), self._clock())
        self._warn(verdict)
        if not verdict.over or self._at_end == "nothing":
            return LOOK_S
        assert verdict.reason is not None
        logger.warning("machine_ends", extra={"reason": WHY[verdict.reason], "how": self._at_end})
        if self._at_end == "destroy":
            if not self._destroy():
                logger.error("machine_not_destroyed", extra={"again_in_s": RETRY_S})
                return RETRY_S
            return None
        self._stop()
        return None

    def _warn(self, verdict: Verdict) -> None:
        text = sentence(verdict)
        if text != self._told:
            left_s = None if text is None or verdict.left_s is None else round(verdict.left_s)
            logger.info("end_announced" if text else "end_taken_back", extra={"left_s": left_s})
            self._tell(text)
            self._told = text


def watch(watchdog: Watchdog, sleep: Callable[[float], None] = time.sleep) -> None:
    """Look until the machine has ended."""
    while (wait_s := watchdog.look()) is not None:
        sleep(wait_s)


def notice_teller(file: Path) -> Callable[[str | None], None]:
    """Writes the warning where the performer reads it; None takes it away."""

    def tell(text: str | None) -> None:
        if text is None:
            file.unlink(missing_ok=True)
        else:
            write_private(file, f"{text}\n")

    return tell


def can_be_destroyed(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a rented machine that may give itself back."""
    return bool(environment.get("CONTAINER_ID") and environment.get("CONTAINER_API_KEY"))
