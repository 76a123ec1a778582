"""Plays the stage to every viewer: one beat every 40 ms, for as long as the program runs."""

import asyncio
import logging
from collections.abc import Callable

import numpy as np

from models.errors import ModelError
from models.interfaces import BEAT_SAMPLES, Face, Picture
from peer_remote.clock import MediaClock
from peer_remote.stage import Beat, Stage

logger = logging.getLogger(__name__)

QUEUE_BEATS = 12
"""Most beats a viewer's track may be behind; a slower one loses its oldest beats and counts them."""


class BeatQueue:
    """One track's view of the performance: bounded, and the newest beats win."""

    def __init__(self) -> None:
        self._beats: asyncio.Queue[tuple[int, Beat]] = asyncio.Queue(QUEUE_BEATS)
        self.dropped = 0

    def put(self, position: int, beat: Beat) -> None:
        if self._beats.full():
            self._beats.get_nowait()
            self.dropped += 1
        self._beats.put_nowait((position, beat))

    async def get(self) -> tuple[int, Beat]:
        """The next beat and its position on the media clock."""
        return await self._beats.get()


class Performance:
    """Takes each beat from the stage when it is due and hands it to every subscriber.

    Budget: a beat leaves within 5 ms of its time. The idle picture for the next position is drawn while the current
    one plays and is thrown away if speech arrives meanwhile; when it is late the last picture is shown again and
    `late_pictures` counts it. Sound never waits for a picture. Only the first of `failed_pictures` is logged; `drawn`
    is told of each idle picture whether it could be drawn.
    """

    def __init__(
        self,
        stage: Stage,
        face: Face,
        clock: MediaClock,
        *,
        played: Callable[[int, Beat], None],
        drawn: Callable[[bool], None] = lambda well: None,
    ) -> None:
        self._stage = stage
        self._face = face
        self._clock = clock
        self._played = played
        self._drawn = drawn
        self._subscribers: set[BeatQueue] = set()
        self._silence = np.zeros(BEAT_SAMPLES, np.float32)
        self.late_pictures = 0
        self.failed_pictures = 0

    def subscribe(self, queue: BeatQueue) -> None:
        self._subscribers.add(queue)

    def unsubscribe(self, queue: BeatQueue) -> None:
        self._subscribers.discard(queue)

    async def run(self) -> None:
        """Play until cancelled."""
        shown = await self._first_picture()
        drawing: asyncio.Task[Picture] | None = None
        try:
            while True:
                position = self._stage.position
                await self._clock.wait_for(position * BEAT_SAMPLES, leads=True)
                beat = self._stage.take()
                if beat is None:
                    self.late_pictures += drawing is not None and not drawing.done()
                    picture, drawing = self._collect(drawing)
                    beat = Beat(None, 0, self._silence, picture or shown)
                else:
                    _, drawing = self._collect(drawing)
                shown = beat.picture
                for queue in self._subscribers:
                    queue.put(position, beat)
                self._played(position, beat)
                if drawing is None and self._subscribers and not self._stage.waiting:
                    drawing = asyncio.create_task(self._face.idle(self._stage.position), name="idle picture")
        finally:
            if drawing is not None:
                drawing.cancel()
                await asyncio.gather(drawing, return_exceptions=True)

    async def _first_picture(self) -> Picture:
        """The face at the beginning, or darkness while it cannot be drawn."""
        try:
            return await self._face.idle(0)
        except ModelError as error:
            logger.warning("idle_picture_failed", extra={"code": error.code})
            self._drawn(False)
            self.failed_pictures += 1
            return darkness(self._face.width_px, self._face.height_px)

    def _collect(self, drawing: asyncio.Task[Picture] | None) -> tuple[Picture | None, asyncio.Task[Picture] | None]:
        """The idle picture if it is there, and the task that is still drawing one if any."""
        if drawing is None or not drawing.done():
            return None, drawing
        try:
            picture = drawing.result()
            self._drawn(True)
            return picture, None
        except Exception:
            self._drawn(False)
            if not self.failed_pictures:
                logger.exception("idle_picture_failed")
            self.failed_pictures += 1
            return None, None


def darkness(width_px: int, height_px: int) -> Picture:
    """A black picture, in the limited range."""
    i420 = np.full((height_px * 3 // 2, width_px), 128, np.uint8)
    i420[:height_px] = 16
    return Picture(i420)
