"""What becomes of one service: when it is started, asked, ended and started again. Pure; the caller owns time.

    waiting ─► starting ─► well ◄─► unwell
       ▲          │          │        │
       │          └──────────┴────┬───┘ ended by itself, or not well for too long
       └── pausing ◄── stopping ◄─┘
    told to end: ─► stopping ─► ended

`next` says what to do at a moment; the caller does it and tells by `started`, `answered` and `gone` what came of it.
"""

import math
import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from peer_remote.services.service import Service

ASK_AT_START_S = 0.25
"""Between questions until a service is well for the first time, so that it is used soon."""
STUCK_STOP_S = 2.0
"""What is stuck gets no longer to end: it will hardly listen, and people wait."""


class State(StrEnum):
    WAITING = "waiting"
    """For the services before it, or to be asked for the first time."""
    STARTING = "starting"
    WELL = "well"
    UNWELL = "unwell"
    """Missed a question."""
    STOPPING = "stopping"
    PAUSING = "pausing"
    ENDED = "ended"


class Deed(StrEnum):
    START = "start"
    ASK = "ask"
    """Put the question of its health, at most one at a time."""
    TERMINATE = "terminate"
    KILL = "kill"
    WAIT = "wait"
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now, or until when there is nothing to do (None: until something happens)."""

    deed: Deed
    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pauses between starts: twice as long after each failure, shorter or longer by chance, so that services that
    fail together are not started together."""

    first_s: float = 0.5
    longest_s: float = 30.0
    jitter: float = 0.2
    """Part of the pause by which it may differ."""
    reset_s: float = 60.0
    """So long without a missed question, and the failures before are forgotten."""
    told_after: int = 3
    """A loop: so many failures in a row are worth a sentence."""

    def pause_s(self, failures: int, chance: float) -> float:
        """After the nth failure in a row; `chance` is in [0, 1)."""
        pause_s = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return pause_s * (1 + self.jitter * (2 * chance - 1))


class Lifecycle:
    """One service's. A service without a command runs elsewhere and is only asked."""

    def __init__(
        self,
        service: Service,
        *,
        now_s: float,
        chance: Callable[[], float],
        backoff: Backoff | None = None,
    ) -> None:
        self.service = service
        self.state = State.WAITING
        self.since_s = now_s
        self.reason = ""
        """Why it is not well, in one sentence without its end."""
        self.starts = 0
        self.failures = 0
        """Ends in a row that nobody wanted."""
        self._backoff = backoff or Backoff()
        self._chance = chance
        self._missed = 0
        self._asking = False
        self._ask_at_s = now_s
        self._pause_until_s = now_s
        self._well_since_s: float | None = None
        self._told_to_end = False
        self._killed = False
        self._kill_after_s = 0.0

    @property
    def restarts(self) -> int:
        return max(0, self.starts - 1)

    @property
    def elsewhere(self) -> bool:
        return not self.service.command

    @property
    def running(self) -> bool:
        return self.state in (State.STARTING, State.WELL, State.UNWELL, State.STOPPING) and not self.elsewhere

    def next(self, now_s: float, *, patience_s: float = 0.0) -> Step:
        """What to do; it waits for the services before it, as long as `patience_s`, which is 0 when they are well."""
        if self._told_to_end:
            return self._to_the_end(now_s)
        if self.elsewhere:
            return self._question(now_s)
        match self.state:
            case State.PAUSING if now_s < self._pause_until_s:
                return Step(Deed.WAIT, self._pause_until_s)
            case State.PAUSING:
                self._become(State.WAITING, now_s)
                return self.next(now_s, patience_s=patience_s)
            case State.WAITING:
                late_s = self.since_s + patience_s
                return Step(Deed.START) if now_s >= late_s else Step(Deed.WAIT, late_s)
            case State.STARTING if now_s >= self.since_s + self.service.start_s:
                self.reason = f"was not well within {self.service.start_s:g} s of its start"
                return self._terminate(now_s)
            case State.STARTING:
                question = self._question(now_s)
                late_s = self.since_s + self.service.start_s
                return Step(question.deed, min(late_s, question.until_s or late_s))
            case State.UNWELL if self._missed >= self.service.health.failures:
                self.reason = f"did not answer {self._missed} times in a row"
                return self._terminate(now_s, STUCK_STOP_S)
            case State.WELL | State.UNWELL:
                return self._question(now_s)
            case State.STOPPING:
                return self._kill_in_time(now_s)
            case State.ENDED:
                return Step(Deed.FINISH)

    def started(self, now_s: float) -> None:
        """Its process runs."""
        self.starts += 1
        self._missed, self._killed, self._well_since_s = 0, False, None
        self._ask_at_s = now_s
        self._become(State.STARTING, now_s)

    def asked(self) -> None:
        """The question is on its way."""
        self._asking = True

    def answered(self, well: bool, now_s: float) -> None:
        """The question was answered, or its time is over."""
        self._asking = False
        first = self.state in (State.STARTING, State.WAITING) and not well
        self._ask_at_s = now_s + (ASK_AT_START_S if first and not self.elsewhere else self.service.health.every_s)
        if self.state not in (State.STARTING, State.WELL, State.UNWELL) and not self.elsewhere:
            return
        if well:
            self._missed = 0
            if self.state is not State.WELL:
                self.reason = ""
                self._well_since_s = now_s
                self._become(State.WELL, now_s)
        elif self.state is not State.STARTING:
            self._missed += 1
            self._well_since_s = None
            if self.state is not State.UNWELL:
                self.reason = "does not answer"
                self._become(State.UNWELL, now_s)

    def gone(self, how: str, now_s: float) -> None:
        """Its process has ended, or could not be started; `how` continues a sentence, such as "ended by SIGKILL"."""
        self._asking = False
        if self._told_to_end:
            self._become(State.ENDED, now_s)
            return
        if self.state is not State.STOPPING:
            self.reason = how
        if self._well_since_s is not None and now_s - self._well_since_s >= self._backoff.reset_s:
            self.failures = 0
        self.failures += 1
        self._well_since_s = None
        self._pause_until_s = now_s + self._backoff.pause_s(self.failures, self._chance())
        self._become(State.PAUSING, now_s)

    def end(self) -> None:
        """Nobody wants it any more."""
        self._told_to_end = True

    @property
    def loops(self) -> bool:
        """Whether it keeps failing."""
        return self.state is not State.WELL and self.failures >= self._backoff.told_after

    @property
    def loops_now(self) -> bool:
        """Whether that has just begun, which is worth a sentence."""
        return self.state is State.PAUSING and self.failures == self._backoff.told_after

    @property
    def settled(self) -> bool:
        """Whether nobody need wait for it: it is well, or keeps failing."""
        return self.state is State.WELL or self.loops

    def pause_s(self, now_s: float) -> float:
        """What is left of the pause."""
        return max(0.0, self._pause_until_s - now_s)

    def _to_the_end(self, now_s: float) -> Step:
        if self.state is State.STOPPING:
            return self._kill_in_time(now_s)
        if self.running:
            return self._terminate(now_s)
        if self.state is not State.ENDED:
            self._become(State.ENDED, now_s)
        return Step(Deed.FINISH)

    def _question(self, now_s: float) -> Step:
        if self._asking:
            return Step(Deed.WAIT)
        return Step(Deed.ASK) if now_s >= self._ask_at_s else Step(Deed.WAIT, self._ask_at_s)

    def _terminate(self, now_s: float, most_s: float = math.inf) -> Step:
        self._kill_after_s = min(most_s, self.service.stop_s)
        self._become(State.STOPPING, now_s)
        return Step(Deed.TERMINATE)

    def _kill_in_time(self, now_s: float) -> Step:
        if self._killed:
            return Step(Deed.WAIT)
        if now_s < self.since_s + self._kill_after_s:
            return Step(Deed.WAIT, self.since_s + self._kill_after_s)
        self._killed = True
        return Step(Deed.KILL)

    def _become(self, state: State, now_s: float) -> None:
        self.state = state
        self.since_s = now_s


def ending(status: int) -> str:
    """How a process ended, to continue a sentence; `status` as subprocess tells it."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"
