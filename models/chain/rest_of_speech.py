"""The speech that a face is given, kept as far as it is not drawn yet, so that another face can go on with it."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator

from models.chain.pull import Pull
from models.interfaces import BEAT_SAMPLES, Phoneme, Speech


class RestOfSpeech:
    """Hands `speech` out piece by piece and keeps what `drawn` has not been told of.

    It is taken in by a task of its own: a face that is cancelled while it waits for sound does not break it off.
    """

    def __init__(self, speech: AsyncIterator[Speech]) -> None:
        self._source = Pull(_pieces(speech), name="speech of a face")
        self._kept: deque[Speech] = deque()
        self._first = 0
        """The number of the first piece that is kept."""
        self._owed_samples = 0
        """Drawn of what has not come yet."""
        self._takers = 0
        self._over = False
        self.error: Exception | None = None
        """What the speech itself ended with, which no face is to blame for."""
        self._waiting = False
        """Whether a face waits for sound: then it is not the one that is late."""
        self._came_s = 0.0

    def there_since_s(self) -> float:
        """Since when, of the loop's time, the face has had the sound that it last waited for; now while it waits."""
        return asyncio.get_running_loop().time() if self._waiting else self._came_s

    @property
    def complete(self) -> bool:
        """Whether everything is drawn."""
        self._settle()
        return self._over and not self._kept

    def drawn(self) -> None:
        """One more beat of it is drawn."""
        self._owed_samples += BEAT_SAMPLES
        self._settle()

    async def remaining(self) -> AsyncGenerator[Speech, None]:
        """What is not drawn, then what comes. Only the generator that was made last is given anything."""
        self._settle()
        self._takers += 1
        taker, number = self._takers, self._first
        while taker == self._takers:
            number = max(number, self._first)
            if number < self._first + len(self._kept):
                number += 1
                yield self._kept[number - 1 - self._first]
            elif self._over:
                if self.error is not None:
                    raise self.error
                return
            else:
                await self._more()

    async def aclose(self) -> None:
        """Take no more; the speech itself is closed by whoever made it, which takes until it has let go."""
        await self._source.aclose(timeout_s=None)

    async def _more(self) -> None:
        self._waiting = True
        try:
            piece = await self._source.next()
        except Exception as error:
            self.error = error
            piece = None
        finally:
            self._waiting = False
            self._came_s = asyncio.get_running_loop().time()
        if piece is None:
            self._over = True
        else:
            self._kept.append(piece[0])

    def _settle(self) -> None:
        """Let go of what is drawn."""
        while self._owed_samples and self._kept:
            first = self._kept.popleft()
            if len(first.samples) > self._owed_samples:
                self._kept.appendleft(after(first, self._owed_samples))
                self._owed_samples = 0
                return
            self._owed_samples -= len(first.samples)
            self._first += 1


async def _pieces(speech: AsyncIterator[Speech]) -> AsyncGenerator[Speech, None]:
    async for piece in speech:
        yield piece


def after(speech: Speech, start_samples: int) -> Speech:
    """`speech` without its first `start_samples`, its phonemes counted from the new beginning."""
    phonemes = tuple(
        Phoneme(one.symbol, max(0, one.start_samples - start_samples), one.end_samples - start_samples)
        for one in speech.phonemes
        if one.end_samples > start_samples
    )
    return Speech(speech.samples[start_samples:], phonemes)
