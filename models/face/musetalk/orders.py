"""What sessions ask of the engine, and the order in which it is done. Pure: no threads, no tensors, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

BUCKETS = (1, 2, 4, 8, 16)
"""Batch sizes that are prepared; a smaller batch is filled up, because every other size would be a new shape."""
COLLECT_S = 0.002
"""How long the first order may wait for company."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Samples for a session's feature window."""

    start_samples: int
    samples: NDArray[np.float32]
    restart: bool = False
    """Everything that the window held before is forgotten."""


@dataclass(frozen=True, slots=True)
class Mouth:
    """One picture: which frame of the avatar, and which part of the session's feature window it shows."""

    frame: int
    gain: float
    """How much of the drawn mouth is laid over the frame, in (0, 1]."""
    first_row: int
    """First of the ten feature rows of 20 ms; rows before 0 are silence."""
    valid_rows: int
    """Rows from here on are silence."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Order(Generic[T]):
    """Consecutive pictures of one session; `ticket` is what the engine answers to."""

    session: int
    epoch: int
    region: tuple[int, int]
    """Height and width of the avatar's mouth region: one batch has one size."""
    mouths: Sequence[Mouth]
    sounds: Sequence[Sound]
    heard_samples: int
    """Length of the feature window once `sounds` are in it."""
    peak: float
    """Reference of the mel floor, log10 power."""
    deadline_s: float
    ticket: T

    @property
    def restarts(self) -> bool:
        """Whether rows of earlier orders mean something else from here on."""
        return any(sound.restart for sound in self.sounds)


def bucket_for(count: int, buckets: Sequence[int] = BUCKETS) -> int:
    """The smallest bucket that holds `count` pictures."""
    return next(bucket for bucket in buckets if bucket >= count)


@dataclass(slots=True, eq=False)
class OrderQueue(Generic[T]):
    """Earliest deadline first, several sessions in one batch.

    Orders of one session keep their order, because sound is placed in the order in which it was heard. Bounded by
    the sessions, each of which orders only a few pictures ahead (face.MADE_AHEAD).
    """

    buckets: Sequence[int] = BUCKETS
    _waiting: list[tuple[float, int, Order[T]]] = field(default_factory=list)
    _since_s: float = 0.0
    _count: int = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, order: Order[T], now_s: float) -> None:
        if not self._waiting:
            self._since_s = now_s
        earlier = [deadline_s for deadline_s, _, other in self._waiting if other.session == order.session]
        self._waiting.append((max([order.deadline_s, *earlier]), self._count, order))
        self._count += 1

    def waiting(self, session: int) -> int:
        """How many orders of `session` wait."""
        return sum(order.session == session for _, _, order in self._waiting)

    def discard(self, session: int) -> list[Order[T]]:
        """Take out what `session` still waits for."""
        gone = [order for _, _, order in self._waiting if order.session == session]
        self._waiting = [entry for entry in self._waiting if entry[2].session != session]
        return gone

    def take_all(self) -> list[Order[T]]:
        """Everything that waits, in no order."""
        gone = [order for _, _, order in self._waiting]
        self._waiting = []
        return gone

    def ready_in_s(self, now_s: float) -> float | None:
        """How long a batch should still be collected; None while nothing waits."""
        if not self._waiting:
            return None
        if sum(len(order.mouths) for _, _, order in self._waiting) >= self.buckets[-1]:
            return 0.0
        return max(0.0, self._since_s + COLLECT_S - now_s)

    def take(self, now_s: float, cost_s: Mapping[int, float]) -> list[Order[T]]:
        """The next batch: as large as the most urgent order's deadline allows by `cost_s` of each bucket.

        Where no bucket is fast enough the largest is taken, which catches up soonest.
        """
        if not self._waiting:
            return []
        self._waiting.sort(key=lambda entry: entry[:2])
        first = self._waiting[0][2]
        slack_s = first.deadline_s - now_s
        fitting = [bucket for bucket in self.buckets if cost_s.get(bucket, 0.0) <= slack_s]
        room = max(max(fitting, default=self.buckets[-1]), bucket_for(len(first.mouths), self.buckets))
        batch: list[Order[T]] = []
        left: list[tuple[float, int, Order[T]]] = []
        refused: set[int] = set()
        for entry in self._waiting:
            order = entry[2]
            fits = order.region == first.region and len(order.mouths) <= room and order.session not in refused
            if fits and not (order.restarts and any(other.session == order.session for other in batch)):
                batch.append(order)
                room -= len(order.mouths)
            else:
                refused.add(order.session)
                left.append(entry)
        self._waiting = left
        self._since_s = now_s
        return batch
