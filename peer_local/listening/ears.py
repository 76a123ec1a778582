"""What the double hears: any sound input, without its own voice, handed to the listener on the event loop.

input's thread                                             event loop
push ─► 16 kHz ─► echo canceller ─► bounded queue ──────► level, listener ─► hearing events
played ───────────────┘ (output's thread)
"""

import asyncio
import logging
import threading
from collections import deque

import soxr

from models.hearing.endpoint import EndpointRules
from models.hearing.listener import Listener
from models.interfaces import HEARING_RATE_HZ, SPEECH_RATE_HZ, Samples
from peer_local.listening.echo import EchoCanceller
from peer_local.listening.reference import StreamClock
from peer_local.on_air.meter import Level, Meter

logger = logging.getLogger(__name__)

OPERATOR_RULES = EndpointRules(confirm_ms=128)
"""For who can take an interruption back: the double is held after so much speech, and goes on if it was none. From
the first sound to the event it takes 0.2 s, p95 0.28 s, with 30 ms of the input's latency; with 160 ms 40 ms more."""

QUEUE_S = 2.0
"""Sound that the event loop has not taken yet; beyond that the oldest is lost and counted."""


class Ears:
    """A SoundListener over a Listener.

    Budget: `push` costs 0.4 ms for 20 ms of sound, 1 ms while the double speaks. The resampler keeps back 6 ms of an
    input at 48 kHz, 20 ms of one at 44.1 kHz; the echo canceller 8 to 18 ms, more only while it waits for its
    reference. `dropped` counts blocks that the event loop did not take in time. Create it and call everything but
    `push` and `played` on the event loop.
    """

    def __init__(
        self, listener: Listener, *, rate_hz: int = SPEECH_RATE_HZ, canceller: EchoCanceller | None = None
    ) -> None:
        """`rate_hz` is what `push` gets."""
        self._listener = listener
        self._canceller = canceller
        self._clock = StreamClock(rate_hz)
        self._resampler = (
            soxr.ResampleStream(rate_hz, HEARING_RATE_HZ, 1, dtype="float32", quality="LQ")
            if rate_hz != HEARING_RATE_HZ
            else None
        )
        self._kept_back_s = 0.0
        self._rate_hz = rate_hz
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()  # held for queue operations only
        self._queue: deque[tuple[Samples, float]] = deque()
        self._queued_samples = 0
        self._meter = Meter(HEARING_RATE_HZ)
        self._closed = False
        self.muted = False
        self.dropped = 0

    @property
    def level(self) -> Level:
        """Of what is heard, without the double's own voice."""
        return self._meter.level

    def push(self, samples: Samples, at_s: float) -> None:
        """Take what an input recorded; the first sample at `at_s`."""
        self._clock.push(len(samples), at_s)
        self._kept_back_s += len(samples) / self._rate_hz
        heard = samples if self._resampler is None else self._resampler.resample_chunk(samples)
        self._kept_back_s -= len(heard) / HEARING_RATE_HZ
        assert self._clock.end_s is not None
        until_s = self._clock.end_s - self._kept_back_s
        if self._canceller is not None:
            heard = self._canceller.clean(heard, until_s - len(heard) / HEARING_RATE_HZ)
            until_s -= self._canceller.delay_s
        if len(heard):
            self._hand_over(heard, until_s)

    def played(self, samples: Samples, at_s: float) -> None:
        """What the call hears of us, as a tap of the mixer."""
        if self._canceller is not None:
            self._canceller.played(samples, at_s)

    def mute(self) -> None:
        """Hear nothing; what is being said is forgotten."""
        self.muted = True
        self._listener.drop()

    def unmute(self) -> None:
        """Hear again, from now on."""
        self._take()
        self.muted = False

    def close(self) -> None:
        """Forget what is being said and hear nothing more."""
        self._closed = True
        self._listener.drop()

    def _hand_over(self, samples: Samples, until_s: float) -> None:
        with self._lock:
            wake = not self._queue
            self._queue.append((samples, until_s))
            self._queued_samples += len(samples)
            while self._queued_samples > QUEUE_S * HEARING_RATE_HZ:
                self._queued_samples -= len(self._queue.popleft()[0])
                self.dropped += 1
        if wake and not self._closed:
            try:
                self._loop.call_soon_threadsafe(self._take)
            except RuntimeError:  # the loop has ended before the device
                self._closed = True

    def _take(self) -> None:
        with self._lock:
            blocks = list(self._queue)
            self._queue.clear()
            self._queued_samples = 0
        for samples, until_s in blocks:
            if self._closed:
                return
            self._meter.push(samples)
            if not self.muted:
                self._listener.feed(samples, until_s)
