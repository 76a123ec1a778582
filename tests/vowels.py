"""Sounds with a pitch and a throat, for tests that must not need a voice."""

import numpy as np

from models.interfaces import Samples

RATE_HZ = 24_000


def vowel(*, pitch_hz: float = 140.0, formant_hz: float = 900.0, seconds: float = 1.0) -> Samples:
    """Harmonics of `pitch_hz`, loudest around `formant_hz`, with a little sway and a little breath."""
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    phase = 2 * np.pi * pitch_hz * (time_s + 0.0005 * np.sin(2 * np.pi * 3 * time_s))
    harmonics = np.arange(1, int(RATE_HZ / 2.2 / pitch_hz))
    loudness = np.exp(-(((harmonics * pitch_hz - formant_hz) / (0.35 * formant_hz)) ** 2)) + 0.02 / harmonics
    sound = np.sum(loudness[:, None] * np.sin(harmonics[:, None] * phase), axis=0)
    breath = np.random.default_rng(1).normal(0, 1e-3, len(time_s))
    fade = np.minimum(1, np.minimum(np.arange(len(time_s)), np.arange(len(time_s))[::-1]) / 240)
    return np.asarray(0.3 * fade * (sound / np.abs(sound).max() + breath), np.float32)
