"""What our own recognizer hears in a recording of any length."""

from typing import Final

import numpy as np

from models.interfaces import HEARING_RATE_HZ, Samples, SpeechRecognizer

_MOST_HEARD_S: Final = 28
"""A recognizer takes 29 s."""
_QUIET_S: Final = 0.1


async def heard_in(recognizer: SpeechRecognizer, samples: Samples, language: str) -> str:
    """What is said in `samples` at HEARING_RATE_HZ, of any length; parts are cut at the softest moments."""
    texts = []
    while len(samples):
        end = _cut(samples)
        texts.append((await recognizer.transcribe(samples[:end], language=language)).text.strip())
        samples = samples[end:]
    return " ".join(filter(None, texts))


def _cut(samples: Samples) -> int:
    most = _MOST_HEARD_S * HEARING_RATE_HZ
    if len(samples) <= most:
        return len(samples)
    hop = int(_QUIET_S * HEARING_RATE_HZ)
    begin = most // 2
    energy = np.square(samples[begin : begin + (most - begin) // hop * hop]).reshape(-1, hop).mean(axis=1)
    return begin + int(np.argmin(energy)) * hop + hop // 2
