"""What is about to be played: a short, bounded queue of beats that can be emptied, or held, in an instant."""

import asyncio
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from models.interfaces import BEAT_MS, BEAT_SAMPLES, Picture, Samples

FADE_SAMPLES = 480
"""10 ms: an interrupted word fades out over this instead of ending in a click."""

KEPT_BEATS = 520 // BEAT_MS
"""What was played last is kept this long: the way to the listener's ear and back takes no longer."""


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
        self._played: deque[Beat] = deque(maxlen=KEPT_BEATS)
        self._fade: Beat | None = None
        self._held = False
        self._open_turn: int | None = None
        self._changed = asyncio.Event()
        self.position = 0
        """The beat of the media clock that is played next."""
        self.refused = 0

    def open(self, turn_id: int) -> None:
        """Let beats of `turn_id` in, and of no other turn."""
        self._open_turn = turn_id
        self._played.clear()

    def flush(self) -> int:
        """Throw away everything that is not yet played, but for a fade, and let nothing in until the next `open`.

        Returns the position in samples from which it is silent.
        """
        silent_from = self._fall_silent()
        self._beats.clear()
        self._played.clear()
        self._held = False
        self._open_turn = None
        self._changed.set()
        return silent_from

    def hold(self) -> int:
        """Play nothing but a fade until `resume`; the beats stay, and whoever makes more soon waits.

        Returns the position in samples from which it is silent.
        """
        silent_from = self._fall_silent()
        self._held = True
        return silent_from

    def resume(self, index: int) -> int:
        """Go on with beat `index` of the open turn, or the oldest after it that is kept; it fades in.

        The kept pictures were drawn for earlier positions: the head skips what it would have moved meanwhile.
        Returns the index of the beat that is played next.
        """
        following = self._beats[0].index if self._beats else self._played[-1].index + 1 if self._played else 0
        while self._played and self._played[-1].index >= index:
            self._beats.appendleft(self._played.pop())
        self._held = False
        self._changed.set()
        if not self._beats:
            return following
        first = self._beats[0]
        self._beats[0] = replace(first, samples=_faded(first.samples, rising=True))
        return first.index

    @property
    def waiting(self) -> int:
        """Number of beats that will be played without a pause, from the next position on."""
        return (self._fade is not None) + (0 if self._held else len(self._beats))

    def next_position(self) -> int:
        """The beat of the media clock at which the next beat that is put will be played, if it is put in time."""
        return self.position + (self._fade is not None) + len(self._beats)

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
        """Return when nothing is queued or held any more."""
        while self._beats or self._fade is not None or self._held:
            self._changed.clear()
            await self._changed.wait()

    def take(self) -> Beat | None:
        """Move on by one position; the beat that is due, or None when it is time for an idle one."""
        self.position += 1
        beat: Beat | None = None
        if self._fade is not None:
            beat, self._fade = self._fade, None
        elif self._beats and not self._held:
            beat = self._beats.popleft()
            self._played.append(beat)
        self._changed.set()
        return beat

    def _fall_silent(self) -> int:
        """Let the beat that is due fade out; nothing is due while held."""
        if self._beats and not self._held:
            due = self._beats[0]
            self._fade = Beat(None, 0, _faded(due.samples, rising=False), due.picture)
        return self.position * BEAT_SAMPLES + (0 if self._fade is None else FADE_SAMPLES)


def _faded(samples: Samples, *, rising: bool) -> Samples:
    """`samples` that come up within FADE_SAMPLES, or go down and stay silent."""
    ramp = np.linspace(0, 1, FADE_SAMPLES, dtype=np.float32)
    faded = samples.copy() if rising else np.zeros_like(samples)
    faded[:FADE_SAMPLES] = samples[:FADE_SAMPLES] * (ramp if rising else ramp[::-1])
    return faded
