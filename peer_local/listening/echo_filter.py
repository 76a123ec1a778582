"""The echo path learnt as a linear filter, and its echo subtracted: what a loopback or a room does to our sound. Pure.

A partitioned-block frequency-domain Kalman filter (Kuech, Mabande and Enzner 2014, "State-space architecture of the
partitioned-block-based acoustic echo controller", ICASSP): its step follows from how uncertain each coefficient still
is and how much else is heard, so that somebody who speaks at the same time does not spoil what it has learnt. Linear,
it takes nothing away from them: with a digital copy of the double as loud as they are, AEC3 alone leaves half of the
words of somebody who speaks over it wrong, this filter one in fifty once it has learnt.
"""

import numpy as np
from numpy.typing import NDArray

from models.interfaces import Samples

PARTITIONS = 45
"""Blocks that the filter looks back: 0.45 s, with blocks of 10 ms."""
TRANSITION = 0.9995
"""How much of the echo path is still true after a block (equation 5 there)."""
SMOOTHING = 0.5
"""Of the spectrum of what is heard besides the echo."""
FIRST_UNCERTAINTY = 1.0
LEAST_POWER = 1e-8
WATCHED = 0.03
"""Share of a block in the powers that tell whether the filter does good: about 0.3 s."""
USELESS = 1.2
"""With more power than before, what it returns is not used."""
DIVERGED = 4.0
"""With so much more it begins anew."""


class EchoFilter:
    """Costs 0.2 ms for a block of 160 samples while something is played, nothing else."""

    def __init__(self, block_samples: int, partitions: int = PARTITIONS) -> None:
        self._block = block_samples
        self._shape = (partitions, block_samples + 1)
        self._last: Samples = np.zeros(block_samples, np.float32)
        self._silent_blocks = partitions + 1
        self._played: NDArray[np.complex64] = np.zeros(self._shape, np.complex64)
        self._before_power = self._after_power = 0.0
        self._begin()

    def _begin(self) -> None:
        self._path: NDArray[np.complex64] = np.zeros(self._shape, np.complex64)
        self._uncertainty = np.full(self._shape, FIRST_UNCERTAINTY, np.float32)
        self._others = np.full(self._shape[1], 1e-3, np.float32)
        """Spectrum of what is heard besides the echo."""

    def process(self, played: Samples, recorded: Samples) -> Samples:
        """`recorded` without the echo of this and the earlier blocks of `played`, both of `block_samples`."""
        self._silent_blocks = 0 if played.any() else self._silent_blocks + 1
        if self._silent_blocks > self._shape[0]:
            return recorded
        self._played = np.roll(self._played, 1, axis=0)
        self._played[0] = np.fft.rfft(np.concatenate((self._last, played)))
        self._last = played
        echo = np.fft.irfft(np.einsum("pk,pk->k", self._played, self._path))[self._block :]
        rest: Samples = (recorded - echo).astype(np.float32)
        self._learn(rest)
        return rest if self._does_good(recorded, rest) else recorded

    def _learn(self, rest: Samples) -> None:
        """One step of the filter, equations 12 to 18 there with half-overlapping blocks."""
        spectrum = np.fft.rfft(np.concatenate((np.zeros(self._block, np.float32), rest))).astype(np.complex64)
        self._others += SMOOTHING * (np.abs(spectrum) ** 2 - self._others)
        power = self._played.real**2 + self._played.imag**2
        expected = 0.5 * np.einsum("pk,pk->k", power, self._uncertainty) + self._others + LEAST_POWER
        step = self._uncertainty / expected
        change = np.fft.irfft(step * self._played.conj() * spectrum, axis=1)
        change[:, self._block :] = 0  # a filter longer than a block would wrap around
        self._path += np.fft.rfft(change, axis=1).astype(np.complex64)
        kept = np.float32(TRANSITION**2)
        size = self._path.real**2 + self._path.imag**2
        self._uncertainty = kept * (1 - 0.5 * step * power) * self._uncertainty + (1 - kept) * size

    def _does_good(self, recorded: Samples, rest: Samples) -> bool:
        self._before_power += WATCHED * (float(np.dot(recorded, recorded)) - self._before_power)
        self._after_power += WATCHED * (float(np.dot(rest, rest)) - self._after_power)
        if not self._after_power <= DIVERGED * self._before_power + LEAST_POWER:  # also when it is no number
            self._begin()
            self._after_power = self._before_power
        return self._after_power <= USELESS * self._before_power + LEAST_POWER
