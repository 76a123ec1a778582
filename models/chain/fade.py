"""How sound that breaks off ends: fading, not in a click."""

from typing import Final

import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Samples

FADE_SAMPLES: Final = 10 * SPEECH_RATE_HZ // 1_000
PAUSE_SAMPLES: Final = 120 * SPEECH_RATE_HZ // 1_000
"""Before whatever is said next."""


def fade_out(last: Samples) -> Samples:
    """What follows sound that ended in `last`: it runs backwards while it fades, then there is a pause."""
    tail = last[-FADE_SAMPLES:][::-1]
    sound = np.zeros(FADE_SAMPLES + PAUSE_SAMPLES, np.float32)
    sound[: len(tail)] = tail * np.linspace(1, 0, len(tail), dtype=np.float32)
    return sound
