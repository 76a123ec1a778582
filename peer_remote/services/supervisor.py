"""Keeps services running: does what their lifecycles say, a task for each, until it is told to end.

Whoever comes after a service is started when that is well and ended before it. A service that is started again leaves
the others alone: their clients connect anew.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from peer_remote.services.lifecycle import Backoff, Deed, Lifecycle, State, ending
from peer_remote.services.probes import is_well
from peer_remote.services.processes import Child
from peer_remote.services.service import KILLED_WITHIN_S, Health, Service

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """What can be told about a service."""

    name: str
    state: State
    here: bool
    """Whether it is started on this machine by us."""
    address: str
    pid: int | None
    restarts: int
    in_state_s: float
    reason: str


class _Kept:
    """One service with its process."""

    def __init__(self, life: Lifecycle) -> None:
        self.life = life
        self.child: Child | None = None
        self.exit: asyncio.Task[int] | None = None
        self.question: asyncio.Task[bool] | None = None
        self.changed = asyncio.Event()


class Supervisor:
    """`start` starts the process of a service; it raises OSError when that cannot be done."""

    def __init__(
        self,
        services: Iterable[Service],
        *,
        start: Callable[[Service], Awaitable[Child]],
        ask: Callable[[Health], Coroutine[Any, Any, bool]] = is_well,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        backoff: Backoff | None = None,
    ) -> None:
        self._start = start
        self._ask = ask
        self._clock = clock
        self._ending = False
        self._kept = {
            service.name: _Kept(Lifecycle(service, now_s=clock(), chance=chance, backoff=backoff))
            for service in services
        }

    async def run(self) -> None:
        """Returns when all have ended; cancelled, it ends them by force."""
        async with asyncio.TaskGroup() as keeping:
            for name, kept in self._kept.items():
                keeping.create_task(self._keep(kept), name=f"service-{name}")

    def end(self) -> None:
        """Let all of them end, the performer first."""
        self._ending = True
        self._wake()

    def statuses(self) -> tuple[Status, ...]:
        now_s = self._clock()
        return tuple(
            Status(
                name,
                kept.life.state,
                not kept.life.elsewhere,
                kept.life.service.address,
                kept.child.pid if kept.child is not None else None,
                kept.life.restarts,
                now_s - kept.life.since_s,
                kept.life.reason,
            )
            for name, kept in self._kept.items()
        )

    async def _keep(self, kept: _Kept) -> None:
        life = kept.life
        try:
            while True:
                kept.changed.clear()
                if self._ending and (
                    not life.running or all(other.state is State.ENDED for other in self._after(life))
                ):
                    life.end()
                before = life.state
                now_s = self._clock()
                step = life.next(now_s, patience_s=self._patience_s(life))
                match step.deed:
                    case Deed.FINISH:
                        self._wake()
                        return
                    case Deed.START:
                        await self._begin(kept)
                    case Deed.ASK:
                        life.asked()
                        kept.question = asyncio.create_task(
                            self._ask(life.service.health), name=f"health-{life.service.name}"
                        )
                    case Deed.TERMINATE:
                        self._tell(life, before, now_s)
                        if kept.child is not None:
                            kept.child.terminate()
                    case Deed.KILL:
                        logger.warning("service_killed", extra={"service": life.service.name})
                        if kept.child is not None:
                            kept.child.kill()
                    case Deed.WAIT:
                        await self._rest(kept, step.until_s)
        finally:
            await self._let_go(kept)

    async def _begin(self, kept: _Kept) -> None:
        life = kept.life
        if missing := self._missing(life):
            logger.warning("service_started_without", extra={"service": life.service.name, "missing": missing})
        try:
            kept.child = await self._start(life.service)
        except OSError as error:
            self._gone(life, f"cannot be started: {error.strerror or error}")
            return
        life.started(self._clock())
        name = life.service.name
        kept.exit = asyncio.create_task(kept.child.wait(), name=f"exit-{name}")
        logger.info("service_started", extra={"service": name, "pid": kept.child.pid, "restarts": life.restarts})

    async def _rest(self, kept: _Kept, until_s: float | None) -> None:
        """Wait until there is something to do, and take what came."""
        wake = asyncio.create_task(kept.changed.wait(), name=f"wake-{kept.life.service.name}")
        waited = {task for task in (kept.exit, kept.question, wake) if task is not None}
        timeout_s = None if until_s is None else max(0.0, until_s - self._clock())
        try:
            await asyncio.wait(waited, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wake.cancel()
        life, now_s = kept.life, self._clock()
        if kept.exit is not None and kept.exit.done():
            status = kept.exit.result()
            kept.child = kept.exit = None
            if kept.question is not None:
                kept.question.cancel()
                kept.question = None
            self._gone(life, ending(status))
        elif kept.question is not None and kept.question.done():
            well, kept.question = kept.question.result(), None
            before, since_s = life.state, life.since_s
            life.answered(well, now_s)
            self._tell(life, before, since_s)

    def _gone(self, life: Lifecycle, how: str) -> None:
        now_s = self._clock()
        life.gone(how, now_s)
        name = life.service.name
        if life.state is State.ENDED:
            logger.info("service_ended", extra={"service": name})
        else:
            again = {"service": name, "reason": f"{name} {life.reason}", "again_in_s": round(life.pause_s(now_s), 1)}
            logger.warning("service_failed", extra=again)
            if life.loops_now:
                sentence = (
                    f"{name} failed {life.failures} times in a row and is tried again and again; it {life.reason}, "
                    f"and the end of {name}.log says why."
                )
                logger.error("service_keeps_failing", extra={"service": name, "reason": sentence})
        self._wake()

    def _tell(self, life: Lifecycle, before: State, since_s: float) -> None:
        if life.state is before:
            return
        values = {"service": life.service.name}
        if life.state is State.WELL:
            logger.info("service_well", extra={**values, "after_s": round(self._clock() - since_s, 1)})
        elif life.state is State.UNWELL:
            logger.warning("service_unwell", extra={**values, "reason": f"{life.service.name} {life.reason}"})
        elif life.state is State.STOPPING:
            logger.info("service_stopping", extra={**values, "reason": life.reason or "told to end"})
        self._wake()

    def _missing(self, life: Lifecycle) -> list[str]:
        """Those before `life`'s service that it still waits for."""
        return [name for name in life.service.after if name in self._kept and not self._kept[name].life.settled]

    def _patience_s(self, life: Lifecycle) -> float:
        return max((self._kept[name].life.service.start_s for name in self._missing(life)), default=0.0)

    def _after(self, life: Lifecycle) -> list[Lifecycle]:
        """Those that come after `life`'s service."""
        return [kept.life for kept in self._kept.values() if life.service.name in kept.life.service.after]

    def _wake(self) -> None:
        for kept in self._kept.values():
            kept.changed.set()

    async def _let_go(self, kept: _Kept) -> None:
        """What is left when its task ends, which is nothing but when it is cancelled."""
        if kept.question is not None:
            kept.question.cancel()
        if kept.child is not None and kept.exit is not None:
            kept.child.kill()
            await asyncio.wait({kept.exit}, timeout=KILLED_WITHIN_S)
            kept.exit.cancel()


def health_page(statuses: Iterable[Status]) -> Mapping[str, object]:
    """What /healthz says: `well` is whether all are."""
    listed = [
        {
            "name": status.name,
            "state": status.state.value,
            "here": status.here,
            "address": status.address,
            "pid": status.pid,
            "restarts": status.restarts,
            "in_state_s": round(status.in_state_s, 1),
            "reason": status.reason,
        }
        for status in statuses
    ]
    return {"well": all(entry["state"] == State.WELL for entry in listed), "services": listed}
