"""Between 48 kHz mono and what a device takes. Pure."""

import numpy as np
import soxr

from models.interfaces import SPEECH_RATE_HZ, Samples
from peer_local.interfaces import SoundListener, SoundSource

BLOCK_MS = 10


class RateSource:
    """A source at SPEECH_RATE_HZ, pulled at another rate; a block costs under 0.1 ms and comes about 15 ms later."""

    def __init__(self, source: SoundSource, rate_hz: int) -> None:
        self._source = source
        self._rate_hz = rate_hz
        self._stream = soxr.ResampleStream(SPEECH_RATE_HZ, rate_hz, 1, dtype="float32", quality="HQ")
        self._ready: Samples = np.zeros(0, np.float32)

    def pull(self, count: int, at_s: float) -> Samples:
        """The next `count` samples at the device's rate; `at_s` is corrected by what waits inside."""
        block = SPEECH_RATE_HZ * BLOCK_MS // 1_000
        while len(self._ready) < count:
            ahead_samples = len(self._ready) + float(self._stream.delay())
            made = self._stream.resample_chunk(self._source.pull(block, at_s + ahead_samples / self._rate_hz))
            self._ready = np.concatenate((self._ready, made))
        taken, self._ready = self._ready[:count], self._ready[count:]
        return taken


class RateListener:
    """A listener at one rate, fed at another."""

    def __init__(self, listener: SoundListener, from_hz: int, to_hz: int) -> None:
        self._listener = listener
        self._to_hz = to_hz
        self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")

    def push(self, samples: Samples, at_s: float) -> None:
        waiting_s = float(self._stream.delay()) / self._to_hz
        if len(made := self._stream.resample_chunk(samples)):
            self._listener.push(made, at_s - waiting_s)
