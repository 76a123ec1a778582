"""Ends the machine in time, from the inside: looks every few seconds, warns, and at the end destroys or stops.

The performer's metrics say who is connected and how many turns there were. A warning is a line in a file that the
performer reads and tells everybody who is connected (UNDERSTUDY_REMOTE__NOTICE_FILE).
"""

import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from deploy.machine.curfew import WHY, Curfew, Limits, Sight, Verdict, sentence
from deploy.machine.keys import write_private
from deploy.machine.settings import MachineSettings

logger = logging.getLogger(__name__)

LOOK_S: Final = 10.0
SOONEST_S: Final = 1.0
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


class Watchdog:
    """Call `look` again and again; it says how long to wait until the next time, or None when all is done."""

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
        if self._at_end == "nothing":
            return LOOK_S
        if not verdict.over:
            return LOOK_S if verdict.left_s is None else min(LOOK_S, max(SOONEST_S, verdict.left_s))
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
            try:
                self._tell(text)
            except OSError:  # a full disk: the end comes all the same
                logger.exception("end_not_announced")
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
