"""Reads a growing stream of sound a little faster or slower than it was recorded.

Two clocks never run alike: this is how one side's sound comes out at the other side's pace, without steps.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from models.interfaces import Samples

LOWEST_RATIO = 0.98
HIGHEST_RATIO = 1.02

_REACH = 16
"""Samples that an output sample depends on, to either side of its place."""
_PHASES = 2_048
"""Steps between two samples at which the kernel is tabulated: the nearest one is 84 dB true at 3 kHz."""
_KAISER_BETA = 8.0
"""Side lobes under -80 dB, and flat up to 20 kHz at 48 kHz."""

_WHOLE = 1e-9
"""What counts as a whole position, so that rounding does not keep a reader from copying."""


def _kernel() -> NDArray[np.float32]:
    """A Kaiser-windowed sinc (Oppenheim and Schafer, 7.5.3) for every phase: float32 [_PHASES, 2 * _REACH]."""
    taps = np.arange(1 - _REACH, _REACH + 1)
    places = taps[None, :] - np.arange(_PHASES)[:, None] / _PHASES
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (places / _REACH) ** 2, 0, 1))) / np.i0(_KAISER_BETA)
    kernel = np.sinc(places) * window
    normal: NDArray[np.float32] = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    return normal


_KERNEL = _kernel()


class FractionalReader:
    """A stream of mono samples, read at a position that need not be whole. One thread at a time.

    Positions count the samples pushed so far. A read of 960 samples costs about 0.06 ms, and a plain copy when the
    ratio is 1 and the position whole: what comes out then is bit for bit what went in.
    """

    def __init__(self, capacity_samples: int) -> None:
        """At most `capacity_samples` wait to be read; more push out the oldest, counted in `dropped_samples`."""
        self.capacity_samples = capacity_samples
        self.dropped_samples = 0
        self._memory = np.zeros(2 * (capacity_samples + 2 * _REACH), np.float32)
        self._windows = sliding_window_view(self._memory, 2 * _REACH)
        # Silence comes before the first sample, so that the kernel has something to its left from the start.
        self._first = -_REACH
        """Position of the memory's first sample."""
        self._filled = _REACH
        self._whole = 0
        self._fraction = 0.0

    @property
    def position(self) -> float:
        """Where in the stream the next sample is read."""
        return self._whole + self._fraction

    @property
    def end(self) -> int:
        """Where in the stream the next push goes."""
        return self._first + self._filled

    @property
    def waiting_samples(self) -> float:
        """How much lies between the two."""
        return self.end - self._whole - self._fraction

    def push(self, samples: Samples) -> None:
        """Append `samples`, float32 of any length."""
        if len(samples) > self.capacity_samples:
            surplus = len(samples) - self.capacity_samples
            self._drop(int(self.end - self._whole))
            self._first += surplus
            self._whole += surplus
            self.dropped_samples += surplus
            samples = samples[surplus:]
        self._drop(self.end + len(samples) - self._whole - self.capacity_samples)
        if self._filled + len(samples) > len(self._memory):
            self._forget()
        self._memory[self._filled : self._filled + len(samples)] = samples
        self._filled += len(samples)

    def _drop(self, count: int) -> None:
        if count > 0:
            self._whole += count
            self.dropped_samples += count

    def _forget(self) -> None:
        done = self._whole - _REACH - self._first
        self._memory[: self._filled - done] = self._memory[done : self._filled].copy()
        self._first += done
        self._filled -= done

    def needed(self, count: int, ratio: float = 1.0) -> int:
        """How many samples must be pushed before `count` can be pulled whole."""
        if count <= 0:
            return 0
        if ratio == 1.0 and self._fraction == 0.0:
            return max(0, self._whole + count - self.end)
        last = self._whole + math.ceil(self._fraction + (count - 1) * ratio)
        return max(0, last + _REACH + 3 - self.end)

    def pull(self, count: int, ratio: float = 1.0) -> Samples:
        """Read up to `count` samples, `ratio` samples of the stream for each; fewer when it does not reach so far.

        The n-th one returned has its place at `position + n * ratio`, with the position before the call. Raises
        ValueError for a ratio that is not between LOWEST_RATIO and HIGHEST_RATIO.
        """
        if not LOWEST_RATIO <= ratio <= HIGHEST_RATIO:
            raise ValueError(f"ratio {ratio} is not between {LOWEST_RATIO} and {HIGHEST_RATIO}")
        if ratio == 1.0 and self._fraction == 0.0:
            start = self._whole - self._first
            out: Samples = self._memory[start : min(start + count, self._filled)].copy()
            self._whole += len(out)
            return out
        reachable = self.end - _REACH - 2 - self._whole - self._fraction
        count = max(0, min(count, math.floor(reachable / ratio) + 1))
        steps = np.rint((self._fraction + np.arange(count) * ratio) * _PHASES).astype(np.intp)
        starts = self._whole - self._first - _REACH + 1 + steps // _PHASES
        out = np.einsum("ij,ij->i", self._windows[starts], _KERNEL[steps % _PHASES])
        self._go(count * ratio)
        return out

    def skip(self, samples: float) -> None:
        """Leave out the next `samples`, or as many as there are."""
        if samples >= self.waiting_samples:
            self._whole, self._fraction = self.end, 0.0
        else:
            self._go(samples)

    def _go(self, distance: float) -> None:
        ahead = self._fraction + distance
        if abs(ahead - round(ahead)) < _WHOLE:
            ahead = round(ahead)
        self._whole += math.floor(ahead)
        self._fraction = ahead - math.floor(ahead)
