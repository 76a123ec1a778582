"""How far one turn has come on its way to the listeners: what was played, announced, held."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from models.interfaces import BEAT_SAMPLES, SPEECH_RATE_HZ
from peer_remote.head_start import HeadStart
from peer_remote.turn import Turn
from signaling.protocol import Caption


@dataclass(slots=True)
class Delivery:
    """A turn from its first beat to its last; `media_s` gives the performer's time of a position in samples."""

    turn: Turn
    words: str | None
    """What to say exactly; None lets the language model answer."""
    media_s: Callable[[int], float]
    head: HeadStart | None = None
    """The beginning of the answer, if it was made while the user was still speaking."""
    task: asyncio.Task[None] | None = None
    begun: bool = False
    """Whether a beat was played."""
    silenced: bool = False
    """Held, or over before its time: less may have been heard than was played."""
    giving_up: asyncio.TimerHandle | None = None
    """Ends a hold that nobody ends."""
    announced: int = 0
    """Clauses whose caption was sent."""

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What works on it."""
        head = None if self.head is None else self.head.task
        return [task for task in (self.task, head) if task is not None]

    def release(self) -> None:
        """It is held no longer."""
        self.silenced = False
        if self.giving_up is not None:
            self.giving_up.cancel()
            self.giving_up = None

    def played(self, position: int, index: int) -> list[Caption]:
        """Its beat `index` was played as beat `position` of the media clock; returns the captions due with it."""
        turn = self.turn
        self.begun = True
        turn.played_samples = (index + 1) * BEAT_SAMPLES
        captions = []
        for clause in turn.clauses[self.announced :]:
            if clause.start_samples >= turn.played_samples:
                break
            starts_at = (position - index) * BEAT_SAMPLES + clause.start_samples
            caption = Caption(
                turn_id=turn.id,
                index=self.announced,
                text=clause.text,
                duration_ms=clause.length_samples * 1_000 // SPEECH_RATE_HZ,
                start_samples=clause.start_samples,
                at_s=self.media_s(starts_at),
            )
            captions.append(caption)
            self.announced += 1
        return captions

    def back_to(self, index: int) -> None:
        """Beat `index` is played next, perhaps again; the clause that is under way there is announced anew."""
        turn = self.turn
        turn.played_samples = index * BEAT_SAMPLES
        begun = sum(clause.start_samples <= turn.played_samples for clause in turn.clauses)
        self.announced = min(self.announced, max(0, begun - 1))

    def heard(self, samples: int) -> bool:
        """Listeners heard so many samples: counts once it is silenced, and only if it is less than was played."""
        less = self.silenced and samples < self.turn.played_samples
        if less:
            self.turn.played_samples = samples
        return less
