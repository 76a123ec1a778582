"""A face that is drawn beat by beat: what a painter needs around it to be a `Face`.

A painter turns a Pose into a picture. The pose is that of the position, with what speech has done to the face added;
each position's expression is remembered, so that a picture continues the one that was shown before it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Protocol

from models.errors import EngineFailed
from models.face.memory import Memory
from models.face.motion import Expression, pose_at
from models.face.pose import Pose
from models.face.visemes import MouthTrack, mouth_track
from models.interfaces import BEAT_SAMPLES, SPEECH_RATE_HZ, Image, Picture, Speech
from models.worker import Worker

_STRONG_ACCENT = 0.8


class Painter(Protocol):
    """Paints one person. Need not be thread-safe: it is only called on the face's own thread."""

    def i420(self, pose: Pose) -> Image:
        """The picture as planar I420 uint8 [height * 3 // 2, width], BT.601, limited range; a new array each time."""
        ...


class DrawnFace:
    """`Face` of what `painter` paints at this size. All drawing happens on one thread of its own."""

    def __init__(self, painter: Painter, *, width_px: int, height_px: int, worker_name: str) -> None:
        self._painter = painter
        self._width_px = width_px
        self._height_px = height_px
        self._worker = Worker(worker_name)
        self._memory = Memory(Expression())
        self._closed = False

    @property
    def width_px(self) -> int:
        return self._width_px

    @property
    def height_px(self) -> int:
        return self._height_px

    async def idle(self, position: int) -> Picture:
        """The silent face at `position`; a mouth that was speaking closes within four pictures."""
        return await self._draw(position, lambda before: before.silent())

    async def speak(self, speech: AsyncIterator[Speech], position: Callable[[], int]) -> AsyncGenerator[Picture, None]:
        """Yield a picture as soon as its 1,920 samples are known; a last, partial beat counts whole."""
        beats = Beats()
        async for piece in speech:
            for moment in beats.take(piece):
                if self._closed:
                    return
                yield await self._draw(position(), moment.expression)
        for moment in beats.rest():
            if self._closed:
                return
            yield await self._draw(position(), moment.expression)

    async def aclose(self) -> None:
        self._closed = True
        await self._worker.aclose()

    async def _draw(self, position: int, change: Callable[[Expression], Expression]) -> Picture:
        if self._closed:
            raise EngineFailed("The face is closed; create a new one to go on drawing.")

        def draw() -> Picture:
            expression = change(self._memory.before(position))
            self._memory.put(position, expression)
            return Picture(self._painter.i420(pose_at(position, expression)))

        return await self._worker.call(draw)


class Moment:
    """One beat of a piece of speech."""

    def __init__(self, track: MouthTrack, start_ms: float) -> None:
        self._track = track
        self._start_ms = start_ms

    def expression(self, before: Expression) -> Expression:
        """What the face does after `before`, in the middle of this beat."""
        end_ms = self._start_ms + 1_000 * BEAT_SAMPLES / SPEECH_RATE_HZ
        nod = brows = 0.0
        for index, accent in enumerate(self._track.accents):
            if self._start_ms <= accent.at_ms < end_ms:
                strong = accent.strength >= _STRONG_ACCENT
                nod = accent.strength * (1.0 if strong else 0.35)
                brows = 0.5 * accent.strength if strong or index % 3 == 0 else 0.0
        mouth = self._track.at((self._start_ms + end_ms) / 2)
        return before.speaking(mouth, nod=nod, brows=brows)


class Beats:
    """Cuts pieces of speech into beats; what a piece leaves over begins the next one's first beat."""

    def __init__(self) -> None:
        self._track: MouthTrack | None = None
        self._length_samples = 0
        self._next_samples = 0

    def take(self, piece: Speech) -> list[Moment]:
        """The beats that `piece` completes."""
        self._next_samples -= self._length_samples
        self._length_samples = len(piece.samples)
        self._track = mouth_track(piece)
        moments = []
        while self._next_samples + BEAT_SAMPLES <= self._length_samples:
            moments.append(self._moment(self._track))
        return moments

    def rest(self) -> list[Moment]:
        """The beat that is begun and not complete, if there is one."""
        if self._track is None or self._next_samples >= self._length_samples:
            return []
        return [self._moment(self._track)]

    def _moment(self, track: MouthTrack) -> Moment:
        start_ms = 1_000 * self._next_samples / SPEECH_RATE_HZ
        self._next_samples += BEAT_SAMPLES
        return Moment(track, start_ms)
