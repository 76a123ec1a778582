"""Whisper's mel bands in numpy, and how loud the loudest of them is.

Whisper's log-mel is cut off eight decades below the loudest band of the whole 30 s. That maximum decides what silence
looks like to the network, so it is followed here, where it costs microseconds, and given to the encoder as a number.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from models.face.musetalk.timing import FEATURE_RATE_HZ
from models.interfaces import Samples

FFT_SAMPLES: Final = 400
HOP_SAMPLES: Final = 160
BANDS: Final = 80
RANGE_DECADES: Final = 8.0
LEAST_POWER: Final = 1e-10
"""Power of a band is never taken as less, so that digital silence has a logarithm."""


@cache
def mel_filters() -> NDArray[np.float32]:
    """Weights [FFT_SAMPLES // 2 + 1, BANDS] of Slaney's triangular bands from 0 to 8 kHz, each of area one.

    Slaney, "Auditory Toolbox" (1998): linear up to 1 kHz, logarithmic above, as librosa and Whisper have it.
    """
    frequencies_hz = np.linspace(0, FEATURE_RATE_HZ / 2, FFT_SAMPLES // 2 + 1)
    edges_hz = _to_hz(np.linspace(0, _to_mel(FEATURE_RATE_HZ / 2), BANDS + 2))
    rising = (frequencies_hz[:, None] - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - frequencies_hz[:, None]) / (edges_hz[2:] - edges_hz[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges_hz[2:] - edges_hz[:-2]))
    filters: NDArray[np.float32] = triangles.astype(np.float32)
    filters.flags.writeable = False
    return filters


def loudest(sound: Samples) -> float:
    """log10 of the greatest power of a mel band among the frames that fit into `sound`, one every HOP_SAMPLES.

    The first frame begins at the first sample. Sound shorter than a frame has no power.
    """
    if len(sound) < FFT_SAMPLES:
        return float(np.log10(LEAST_POWER))
    frames = sliding_window_view(sound, FFT_SAMPLES)[::HOP_SAMPLES] * _hann()
    power = np.abs(np.fft.rfft(frames)) ** 2 @ mel_filters()
    return float(np.log10(max(power.max(), LEAST_POWER)))


@cache
def _hann() -> NDArray[np.float32]:
    """The periodic window of torch.hann_window."""
    window: NDArray[np.float32] = np.hanning(FFT_SAMPLES + 1)[:-1].astype(np.float32)
    return window


_LINEAR_UNTIL_HZ: Final = 1_000.0
_LINEAR_MELS: Final = 15.0
_MELS_PER_E_FOLD: Final = 27 / np.log(6.4)


def _to_mel(frequency_hz: float) -> float:
    if frequency_hz < _LINEAR_UNTIL_HZ:
        return frequency_hz * _LINEAR_MELS / _LINEAR_UNTIL_HZ
    return float(_LINEAR_MELS + np.log(frequency_hz / _LINEAR_UNTIL_HZ) * _MELS_PER_E_FOLD)


def _to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = mels * _LINEAR_UNTIL_HZ / _LINEAR_MELS
    logarithmic = _LINEAR_UNTIL_HZ * np.exp((mels - _LINEAR_MELS) / _MELS_PER_E_FOLD)
    return np.where(mels < _LINEAR_MELS, linear, logarithmic)
