"""A face for tests of what is around it: it paints the sound that it is given, counts, and misbehaves when told to."""

import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import numpy as np

from models.errors import EngineFailed
from models.interfaces import BEAT_SAMPLES, Image, Picture, Samples, Speech
from models.worker import Worker

SIZE_PX = 64
SILENT = 0.0


class WatchedFace:
    """Each picture is two stripes: how loud its beat is, and its position modulo 100. It draws on a thread of its own,
    as far as `allow` lets it; what tests look at is safe to read from theirs."""

    BLACK = np.full((SIZE_PX * 3 // 2, SIZE_PX), 16, np.uint8)

    def __init__(self) -> None:
        self.spoken = 0
        """Pictures of answers that were drawn."""
        self.idled: list[int] = []
        self.begun = 0
        self.ended = 0
        self.taken = 0
        """Pieces of sound that were taken."""
        self.failing: Exception | None = None
        self._worker = Worker("face-watched")
        self._go = threading.Event()
        self._go.set()

    @property
    def width_px(self) -> int:
        return SIZE_PX

    @property
    def height_px(self) -> int:
        return SIZE_PX

    def hold(self) -> None:
        """Draw nothing until `release`."""
        self._go.clear()

    def release(self) -> None:
        self._go.set()

    async def idle(self, position: int) -> Picture:
        def draw() -> Picture:
            self._step()
            self.idled.append(position)
            return Picture(_painted(SILENT, position))

        return await self._worker.call(draw)

    async def speak(self, speech: AsyncIterator[Speech], position: Callable[[], int]) -> AsyncGenerator[Picture, None]:
        self.begun += 1
        waiting = np.zeros(0, np.float32)
        try:
            async for piece in speech:
                self.taken += 1
                waiting = np.concatenate((waiting, piece.samples))
                while len(waiting) >= BEAT_SAMPLES:
                    yield await self._draw(waiting[:BEAT_SAMPLES], position())
                    waiting = waiting[BEAT_SAMPLES:]
            if len(waiting):
                yield await self._draw(waiting, position())
        finally:
            self.ended += 1

    async def aclose(self) -> None:
        self._go.set()
        await self._worker.aclose()

    async def _draw(self, samples: Samples, position: int) -> Picture:
        def draw() -> Picture:
            self._step()
            self.spoken += 1
            return Picture(_painted(float(np.abs(samples).max()), position))

        return await self._worker.call(draw)

    def _step(self) -> None:
        self._go.wait(30)
        if self.failing is not None:
            raise self.failing


def _painted(loudness: float, position: int) -> Image:
    picture = np.full((SIZE_PX * 3 // 2, SIZE_PX), 128, np.uint8)
    picture[: SIZE_PX // 2] = 16 + round(200 * loudness)
    picture[SIZE_PX // 2 : SIZE_PX] = 16 + 2 * (position % 100)
    return picture


def seen(i420: Image) -> tuple[float, int]:
    """Loudness, to one digit, and position modulo 100 of a picture, also after compression."""
    upper, lower = i420[: SIZE_PX // 2].mean(), i420[SIZE_PX // 2 : SIZE_PX].mean()
    return round(float(upper - 16) / 200, 1), round(float(lower - 16) / 2)


def loud(*levels: float) -> Speech:
    """A beat of each loudness."""
    return Speech(np.repeat(np.array(levels, np.float32), BEAT_SAMPLES))


FAILURE = EngineFailed("The face has the hiccups.")
