"""MuseTalk as a `Face`: the avatar's own frames, and over them a mouth that says what is heard.

    Speech 48 kHz ─► Downsampler ─► SpeechWindow ─► which pictures can be made ─► MouthSession.order ─► Picture…
                                        └─► Gate: how much of the drawn mouth is shown

The position alone decides which frame of the avatar is shown, so body and head never jump; where the mouth rests the
frame is shown as it is and the networks do not run. A picture needs 92 ms of the sound after it. When that does not
come in time it is made of what is there (`hurried`), and when the engine fails or does not deliver in time the frame is
shown without a mouth (`plain`): sound never waits for lips.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import EngineFailed
from models.face.avatar.pack import AvatarPack
from models.face.memory import Memory
from models.face.musetalk.gate import Gate
from models.face.musetalk.hearing import AnswerSound
from models.face.musetalk.orders import Mouth, Sound
from models.face.musetalk.pace import BEAT_S, Pace
from models.face.musetalk.speech_window import SPEECH_PEAK, SpeechWindow
from models.interfaces import Picture, Speech

logger = logging.getLogger(__name__)

PATIENCE_S = 1.0
"""How long a picture is waited for, and by how much an answer may be held up by its pictures; once it was, the rest of
it is shown without a mouth."""
STUCK_S = 0.08
"""How long a picture is waited for once one did not come in time."""
MADE_AHEAD = 2
"""Pictures that are in the making while one is handed out; an interruption throws them away."""

Frames = list[NDArray[np.uint8]]


class MouthSession(Protocol):
    """One avatar's place in an engine (engine.EngineSession)."""

    def order(
        self, mouths: Sequence[Mouth], sounds: Sequence[Sound], *, heard_samples: int, peak: float, deadline_s: float
    ) -> "Future[Frames]":
        """Draw `mouths` once `sounds` are in the feature window. Raises EngineFailed, as the future does."""
        ...

    def cancel(self) -> None:
        """Drop everything that was ordered so far."""
        ...


@dataclass(frozen=True, slots=True)
class Shown:
    """One position: how far the mouth is shown, and which picture of which answer it is."""

    gate: Gate = field(default_factory=Gate)
    answer: int = 0
    frame: int = 0
    """Counts on after the answer has ended or was interrupted."""
    spoken_frames: int = 0
    """Pictures of the answer that were played with their sound; what follows them is silence."""

    def speaking(self, answer: int, frame: int, *, loud: bool) -> "Shown":
        return Shown(self.gate.speaking(loud), answer, frame, frame + 1)

    def silent(self) -> "Shown":
        return Shown(self.gate.silent(), self.answer, self.frame + 1, self.spoken_frames)


@dataclass(slots=True)
class FaceCounts:
    """What did not go as planned."""

    hurried: int = 0
    """Pictures made without all of the sound that follows them, because it came too late."""
    plain: int = 0
    """Pictures without the mouth that they should show, because the engine failed or was too late."""


@dataclass(frozen=True, slots=True, eq=False)
class _Making:
    """A picture: a frame of the avatar, and where its mouth comes from if it shows one."""

    position: int
    drawn: "asyncio.Future[Frames] | None" = None
    index: int = 0
    until_s: float = 0.0
    """When to give up on it."""


class MuseTalkFace:
    """`Face` of one avatar. `close` lets go of the session; it may block."""

    def __init__(
        self, session: MouthSession, pack: AvatarPack, *, close: Callable[[], None], patience_s: float = PATIENCE_S
    ) -> None:
        self.counts = FaceCounts()
        self._session = session
        self._pack = pack
        self._close = close
        self._memory = Memory(Shown())
        self._answer = 0
        self._sound = AnswerSound(SpeechWindow())
        self._patience_s = self._wait_s = patience_s
        self._closed = False

    @property
    def width_px(self) -> int:
        return self._pack.width_px

    @property
    def height_px(self) -> int:
        return self._pack.height_px

    async def idle(self, position: int) -> Picture:
        """The avatar at `position`; a mouth that was speaking is faded out within four pictures."""
        self._require_open()
        shown = self._memory.before(position).silent()
        self._memory.put(position, shown)
        if not shown.gate.needs_network or shown.answer != self._answer:
            return await self._picture(_Making(position))
        now_s = asyncio.get_running_loop().time()
        (making,) = self._ordered([(position, shown)], deadline_s=now_s + BEAT_S / 2)
        return await self._picture(making)

    async def speak(self, speech: AsyncIterator[Speech], position: Callable[[], int]) -> AsyncGenerator[Picture, None]:
        """Yield a picture per 40 ms as soon as the sound around it is known; a last, partial beat counts whole.

        Ends when another answer begins.
        """
        self._require_open()
        clock = asyncio.get_running_loop().time
        window = SpeechWindow(peak=self._sound.window.peak_kept if self._answer else SPEECH_PEAK)
        self._answer += 1
        self._sound = sound = AnswerSound(window)
        pace = Pace()
        made: deque[_Making] = deque()
        ended = False
        try:
            while not self._closed and self._sound is sound:
                sound.take()
                pace.resume(clock())
                if len(made) <= MADE_AHEAD:
                    count = pace.batch(clock())
                    made += self._make(pace, min(count, window.ready_frames - pace.ordered), position() + len(made))
                    if window.ready_frames - pace.ordered < count:
                        sound.ask(speech)
                if made:
                    picture = await self._picture(made.popleft(), until_s=pace.wait_until_s(self._patience_s))
                    pace.give(clock())
                    yield picture
                elif window.complete:
                    ended = True
                    return
                elif window.begun_frames <= pace.ordered:
                    await sound.more(speech)
                elif not await sound.more(speech, until_s=pace.hurry_s(clock(), sound.heard_s)):
                    self.counts.hurried += 1
                    made += self._make(pace, 1, position())
        finally:
            if not ended and self._sound is sound:
                self._session.cancel()
                self._memory.forget(position())
                sound.place_again()
            await sound.close()

    def counters(self) -> Mapping[str, tuple[str, Callable[[], int]]]:
        """For the metrics: see FaceCounts."""
        return {
            "hurried_pictures": ("Pictures made without the sound after them", lambda: self.counts.hurried),
            "plain_pictures": ("Pictures without the mouth they should show", lambda: self.counts.plain),
        }

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._close)

    def _make(self, pace: Pace, count: int, position: int) -> list[_Making]:
        """Begin the next `count` pictures of the answer, to be shown from `position` on."""
        if count <= 0:
            return []
        planned = []
        too_slow = pace.held_up_s > 0.99 * self._patience_s
        deadline_s = pace.due_s(asyncio.get_running_loop().time())
        for place in range(position, position + count):
            loud = self._sound.window.loud(pace.ordered)
            shown = self._memory.before(place).speaking(self._answer, pace.ordered, loud=loud and not too_slow)
            self.counts.plain += loud and too_slow and not shown.gate.needs_network
            self._memory.put(place, shown)
            planned.append((place, shown))
            pace.ordered += 1
        makings = self._ordered(planned, deadline_s=deadline_s)
        self._sound.window.drawn(pace.ordered)
        return makings

    def _mouth(self, position: int, shown: Shown) -> Mouth:
        window = self._sound.window
        silent = shown.frame >= shown.spoken_frames
        return Mouth(
            frame=self._pack.frame_at(position),
            gain=shown.gate.g,
            first_row=window.first_row(shown.frame),
            valid_rows=window.rows_before(shown.spoken_frames) if silent else window.valid_rows,
        )

    def _ordered(self, planned: Sequence[tuple[int, Shown]], *, deadline_s: float) -> list[_Making]:
        """Order what shows a mouth; the rest is the avatar's own frame."""
        sound = self._sound
        mouths = [self._mouth(position, shown) for position, shown in planned if shown.gate.needs_network]
        drawn: asyncio.Future[Frames] | None = None
        if mouths:
            try:
                ticket = self._session.order(
                    mouths,
                    sound.news(),
                    heard_samples=sound.window.filled,
                    peak=sound.window.peak,
                    deadline_s=deadline_s,
                )
                drawn = asyncio.wrap_future(ticket)
                drawn.add_done_callback(partial(_seen, sound))
            except EngineFailed:
                sound.place_again()
                self.counts.plain += len(mouths)
        makings, index = [], 0
        until_s = asyncio.get_running_loop().time() + self._wait_s
        for position, shown in planned:
            needed = shown.gate.needs_network
            makings.append(_Making(position, drawn if needed else None, index, until_s))
            index += needed
        return makings

    async def _picture(self, making: _Making, *, until_s: float = math.inf) -> Picture:
        if making.drawn is not None:
            wait_s = max(0.0, min(making.until_s, until_s) - asyncio.get_running_loop().time())
            await asyncio.wait((making.drawn,), timeout=wait_s)
            self._wait_s = self._patience_s if making.drawn.done() else STUCK_S
            if making.drawn.done() and not making.drawn.cancelled() and making.drawn.exception() is None:
                return Picture(making.drawn.result()[making.index])
            self.counts.plain += 1
            if self.counts.plain == 1:
                logger.warning("face_without_mouth")
        return Picture(self._pack.frames[self._pack.frame_at(making.position)])

    def _require_open(self) -> None:
        if self._closed:
            raise EngineFailed("The face is closed; create a new one to go on drawing.")


def _seen(sound: AnswerSound, drawn: "asyncio.Future[Frames]") -> None:
    """Nobody may wait for a picture of an interrupted answer; its error is not news then, but its sound may be lost."""
    if drawn.cancelled() or drawn.exception() is not None:
        sound.place_again()
