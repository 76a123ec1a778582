"""Whisper's log-mel spectrogram in NumPy, for Smart Turn.

Radford et al. 2022 (arXiv 2212.04356), section 2.2: 80 mel bands, windows of 25 ms, 10 ms apart. Smart Turn v3 was
trained on Hugging Face's WhisperFeatureExtractor with `do_normalize`: zero mean and unit variance over the padded
8 s, frames centred with reflected edges, the last one dropped.
"""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from models.interfaces import HEARING_RATE_HZ, Samples

MEL_BANDS = 80
WINDOW_SAMPLES = 400
HOP_SAMPLES = 160
_FLOOR = 1e-10
_DYNAMIC_RANGE_DECADES = 8.0
_VARIANCE_EPSILON = 1e-7


def log_mel(samples: Samples, *, length_samples: int) -> NDArray[np.float32]:
    """Features of the last `length_samples` of `samples` at 16 kHz, zeros before them: [80, length / 160].

    Only frames that touch real sound are transformed: the padding is one constant after normalisation.
    """
    heard = samples[-length_samples:]
    padding = length_samples - len(heard)
    mean = float(heard.sum(dtype=np.float64)) / length_samples
    power = float(np.square(heard, dtype=np.float64).sum()) / length_samples
    scale = 1 / np.sqrt(power - mean * mean + _VARIANCE_EPSILON)

    frames = length_samples // HOP_SAMPLES
    edge = WINDOW_SAMPLES // 2
    quiet_frames = max(0, (padding - edge) // HOP_SAMPLES)
    begin = quiet_frames * HOP_SAMPLES - edge
    signal = np.zeros(length_samples - max(0, begin), np.float32)
    signal[len(signal) - len(heard) :] = heard
    signal = (signal - np.float32(mean)) * np.float32(scale)
    signal = np.pad(signal, (max(0, -begin), edge), mode="reflect")
    windows = sliding_window_view(signal, WINDOW_SAMPLES)[::HOP_SAMPLES][: frames - quiet_frames]
    mel = _mel_power(windows)
    if quiet_frames:
        quiet = np.full((1, WINDOW_SAMPLES), -mean * scale, np.float32)
        mel = np.hstack((np.repeat(_mel_power(quiet), quiet_frames, axis=1), mel))
    logarithm = np.log10(np.maximum(mel, _FLOOR))
    clamped = np.maximum(logarithm, logarithm.max() - _DYNAMIC_RANGE_DECADES)
    return np.asarray((clamped + 4) / 4, np.float32)


def _mel_power(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """[frames, 400] samples to [80, frames] mel power."""
    spectrum = np.fft.rfft(windows * _hann(), axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    result: NDArray[np.float32] = _filters() @ power.T.astype(np.float32)
    return result


@cache
def _hann() -> NDArray[np.float32]:
    """The periodic Hann window."""
    phase = 2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


@cache
def _filters() -> NDArray[np.float32]:
    """Triangles of equal area on Slaney's mel scale (Auditory Toolbox, 1998), 0 Hz to 8 kHz: [80, 201]."""
    nyquist_hz = HEARING_RATE_HZ / 2
    corners_hz = _hz_of_mel(np.linspace(0, _mel_of_hz(nyquist_hz), MEL_BANDS + 2))
    bins_hz = np.linspace(0, nyquist_hz, WINDOW_SAMPLES // 2 + 1)
    low, centre, high = corners_hz[:-2, None], corners_hz[1:-1, None], corners_hz[2:, None]
    triangles = np.minimum((bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre))
    return (np.maximum(0, triangles) * 2 / (high - low)).astype(np.float32)


_LINEAR_HZ_PER_MEL = 200 / 3
_KNEE_HZ = 1_000.0
_KNEE_MEL = 15.0
_LOG_STEP = float(np.log(6.4)) / 27
"""Slaney's scale is linear up to 1 kHz, then 27 mel for each factor of 6.4."""


def _mel_of_hz(hz: float) -> float:
    """For frequencies above 1 kHz."""
    return _KNEE_MEL + float(np.log(hz / _KNEE_HZ)) / _LOG_STEP


def _hz_of_mel(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < _KNEE_MEL, mel * _LINEAR_HZ_PER_MEL, _KNEE_HZ * np.exp((mel - _KNEE_MEL) * _LOG_STEP))
