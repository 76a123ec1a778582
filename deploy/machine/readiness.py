"""Waits for the services of a machine, phase by phase, and says which one is in the way."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from deploy.machine.progress import Progress
from deploy.machine.services import ENGINES, WATCHDOG
from deploy.machine.supervisord import Program
from peer_remote.services.service import Health, Service

POLL_S: Final = 0.5
STARTS_ALLOWED: Final = 3
"""A service that was started so often within one wait will not get well by itself."""
REPORT_S: Final = 30.0
PERFORMER_S: Final = 420.0
"""Engines that connect to servers wait for these, read weights from a slow disk, and speak the first openings."""


class NotReady(Exception):
    """The machine is not ready and will not be; one sentence."""

    def __init__(self, phase: str, sentence: str, service: str | None) -> None:
        super().__init__(sentence)
        self.phase = phase
        self.service = service
        """Whose log says more."""


@dataclass
class StartCount:
    """How often supervisord started each program while we looked."""

    seen: dict[str, set[int]] = field(default_factory=dict)

    def look(self, programs: Mapping[str, Program]) -> str | None:
        """Note what runs now; the name of a program that is started again and again."""
        for name, program in programs.items():
            starts = self.seen.setdefault(name, set())
            if program.started_at:
                starts.add(program.started_at)
            if len(starts) > STARTS_ALLOWED or program.state == "FATAL":
                return name
        return None


def wait_until_ready(
    services: Sequence[Service],
    *,
    well: Callable[[Health], bool],
    performs: Callable[[], bool],
    programs: Callable[[], Mapping[str, Program]],
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Seconds until everything was well. Raises NotReady; OSError when supervisord is gone."""
    began_s = clock()
    counts = StartCount()
    engines = [service for service in services if service.name in ENGINES]
    others = [service for service in services if service.name not in (*ENGINES, WATCHDOG)]

    def wait(phase: str, what: Sequence[tuple[str, Callable[[], bool]]], limit_s: float) -> None:
        phase_began_s = reported_s = clock()
        waiting = list(what)
        while waiting := [(name, ready) for name, ready in waiting if not ready()]:
            now_s = clock()
            names = ", ".join(name for name, _ in waiting)
            if (name := counts.look(programs())) is not None:
                raise NotReady(phase, f"The service {name} ends again and again; the end of its log says why.", name)
            if now_s - phase_began_s > limit_s:
                raise NotReady(phase, f"{names}: not well within {limit_s:.0f} s; the log says why.", waiting[0][0])
            if now_s - reported_s >= REPORT_S:
                reported_s = now_s
                progress.note(phase, f"waiting for {names}, {now_s - phase_began_s:.0f} s")
            sleep(POLL_S)

    def question(service: Service) -> tuple[str, Callable[[], bool]]:
        return service.name, lambda: well(service.health)

    progress.began("compile")
    wait("compile", [question(one) for one in engines], max((one.start_s for one in engines), default=0.0))
    progress.done("compile", ", ".join(one.name for one in engines) or "the engines are in the double's own process")
    progress.began("warm-up")
    wait("warm-up", [*(question(one) for one in others), ("performer", performs)], PERFORMER_S)
    progress.done("warm-up")
    return clock() - began_s
