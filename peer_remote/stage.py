"""What is about to be played: a short, bounded queue of beats that can be emptied in an instant."""

import asyncio
from collections import deque
from dataclasses import dataclass

import numpy as np

from models.interfaces import BEAT_MS, Picture, Samples

FADE_SAMPLES = 480
"""10 ms: an interrupted word fades out over this instead of ending in a click."""


@dataclass(frozen=True, slots=True)
class Beat:
    """40 ms of performance: BEAT_SAMPLES of sound and the picture that belongs to them."""

    turn_id: int | None
    """None for an idle beat."""
    index: int
    """Counts the beats of the turn."""
    samples: Samples
    picture: Picture


class Stage:
    """Holds the beats of one turn at a time, at most `lead_ms` ahead of what is being played.

    Whoever makes beats waits in `put` while the stage is full, so that back-pressure reaches the language model.
    A beat whose turn is not the open one is refused and counted in `refused`: a producer that was already running
    outlives its cancellation.
    """

    def __init__(self, *, lead_ms: int) -> None:
        self._capacity = max(1, lead_ms // BEAT_MS)
        self._beats: deque[Beat] = deque()
        self._open_turn: int | None = None
        self._changed = asyncio.Event()
        self.position = 0
        """The beat of the media clock that is played next."""
        self.refused = 0

    def open(self, turn_id: int) -> None:
        """Let beats of `turn_id` in, and of no other turn."""
        self._open_turn = turn_id

    def flush(self) -> None:
        """Throw away everything that is not yet played, but for a fade, and let nothing in until the next `open`."""
        if self._beats and self._open_turn is not None:
            cut = self._beats[0]
            samples = np.zeros_like(cut.samples)
            samples[:FADE_SAMPLES] = cut.samples[:FADE_SAMPLES] * np.linspace(1, 0, FADE_SAMPLES, dtype=np.float32)
            self._beats.clear()
            self._beats.append(Beat(None, 0, samples, cut.picture))
        self._open_turn = None
        self._changed.set()

    @property
    def waiting(self) -> int:
        """Number of beats that are queued."""
        return len(self._beats)

    def next_position(self) -> int:
        """The beat of the media clock at which the next beat that is put will be played, if it is put in time."""
        return self.position + len(self._beats)

    async def put(self, beat: Beat) -> bool:
        """Queue `beat` when there is room; False when its turn is not the open one."""
        while beat.turn_id == self._open_turn and len(self._beats) >= self._capacity:
            self._changed.clear()
            await self._changed.wait()
        if beat.turn_id != self._open_turn:
            self.refused += 1
            return False
        self._beats.append(beat)
        return True

    async def drained(self) -> None:
        """Return when nothing is queued any more."""
        while self._beats:
            self._changed.clear()
            await self._changed.wait()

    def take(self) -> Beat | None:
        """Move on by one position; the beat that is due, or None when it is time for an idle one."""
        self.position += 1
        beat = self._beats.popleft() if self._beats else None
        self._changed.set()
        return beat
