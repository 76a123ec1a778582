"""The one clock that paces everything on stage."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from models.interfaces import SPEECH_RATE_HZ

MAX_LATENESS_S = 0.3
"""A clock that is later than this moves its origin instead of letting the tracks burst to catch up."""


class MediaClock:
    """Maps positions in samples at SPEECH_RATE_HZ to moments of `now`.

    Budget: none, it only sleeps. Late by up to MAX_LATENESS_S it returns at once, so that a short stall is caught up;
    beyond that the origin moves, for all tracks together, and `rebases` counts it.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        epoch_s: float | None = None,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._origin_s = now()
        self._epoch_s = time.time() if epoch_s is None else epoch_s
        self.rebases = 0

    def media_s(self, position_samples: int) -> float:
        """The performer's time of a position: seconds since 1970 at the start, from then on counted in media samples.

        Moving the origin does not change it. Sender reports and captions both speak of this time.
        """
        return self._epoch_s + position_samples / SPEECH_RATE_HZ

    async def wait_for(self, position_samples: int, *, leads: bool = False) -> None:
        """Return when `position_samples` is due. Only the one who `leads` the performance may move the origin."""
        wait_s = self._origin_s + position_samples / SPEECH_RATE_HZ - self._now()
        if leads and wait_s < -MAX_LATENESS_S:
            self._origin_s -= wait_s
            self.rebases += 1
        elif wait_s > 0:
            await self._sleep(wait_s)
