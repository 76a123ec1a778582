"""What the speaker encoder sees of a recording: mel spectra of 1.6 s parts without long silences.

The figures are those that the network was trained with (resemblyzer/hparams.py); the mel scale is Slaney's, linear to
1 kHz and logarithmic above (Auditory Toolbox, 1998), each filter of the same area, as librosa makes it.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.interfaces import HEARING_RATE_HZ, Samples

FRAMES: Final = 160
"""Of one part; 10 ms each."""
CHANNELS: Final = 40
_WINDOW_SAMPLES: Final = 400
_HOP_SAMPLES: Final = 160
_PARTS_PER_SECOND: Final = 1.3
_LEAST_COVERED: Final = 0.75
"""Of a last part; one that is shorter is left out unless it is the only one."""

_LOUDNESS_DB: Final = -30.0
_SILENCE_HOP_SAMPLES: Final = 480
_SILENCE_BELOW_SPEECH_DB: Final = 30.0
_KEPT_SILENCE_HOPS: Final = 3
"""90 ms on both sides of speech."""


def parts(samples: Samples) -> Samples:
    """Mel spectra float32 [parts, FRAMES, CHANNELS] of speech at HEARING_RATE_HZ; at least one part."""
    samples = _with_short_silences(_loud_enough(samples))
    frames = -(-(len(samples) + 1) // _HOP_SAMPLES)
    step = round(HEARING_RATE_HZ / _PARTS_PER_SECOND / _HOP_SAMPLES)
    starts = list(range(0, max(1, frames - FRAMES + step + 1), step))
    covered = len(samples) / _HOP_SAMPLES - starts[-1]
    if covered < _LEAST_COVERED * FRAMES and len(starts) > 1:
        starts.pop()
    padding = max(0, (starts[-1] + FRAMES) * _HOP_SAMPLES - len(samples))
    spectra = mel_spectra(np.pad(samples, (0, padding)))
    return np.stack([spectra[start : start + FRAMES] for start in starts])


def mel_spectra(samples: Samples) -> Samples:
    """Power in CHANNELS bands, float32 [1 + samples / 160, CHANNELS], each frame centred on its sample."""
    padded = np.pad(samples, _WINDOW_SAMPLES // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW_SAMPLES)[::_HOP_SAMPLES]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW_SAMPLES) / _WINDOW_SAMPLES)
    power = np.abs(np.fft.rfft(windows * hann, axis=1)) ** 2
    spectra: Samples = (power @ _filters().T).astype(np.float32)
    return spectra


@cache
def _filters() -> Samples:
    """Triangles [CHANNELS, 201] between neighbouring centres, of area 1 each."""
    edges = _hertz(np.linspace(0, _mel(HEARING_RATE_HZ / 2), CHANNELS + 2))
    bins = np.linspace(0, HEARING_RATE_HZ / 2, _WINDOW_SAMPLES // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    area = 2 / (edges[2:] - edges[:-2])
    filters: Samples = (np.maximum(0, np.minimum(rising, falling)) * area[:, None]).astype(np.float32)
    return filters


def _mel(hertz: float) -> float:
    """Slaney's scale above 1 kHz: 15 mel at 1 kHz, 27 steps for a factor of 6.4."""
    return 15 + 27 * float(np.log(hertz / 1_000) / np.log(6.4))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    hertz: NDArray[np.float64] = np.where(mel < 15, mel * 200 / 3, 1_000 * 6.4 ** ((mel - 15) / 27))
    return hertz


def _loud_enough(samples: Samples) -> Samples:
    """Raised to _LOUDNESS_DB if it is softer."""
    level_db = 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12)
    return samples * np.float32(10 ** (max(0.0, _LOUDNESS_DB - level_db) / 20))


def _with_short_silences(samples: Samples) -> Samples:
    """Without silence that is further than 90 ms from speech; all of it when there is no speech."""
    hops = samples[: len(samples) // _SILENCE_HOP_SAMPLES * _SILENCE_HOP_SAMPLES].reshape(-1, _SILENCE_HOP_SAMPLES)
    if not len(hops):
        return samples
    level_db = 10 * np.log10(np.mean(np.square(hops, dtype=np.float64), axis=1) + 1e-12)
    active = level_db[level_db > level_db.max() - 25]
    speech = level_db > 10 * np.log10(np.mean(10 ** (active / 10))) - _SILENCE_BELOW_SPEECH_DB
    kept = np.convolve(speech, np.ones(2 * _KEPT_SILENCE_HOPS + 1))[_KEPT_SILENCE_HOPS:-_KEPT_SILENCE_HOPS] > 0
    result: Samples = hops[kept].ravel()
    return result
