"""From the 48 kHz of speech to the 16 kHz of Whisper, piece by piece, with every sample in its place.

A filter of our own, because its delay is known exactly: output sample i is the sound at input sample 3 i, and needs
94 samples (2 ms) after it. A library's resampler hides some of its delay, and lips would follow the sound by it.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.face.musetalk.timing import FEATURE_RATE_HZ
from models.interfaces import SPEECH_RATE_HZ, Samples

_RATIO: Final = SPEECH_RATE_HZ // FEATURE_RATE_HZ

_REACH_SAMPLES: Final = 94
"""Input samples on either side of the one that is replaced."""

_CUTOFF_HZ: Final = 7_700.0
"""Flat to 7 kHz, 75 dB down from 8.4 kHz: what folds back lies above 7.6 kHz, in the last mel band."""

_BETA: Final = 7.5


class Downsampler:
    """Takes any number of samples at 48 kHz, gives those at 16 kHz that are complete. One answer each."""

    def __init__(self) -> None:
        self._left = np.zeros(_REACH_SAMPLES, np.float32)
        self._flushed = False

    def push(self, samples: Samples) -> Samples:
        """The samples that `samples` completes, float32. ValueError after `flush`."""
        if self._flushed:
            raise ValueError("The sound has ended; take a new Downsampler for more.")
        sound = np.concatenate((self._left, np.asarray(samples, np.float32)))
        count = max(0, (len(sound) - len(_FILTER)) // _RATIO + 1)
        self._left = sound[count * _RATIO :].copy()
        if not count:
            return np.zeros(0, np.float32)
        sound = sound[: (count - 1) * _RATIO + len(_FILTER)]
        out: Samples = sum(
            (np.correlate(sound[phase::_RATIO], _FILTER[phase::_RATIO]) for phase in range(_RATIO)),
            start=np.zeros(count, np.float32),
        )
        return out

    def flush(self) -> Samples:
        """The rest, as if silence followed: together one sample for every three, a last one or two counted whole."""
        rest = self.push(np.zeros(_REACH_SAMPLES, np.float32))
        self._flushed = True
        return rest


def _lowpass() -> NDArray[np.float32]:
    """A windowed sinc of odd length with gain 1 at 0 Hz (Oppenheim and Schafer, section 7.5: Kaiser's window)."""
    places = np.arange(-_REACH_SAMPLES, _REACH_SAMPLES + 1)
    sinc = np.sinc(2 * _CUTOFF_HZ / SPEECH_RATE_HZ * places) * np.kaiser(len(places), _BETA)
    lowpass: NDArray[np.float32] = (sinc / sinc.sum()).astype(np.float32)
    return lowpass


_FILTER: Final = _lowpass()
