"""The engines of a chain: which of them is asked next, and how one that failed comes back.

A member that is down is made, if need be, and tried in the background with a request that nobody waits for; an answer
never pays for that.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Literal, Protocol, TypeVar

from models.chain.aside import AsideThread
from models.chain.breaker import Breaker
from models.chain.health import JobHealth, Note, Reason
from models.errors import EngineFailed, EngineUnavailable, ModelError

logger = logging.getLogger(__name__)

Kind = Literal["llm", "tts", "face"]

TRIAL_S = 60.0
"""The longest that a trial may take; nobody waits for it, and a small machine reads a persona for ten seconds."""
JOBS: Mapping[Kind, str] = {"llm": "language model", "tts": "voice", "face": "face"}
WAITS = 2
"""Interrupted waits in a row that count as a failure."""
CLOSE_S = 5.0
"""How long closing waits for trials, and for engines that are being made, that do not end."""


class Closable(Protocol):
    async def aclose(self) -> None: ...


E = TypeVar("E", bound=Closable)


@dataclass(slots=True, eq=False)
class Member(Generic[E]):
    """One engine of a chain; `make` blocks, raises ModelError, and is called on a thread."""

    name: str
    make: Callable[[], E]
    engine: E | None = None
    breaker: Breaker = field(default_factory=Breaker)
    reason: Reason | None = None
    """Why it is not asked, or was not asked last."""
    given_up: int = 0
    """Requests in a row that nobody had the patience for, though it was not used up."""
    untried: bool = False
    """Made while the chain was at work, and not yet put to the test."""
    mending: asyncio.Task[None] | None = None
    trial: asyncio.Task[None] | None = None
    """The last one; an engine that hangs has only one."""

    @property
    def ready(self) -> bool:
        """Whether requests go to it."""
        return self.engine is not None and not self.untried and self.breaker.closed

    def made(self) -> E:
        """The engine of a member that was made."""
        assert self.engine is not None
        return self.engine


class Members(Generic[E]):
    """The members in their order; at least one is made. `trial` puts an engine to the test."""

    def __init__(
        self,
        kind: Kind,
        members: Sequence[Member[E]],
        *,
        patience_s: float,
        trial: Callable[[E], Awaitable[None]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kind = kind
        self._members = tuple(members)
        self._patience_s = patience_s
        self._trial = trial
        self._sleep = sleep
        self._changed: Callable[[Note | None], None] = lambda note: None
        self._making: list[AsideThread] = []
        self._left: set[asyncio.Task[Any]] = set()
        self._in_use = self._first().name
        self._closed = False

    def watch(self, changed: Callable[[Note | None], None]) -> None:
        """See `Watched`; from now on members that are not made are made in the background."""
        self._changed = changed
        self._make_ahead()

    @property
    def made(self) -> tuple[Member[E], ...]:
        return tuple(member for member in self._members if member.engine is not None)

    def candidates(self) -> list[tuple[Member[E], float | None]]:
        """Whom to ask, in order, and how long to wait for a first sign of life; None is as long as the engine does.

        Those that are down come last: when all are, an answer is still worth a try. Members that are not made are made
        in the background from now on. Raises EngineFailed when closed.
        """
        if self._closed:
            raise EngineFailed("The engine is closed.")
        self._make_ahead()
        asked = [member for member in self.made if member.ready]
        asked += [member for member in self.made if not member.ready]
        last = len(asked) - 1
        return [(member, None if index == last else self._patience_s) for index, member in enumerate(asked)]

    def failed(self, member: Member[E], error: Exception, *, amid: bool = False) -> None:
        """`member` failed with `error`, TimeoutError when it was given up; `amid` an answer that was being given.

        One that is known to be down fails with every beat: that is worth no warning.
        """
        member.reason = _reason(error, amid)
        known = not member.ready
        if not isinstance(error, ModelError | TimeoutError):
            level = logging.DEBUG if known else logging.ERROR
            logger.log(level, "engine_broken", extra={"kind": self._kind, "engine": member.name}, exc_info=error)
        member.breaker.failed(heavy=member.reason != "failed")
        self._failed(member, known=known)

    def interrupted(self, member: Member[E], waited_s: float) -> None:
        """Somebody who had waited for `member`'s first output wants none any more.

        People who speak on while nothing comes must not keep a hung member in place: the second wait in a row of more
        than half the patience counts as one that used it up.
        """
        if len(self.made) == 1 or waited_s < self._patience_s / 2:
            return
        member.given_up += 1
        if member.given_up >= WAITS and member.ready:
            self.failed(member, TimeoutError())

    def told(self, error: Exception) -> Exception:
        """What a caller is told of `error`: the engine's own words, or a sentence about what no engine should do."""
        if isinstance(error, ModelError):
            return error
        what = (
            "has not answered in time; see its log" if isinstance(error, TimeoutError) else "has a fault; see the log"
        )
        return EngineFailed(f"The {JOBS[self._kind]} {what}.")

    def succeeded(self, member: Member[E], *, whole: bool) -> None:
        """`member` gave its first output to somebody who asked, or the `whole` of it."""
        was_ready = member.ready
        member.given_up = 0
        member.breaker.succeeded(whole=whole)
        member.untried = False
        if not was_ready:
            self._settle()

    def health(self) -> JobHealth:
        """Who is asked next."""
        first = self._first()
        state: Literal["ok", "fallback", "down"] = "ok" if first is self._members[0] else "fallback"
        if not first.ready:
            state = "down"
        ill = first if state == "down" else self._members[0]
        return JobHealth(first.name, state, None if state == "ok" else ill.reason)

    def ready(self) -> Mapping[str, bool]:
        """See `Watched`."""
        return {member.name: member.ready for member in self._members}

    def leave(self, task: "asyncio.Task[Any]") -> None:
        """Keep `task`, which is cancelled and may take long to end, until the chain is closed."""
        if not task.done():
            self._left.add(task)
            task.add_done_callback(self._left.discard)

    def work(self, work: Coroutine[Any, Any, None], *, name: str) -> "asyncio.Task[None]":
        """Begin something in the background that ends with the chain."""
        task = asyncio.create_task(work, name=name)
        self._left.add(task)
        task.add_done_callback(self._left.discard)
        return task

    async def aclose(self) -> None:
        """End what goes on in the background, then close all engines."""
        self._closed = True
        for task in list(self._left):
            task.cancel()
        if self._left:
            await asyncio.wait(list(self._left), timeout=CLOSE_S)
        for making in self._making:
            await making.ended(CLOSE_S)
        results = await asyncio.gather(*(member.made().aclose() for member in self.made), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _make_ahead(self) -> None:
        for member in self._members:
            if not member.ready:
                self._mend(member)

    def _first(self) -> Member[E]:
        made = self.made
        if not made:
            raise EngineUnavailable(f"None of the {self._kind} engines could be made.")
        return next((member for member in made if member.ready), made[0])

    def _failed(self, member: Member[E], *, known: bool = False) -> None:
        assert member.reason is not None
        level = logging.DEBUG if known else logging.WARNING
        logger.log(level, "engine_failed", extra={"kind": self._kind, "engine": member.name, "reason": member.reason})
        self._changed(Note("failed", member.name, member.reason))
        self._settle()
        if not member.ready:
            self._mend(member)

    def _settle(self) -> None:
        """Note who does the job from now on."""
        first = self._first()
        if first.ready and first.name != self._in_use:
            health = self.health()
            reason = health.reason or "recovered"
            logger.warning("engine_switched", extra={"kind": self._kind, "engine": first.name, "reason": reason})
            self._in_use = first.name
            self._changed(Note("switched", first.name, reason))
        else:
            self._changed(None)

    def _mend(self, member: Member[E]) -> None:
        if member.mending is None or member.mending.done():
            member.mending = self.work(self._mended(member), name=f"{self._kind} {member.name} mending")

    async def _mended(self, member: Member[E]) -> None:
        """Try `member` until it is well. A trial that fails as the last one did is worth no warning."""
        while not member.ready:
            if member.breaker.state == "open":
                await self._sleep(member.breaker.wait_s())
                if not member.breaker.begin_trial():
                    continue
            try:
                if member.engine is None:
                    await self._make(member)
                await self._test(member)
            except Exception as error:
                reason: Reason = "unavailable" if member.engine is None else _reason(error, False)
                known = reason == member.reason
                if not isinstance(error, ModelError | TimeoutError):
                    level = logging.DEBUG if known else logging.ERROR
                    extra = {"kind": self._kind, "engine": member.name}
                    logger.log(level, "engine_broken", extra=extra, exc_info=error)
                member.reason = reason
                member.breaker.failed(heavy=True)
                self._failed(member, known=known)
            else:
                member.untried = False
                member.breaker.passed()
                self._settle()

    async def _make(self, member: Member[E]) -> None:
        making = AsideThread(partial(_make, member), name=f"{self._kind}-chain-{member.name}")
        self._making = [*(one for one in self._making if one.running), making]
        await making.done()

    async def _test(self, member: Member[E]) -> None:
        """Put a member to the test, without ever waiting for one that hangs."""

        async def trial() -> None:
            await self._trial(member.made())

        if member.trial is not None and not member.trial.done():
            raise TimeoutError
        member.trial = self.work(trial(), name=f"{self._kind} {member.name} trial")
        done, _ = await asyncio.wait((member.trial,), timeout=TRIAL_S)
        if not done:
            member.trial.cancel()
            raise TimeoutError
        member.trial.result()


def _make(member: Member[E]) -> None:
    """On a thread; an engine that is made while the chain is being closed is closed as well."""
    engine = member.make()
    member.untried = True
    member.engine = engine


def _reason(error: Exception, amid: bool) -> Reason:
    if isinstance(error, TimeoutError):
        return "too_slow"
    if not isinstance(error, ModelError):
        return "internal_error"
    return "broke_off" if amid else "failed"
