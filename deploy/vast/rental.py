"""The life of one rental, without any I/O: offers in, a double that answers or nothing rented out.

    renting ─► waiting ─► checking ─► closing ─► ready
      │  ▲        │           │          (nothing else carries the label)
      │  │        └─ fails ───┴──► removing ─┬─ proved, offers left ─► renting
      ▼  │ nothing appears          ▲        └─ proved, or given up ─► ended
    settling ─ it appears ─► waiting│
    (no answer)        Ctrl-C, anywhere

Whoever drives it does what `next` says and tells `on` what came of it; `interrupt` may come at any moment. Times are
seconds of any one clock. Once it is done, either one instance is ready, or nothing that carries the label is left, or
`outcome.left` names what may be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from deploy.vast.instance import Instance
from deploy.vast.offers import Offer
from deploy.vast.removal import Left, Removal
from deploy.vast.steps import (
    Check,
    Destroy,
    Destroyed,
    Done,
    Event,
    Heard,
    Listen,
    Look,
    NotDestroyed,
    NotPassed,
    Passed,
    Pause,
    Refused,
    Rent,
    Rented,
    Seen,
    Step,
    Unanswered,
    Unseen,
)

LOOK_S = 5.0
LISTEN_S = 10.0
SETTLE_S = 45.0
"""How long a rent whose answer was lost may take to appear; longer than any request is open."""
SETTLE_LOOKS = 2
"""So many listings after that must show nothing."""
BLIND_S = 240.0
"""So long without a listing after such a rent, and it is given up."""
ABSENT_S, ABSENT_LOOKS = 30.0, 3
"""An instance that is not listed for so long is gone."""
PORTS_S = 60.0
"""A running container has its ports by then."""
PRICES_DIFFER = 1.05
"""What is rented may cost so much more than its offer, whose disk is counted otherwise."""
PATIENCE = 3
"""So many interruptions, and not even the proof is waited for."""
STOPPED = "You stopped it."

Stage = Literal["renting", "settling", "waiting", "checking", "closing", "removing", "ended"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a host may take for each part, and how many hosts are tried."""

    tries: int = 3
    schedule_s: float = 180.0
    loading_s: float = 900.0
    silent_s: float = 600.0
    setup_s: float = 2_700.0
    max_usd_per_hour: float = math.inf
    hopeless_s: float = 20.0
    """How long a host may say that nothing will come of it; some say so for a moment and then go on."""


@dataclass(frozen=True, slots=True)
class Try:
    """One host that was rented, or may have been, and why it was given up."""

    offer: Offer
    instance: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rental ended."""

    kind: Literal["ready", "failed", "interrupted"]
    reason: str = ""
    instance: Instance | None = None
    left: Left | None = None
    """What may still be rented although it should not, or what was kept on request."""


class Rental:
    """One run of `up`."""

    def __init__(
        self, offers: Sequence[Offer], now_s: float, *, signaling_port: int, limits: Limits, keep: bool = False
    ) -> None:
        self._offers = list(offers)
        self._limits = limits
        self._port = signaling_port
        self._keep = keep
        self._interruptions = 0
        self._sent = 0
        """Rents that were not certainly without effect, and are not proved to be gone."""
        self._unsure_until_s = 0.0
        """A rent without an answer may appear until then; 0 when there is none."""
        self._removal: Removal | None = None
        self._ending: Outcome | None = None
        """How it ends once the removal is through; None when the next host is tried then."""
        self._given_up_for_lost = False
        """Whether a rent without an answer was taken for one that did not come about."""
        self._why = ""
        """Why the last rent did not come about."""
        self._extras: dict[int, float] = {}
        """Instances that carry the label beside the one that is waited for → when to destroy them."""
        self._unproved: set[int] = set()
        """Of those, the ones whose end was accepted and not seen yet."""
        self.stage: Stage = "renting"
        self.since_s = now_s
        """When the stage, or the part of it that `phase` names, began."""
        self.phase = "renting"
        self.note = ""
        """What the host or the instance says at the moment."""
        self.offer: Offer | None = None
        self.instance: Instance | None = None
        self.tries: list[Try] = []
        self.timeline: list[tuple[str, float]] = [("renting", now_s)]
        """What began when."""
        self.outcome: Outcome | None = None
        self._reset(now_s)

    def _reset(self, now_s: float) -> None:
        self._id: int | None = None
        self.instance = None
        self._rented_s = now_s
        self._loading_s: float | None = None
        self._running_s: float | None = None
        self._alive_s = now_s
        self._said = 0
        self._look_s = now_s
        self._listen_s = now_s
        self._absent: tuple[float, int] | None = None
        self._hopeless_s: float | None = None
        self._settled = 0

    def next(self, now_s: float) -> Step:
        """What to do now."""
        match self.stage:
            case "ended":
                return Done()
            case "removing":
                return self._next_removal(now_s)
            case "renting":
                return self._next_rent(now_s)
            case "settling":
                return self._next_settling(now_s)
            case "waiting":
                return self._next_waiting(now_s)
            case "checking":
                assert self.instance is not None
                return self._extra(now_s) or Check(self.instance)
            case "closing":
                return self._next_closing(now_s)

    def on(self, event: Event, now_s: float) -> None:
        """What came of the last step."""
        if self.stage == "removing":
            assert self._removal is not None
            self._removal.on(event, now_s)
            self.note = event.reason if isinstance(event, NotDestroyed | Unseen) else ""
            return
        match event:
            case Rented(instance):
                self._id = instance
                self._rented_s = self._alive_s = now_s
                self._enter("waiting", now_s)
            case Refused(reason, final):
                self._sent -= 1
                self._why = reason
                if final:
                    self._end("failed", reason, now_s)
                else:
                    self._enter("renting", now_s)
            case Unanswered(reason):
                self._unsure_until_s = now_s + SETTLE_S
                self._rented_s = now_s
                self._enter("settling", now_s)
                self.note = self._why = reason
            case Seen(instances):
                self._see(instances, now_s)
            case Unseen(reason):
                self.note = reason
                self._look_s = now_s + LOOK_S
            case Heard():
                self._hear(event, now_s)
            case Passed():
                self._enter("closing", now_s)
                self._look_s = now_s
            case NotPassed(reason):
                self._lose(reason, now_s)
            case Destroyed(instance):
                self._extras.pop(instance, None)
                self._unproved.add(instance)
            case NotDestroyed(instance, reason):
                self._extras[instance] = now_s + LOOK_S
                self.note = reason

    def interrupt(self, now_s: float) -> None:
        """The user wants to end: what is rented is destroyed, and the third time not even that is waited for."""
        self._interruptions += 1
        if self.stage == "ended":
            return
        if self._removal is not None:
            self._ending = self._ending or Outcome("interrupted", STOPPED)
            if self._interruptions >= PATIENCE:
                self._removal.give_up("you did not want to wait for the proof")
            return
        self._end("interrupted", STOPPED, now_s)

    # One method per stage: what is done in it, and when it is too late for it.

    def _next_rent(self, now_s: float) -> Step:
        if not self._offers or len(self.tries) >= self._limits.tries:
            count = len(self.tries)
            if count:
                hosts = "The host that was tried" if count == 1 else f"The last of {count} hosts"
                reason = f"{hosts} was given up: {self.tries[-1].reason}."
            else:
                reason = f"None of the offers can be rented any more: {self._why.rstrip('.') or 'there is none'}."
            self._end("failed", reason, now_s)
            return self.next(now_s)
        self.offer = self._offers.pop(0)
        self._sent += 1
        self._reset(now_s)
        return Rent(self.offer)

    def _next_settling(self, now_s: float) -> Step:
        if now_s - self.since_s >= BLIND_S:
            self._lose("Vast.ai neither said whether it was rented nor listed it", now_s, final=True)
            return self.next(now_s)
        return self._look_or_pause(now_s)

    def _next_waiting(self, now_s: float) -> Step:
        if (late := self._too_late(now_s)) is not None:
            self._lose(late, now_s)
            return self.next(now_s)
        if (extra := self._extra(now_s)) is not None:
            return extra
        if self._look_s <= now_s:
            return Look()
        if self.instance is not None and self.instance.status == "running":
            if self._listen_s <= now_s:
                self._listen_s = now_s + LISTEN_S
                return Listen(self.instance)
            return Pause(min(self._look_s, self._listen_s) - now_s)
        return Pause(self._look_s - now_s)

    def _next_closing(self, now_s: float) -> Step:
        if now_s - self.since_s >= BLIND_S:
            left = Left(tuple(self._extras), False, "it could not be listed")
            self._finish(Outcome("ready", instance=self.instance, left=left), now_s)
            return Done()
        return self._extra(now_s) or self._look_or_pause(now_s)

    def _next_removal(self, now_s: float) -> Step:
        assert self._removal is not None
        step = self._removal.next(now_s)
        if not isinstance(step, Done):
            return step
        left, self._removal = self._removal.left, None
        if left is None:
            self._unsure_until_s = 0.0
            self._sent = 0
            self._unproved.clear()
        if self._ending is None and left is None:
            self._enter("renting", now_s)
            return self.next(now_s)
        ending = self._ending or Outcome("failed", self.tries[-1].reason)
        self._finish(Outcome(ending.kind, ending.reason, left=left), now_s)
        return Done()

    def _too_late(self, now_s: float) -> str | None:
        limits = self._limits
        if self._running_s is not None:
            if now_s - self._running_s >= limits.setup_s:
                return f"it was not ready after {limits.setup_s / 60:.0f} minutes"
            if now_s - self._alive_s >= limits.silent_s:
                return f"it said nothing new for {limits.silent_s / 60:.0f} minutes"
            mine = self.instance
            closed = mine is not None and mine.status == "running" and mine.outside(self._port) is None
            if closed and now_s - self._running_s >= PORTS_S:
                return "the host opened no port to it"
        elif self._loading_s is not None:
            if now_s - self._loading_s >= limits.loading_s:
                return f"the host did not fetch the image within {limits.loading_s / 60:.0f} minutes"
        elif now_s - self._rented_s >= limits.schedule_s:
            return f"the host did nothing for {limits.schedule_s / 60:.0f} minutes"
        return None

    # What is seen and heard.

    def _see(self, instances: Sequence[Instance], now_s: float) -> None:
        self._look_s = now_s + LOOK_S
        mine = next((instance for instance in instances if instance.id == self._id), None)
        if mine is None and self._id is None and instances:
            mine = instances[0]
            self._id = mine.id
            self._unsure_until_s = 0.0
            self._enter("waiting", now_s)
        if mine is not None:  # an empty listing may be one that lags behind
            self._unproved.intersection_update(instance.id for instance in instances)
        for instance in instances:
            if instance.id != self._id:
                self._extras.setdefault(instance.id, now_s)
        if self.stage == "settling":
            self._settled += now_s >= self._unsure_until_s
            if self._settled >= SETTLE_LOOKS:
                self._unsure_until_s = 0.0
                self._given_up_for_lost = True
                self._lose(f"{self._why.rstrip('.')}, and nothing was rented", now_s, remove=False)
        elif mine is None:
            self._miss(now_s)
        elif self.stage == "closing":
            self.instance = mine
            if (why := mine.hopeless) is not None:
                self._lose(why, now_s)
            elif len(instances) == 1:
                self._finish(Outcome("ready", instance=mine), now_s)
        else:
            self._absent = None
            self._follow(mine, now_s)

    def _miss(self, now_s: float) -> None:
        since_s, looks = self._absent or (now_s, 0)
        self._absent = (since_s, looks + 1)
        if now_s - since_s >= ABSENT_S and looks + 1 >= ABSENT_LOOKS:
            self._lose("it is not listed any more", now_s)

    def _follow(self, mine: Instance, now_s: float) -> None:
        self.instance = mine
        if mine.usd_per_hour > self._limits.max_usd_per_hour * PRICES_DIFFER:
            dear = f"it takes ${mine.usd_per_hour:.2f} per hour, above UNDERSTUDY_DEPLOY__MAX_USD_PER_HOUR"
            self._lose(dear, now_s)
            return
        if (why := mine.hopeless) is None:
            self._hopeless_s = None
        elif self._hopeless_s is None:
            self._hopeless_s = now_s
        elif now_s - self._hopeless_s >= self._limits.hopeless_s:
            self._lose(why, now_s)
            return
        if mine.status == "running":
            if self._running_s is None:
                self._running_s = self._alive_s = now_s
                self._mark("starting", now_s)
        elif mine.status is not None and why is None and self._loading_s is None:
            self._loading_s = now_s
            self._mark("image", now_s)
        if mine.message and self._said == 0:
            self.note = mine.message

    def _hear(self, heard: Heard, now_s: float) -> None:
        if heard.said > self._said:
            self._said, self._alive_s = heard.said, now_s
        if heard.phase and heard.phase != self.phase:
            self._mark(heard.phase, now_s)
        if heard.text:
            self.note = heard.text
        if heard.failed is not None:
            self._lose(heard.failed, now_s)
        elif heard.ready and self.instance is not None and self.instance.outside(self._port) is not None:
            self._enter("checking", now_s)

    # Ways out.

    def _lose(self, reason: str, now_s: float, *, remove: bool = True, final: bool = False) -> None:
        """This host is given up."""
        assert self.offer is not None
        self.tries.append(Try(self.offer, self._id, reason.rstrip(".")))
        if final or (remove and self._keep):
            self._end("failed", f"{reason.rstrip('.')}.", now_s)
        elif remove or self._extras:
            self._remove(now_s)
        else:
            self._enter("renting", now_s)

    def _end(self, kind: Literal["failed", "interrupted"], reason: str, now_s: float) -> None:
        """Nothing more is tried."""
        self._ending = Outcome(kind, reason)
        if not self._sent:
            self._finish(self._ending, now_s)
        elif self._keep:
            known = tuple(sorted({*([self._id] if self._id is not None else []), *self._extras, *self._unproved}))
            certain = not self._unsure_until_s and not self._given_up_for_lost
            left = Left(known, certain, "you wanted to keep it")
            self._finish(Outcome(kind, reason, left=left if known or not left.certain else None), now_s)
        else:
            self._remove(now_s)

    def _remove(self, now_s: float) -> None:
        known = [self._id] if self._id is not None else []
        extras = {*self._extras, *self._unproved}
        listed = [*extras, *(known if self.instance is not None else [])]
        self._removal = Removal([*known, *extras], now_s, listed=listed, not_before_s=self._unsure_until_s)
        self._extras = {}
        self._enter("removing", now_s)

    def _finish(self, outcome: Outcome, now_s: float) -> None:
        self.outcome = outcome
        self._enter("ended", now_s)

    # Small things.

    def _extra(self, now_s: float) -> Step | None:
        return next((Destroy(extra) for extra, at_s in self._extras.items() if at_s <= now_s), None)

    def _look_or_pause(self, now_s: float) -> Step:
        return Look() if self._look_s <= now_s else Pause(self._look_s - now_s)

    def _enter(self, stage: Stage, now_s: float) -> None:
        self.stage = stage
        self._mark("scheduling" if stage == "waiting" else stage, now_s)

    def _mark(self, phase: str, now_s: float) -> None:
        self.phase = phase
        self.note = ""
        self.since_s = now_s
        self.timeline.append((phase, now_s))
