"""The sound of one answer on its way into the feature window and into the engine."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np

from models.face.musetalk.downsampler import Downsampler
from models.face.musetalk.orders import Sound
from models.face.musetalk.speech_window import SpeechWindow
from models.interfaces import Speech


class AnswerSound:
    """Pulls pieces of speech when they are asked for, never more than one ahead, and keeps them in `window`.

    The task that waits for a piece outlives the patience of whoever waits for it; `close` ends it.
    """

    def __init__(self, window: SpeechWindow) -> None:
        self.window = window
        self.heard_s = 0.0
        """When the last piece came, by the event loop's clock."""
        self._downsampler = Downsampler()
        self._pull: asyncio.Task[Speech | None] | None = None
        self._placed_samples = 0
        self._placed_revision = -1

    def ask(self, speech: AsyncIterator[Speech]) -> None:
        """Begin to wait for the next piece of `speech`, unless that is going on or all has come."""
        if self._pull is None:
            self._pull = asyncio.create_task(_next(speech), name="speech for the face")

    def take(self) -> bool:
        """Put a piece that has come into the window; false when there is none. Raises what `speech` raised."""
        if self._pull is None or not self._pull.done() or self.window.finished:
            return False
        piece = self._pull.result()
        self.heard_s = asyncio.get_running_loop().time()
        if piece is None:
            self.window.append(self._downsampler.flush())
            self.window.finish()
        else:
            self.window.append(self._downsampler.push(piece.samples))
            self._pull = None
        return True

    async def more(self, speech: AsyncIterator[Speech], *, until_s: float | None = None) -> bool:
        """Wait for the next piece, at most until `until_s`, and take it; false when none has come."""
        self.ask(speech)
        if self._pull is not None:
            wait_s = None if until_s is None else max(0.0, until_s - asyncio.get_running_loop().time())
            await asyncio.wait((self._pull,), timeout=wait_s)
        return self.take()

    def place_again(self) -> None:
        """What was given out may not have reached the engine: `news` begins anew."""
        self._placed_revision = -1

    def news(self) -> list[Sound]:
        """What came into the window since the last call; all of it when the window was moved or is placed again."""
        window = self.window
        moved = window.revision != self._placed_revision
        start = 0 if moved else self._placed_samples
        self._placed_revision, self._placed_samples = window.revision, window.filled
        if start == window.filled and not moved:
            return []
        return [Sound(start, np.array(window.samples[start : window.filled]), restart=moved)]

    async def close(self) -> None:
        """Stop waiting for speech."""
        if self._pull is not None:
            self._pull.cancel()
            await asyncio.gather(self._pull, return_exceptions=True)


async def _next(speech: AsyncIterator[Speech]) -> Speech | None:
    return await anext(speech, None)
