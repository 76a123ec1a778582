"""Destroying what is rented, and the proof that nothing is left. Rules only; times are seconds of any one clock.

known and listed instances ─► Destroy each ─► Look until nothing carries the label, twice ─► proved
                                 ▲   │ fails: again, later and later          │
                                 └───┴──── still listed after a while ◄───────┘
"""

from collections.abc import Iterable
from dataclasses import dataclass

from deploy.vast.steps import Destroy, Destroyed, Done, Event, Look, NotDestroyed, Pause, Seen, Step, Unseen

LOOK_S = 4.0
AGAIN_S = 20.0
"""After a destroyed instance is still listed for so long, it is destroyed once more."""
BACK_OFF_S, LONGEST_BACK_OFF_S = 2.0, 30.0
PROOFS, PROOFS_OF_NEW = 2, 4
"""So many listings in a row must show nothing; more where an instance is so new that it was in none yet."""
LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Left:
    """What could not be proved to be gone."""

    instances: tuple[int, ...]
    certain: bool
    """False when there may be others that carry the label, because they could not be listed."""
    reason: str


class Removal:
    """One attempt to have nothing that carries a label."""

    def __init__(
        self,
        known: Iterable[int],
        now_s: float,
        *,
        listed: Iterable[int] = (),
        not_before_s: float = 0.0,
        limit_s: float = LIMIT_S,
    ) -> None:
        """`listed`: those of them that a listing has shown already."""
        self._due: dict[int, float] = {}
        """Instance → when it is to be destroyed."""
        self._asked: dict[int, float] = {}
        """Instance → when its destruction was accepted."""
        self._listed: frozenset[int] | None = None
        """By the last listing; None before the first one."""
        self._ever_listed = set(listed)
        self._look_s = now_s
        self._not_destroyed = 0
        self._unseen = 0
        """Failures in a row."""
        self._proofs = 0
        self._interruptions = 0
        self._not_before_s = not_before_s
        """A rent without an answer may appear until then."""
        self._ends_s = max(now_s, not_before_s) + limit_s
        self._reason = "it could not be listed"
        self.proved = False
        self.left: Left | None = None
        for instance in known:
            self._due[instance] = now_s

    def next(self, now_s: float) -> Step:
        if self.proved or self.left is not None:
            return Done()
        if now_s >= self._ends_s:
            self.give_up(self._reason)
            return Done()
        due = [instance for instance, at_s in self._due.items() if at_s <= now_s]
        if due:
            return Destroy(due[0])
        if self._look_s <= now_s:
            return Look()
        return Pause(max(0.0, min(self._look_s, self._ends_s, *self._due.values()) - now_s))

    def on(self, event: Event, now_s: float) -> None:
        match event:
            case Destroyed(instance):
                self._due.pop(instance, None)
                self._asked[instance] = now_s
                self._not_destroyed = 0
            case NotDestroyed(instance, reason):
                self._due[instance] = now_s + _back_off_s(self._not_destroyed)
                self._not_destroyed += 1
                self._reason = reason
            case Seen(instances):
                self._unseen = 0
                self._see(frozenset(instance.id for instance in instances), now_s)
            case Unseen(reason):
                self._look_s = now_s + _back_off_s(self._unseen)
                self._unseen += 1
                self._reason = reason
            case _:
                raise AssertionError(f"{event} is no answer to a removal's step")

    def interrupt(self, now_s: float) -> None:
        """The first time it goes on, because whoever stops a removal does not want to pay; the second time it ends."""
        self._interruptions += 1
        if self._interruptions > 1:
            self.give_up("you did not want to wait for the proof")

    def give_up(self, reason: str) -> None:
        """Stop here; `left` says what may be left."""
        unproved = {*self._due, *self._asked, *(self._listed or ())}
        # One empty listing is no proof, and a rent without an answer has no number yet.
        certain = bool(unproved) and self._listed is not None and self._not_before_s == 0.0
        self.left = Left(tuple(sorted(unproved)), certain, reason.rstrip("."))

    def _see(self, listed: frozenset[int], now_s: float) -> None:
        self._listed = listed
        self._ever_listed |= listed
        self._look_s = now_s + LOOK_S
        for instance in listed:
            asked_s = self._asked.get(instance)
            if asked_s is None or now_s - asked_s >= AGAIN_S:
                self._due.setdefault(instance, now_s)
        if listed or self._due:
            self._proofs = 0
            return
        if now_s >= self._not_before_s:
            self._proofs += 1
            never_listed = set(self._asked) - self._ever_listed
            self.proved = self._proofs >= (PROOFS_OF_NEW if never_listed else PROOFS)


def _back_off_s(failures: int) -> float:
    return min(LONGEST_BACK_OFF_S, BACK_OFF_S * 2.0 ** min(failures, 8))
