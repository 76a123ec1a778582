"""What was played, to be found by the time at which it was heard. Pure."""

import numpy as np
import soxr

from models.interfaces import HEARING_RATE_HZ, SPEECH_RATE_HZ, Samples

FRAME_SAMPLES = HEARING_RATE_HZ // 100
"""10 ms, the only frame that WebRTC's audio processing takes."""
STALE_S = 0.3
"""Nothing played for so long: there is no reference to wait for."""
RING_S = 2.0
JUMP_S = 0.04
"""An error of time above this is a gap; one below it is jitter or drift, which is followed slowly."""
FOLLOW = 0.02
"""Share of a time's error that is believed at each block."""


class StreamClock:
    """When the samples of a stream sounded: the times of its blocks without their jitter. Pure."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self.end_s: float | None = None
        """When the next sample sounds."""

    def push(self, count: int, at_s: float) -> float:
        """Take a block of `count` samples whose first one sounded at `at_s`; return the gap before it.

        A negative gap means that it overlaps what came before; 0 means that it follows it.
        """
        error_s = 0.0 if self.end_s is None else at_s - self.end_s
        gap_s = error_s if abs(error_s) > JUMP_S else 0.0
        start_s = at_s if self.end_s is None or gap_s else self.end_s + FOLLOW * error_s
        self.end_s = start_s + count / self._rate_hz
        return gap_s


class Reference:
    """The last RING_S of what was played, at 16 kHz. Not for two threads."""

    def __init__(self, rate_hz: int = SPEECH_RATE_HZ) -> None:
        self._rate_hz = rate_hz
        self._clock = StreamClock(rate_hz)
        self._resampler = soxr.ResampleStream(rate_hz, HEARING_RATE_HZ, 1, dtype="float32", quality="LQ")
        self._ring = np.zeros(round(RING_S * HEARING_RATE_HZ), np.float32)
        self._taken = 0
        """Samples taken, at the input's rate."""
        self._end = 0
        """Samples written; the resampler keeps some milliseconds back."""

    def push(self, samples: Samples, at_s: float) -> None:
        """Take what is played; its first sample is heard at `at_s`."""
        gap_s = self._clock.push(len(samples), at_s)
        if gap_s > 0:
            self._write(np.zeros(round(min(gap_s, RING_S) * self._rate_hz), np.float32))
        self._write(samples)

    def position(self, at_s: float) -> int | None:
        """Which sample is heard at `at_s`; None when nothing was played within STALE_S before."""
        end_s = self._clock.end_s
        if end_s is None or at_s > end_s + STALE_S:
            return None
        return round(self._taken * HEARING_RATE_HZ / self._rate_hz - (end_s - at_s) * HEARING_RATE_HZ)

    def has(self, position: int) -> bool:
        """Whether the frame at `position` was played already."""
        return position + FRAME_SAMPLES <= self._end

    def frame(self, position: int) -> Samples:
        """FRAME_SAMPLES from `position` on; silence where nothing is known."""
        places = np.arange(position, position + FRAME_SAMPLES)
        known = (places >= max(0, self._end - len(self._ring))) & (places < self._end)
        return np.where(known, self._ring[places % len(self._ring)], np.float32(0))

    def _write(self, samples: Samples) -> None:
        self._taken += len(samples)
        resampled = self._resampler.resample_chunk(samples)[-len(self._ring) :]
        places = np.arange(self._end, self._end + len(resampled)) % len(self._ring)
        self._ring[places] = resampled
        self._end += len(resampled)
