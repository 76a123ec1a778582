"""Run as a program: plays clicks on the virtual microphone, hears them through the ears on the same cable, and prints
as JSON by how many milliseconds the time of each heard click differs from the time at which it was to be played.

    python -m tests.component.click_loop SECONDS
"""

import json
import sys
import time

import numpy as np

from models.interfaces import HEARING_RATE_HZ, SPEECH_RATE_HZ, Samples
from peer_local.devices.choose import Sound
from peer_local.settings import EarsSettings, MicrophoneSettings

EVERY_SAMPLES = SPEECH_RATE_HZ // 4
CLICK_SAMPLES = 24


class Clicks:
    """One click every quarter of a second."""

    def __init__(self) -> None:
        self._position = 0
        self.due_s: list[float] = []

    def pull(self, count: int, at_s: float) -> Samples:
        place = np.arange(self._position, self._position + count) % EVERY_SAMPLES
        self._position += count
        if len(start := np.flatnonzero(place == 0)):
            self.due_s.append(at_s + start[0] / SPEECH_RATE_HZ)
        return np.where(place < CLICK_SAMPLES, 0.9, 0.0).astype(np.float32)


class Heard:
    """When each click began."""

    def __init__(self) -> None:
        self.at_s: list[float] = []

    def push(self, samples: Samples, at_s: float) -> None:
        loud = np.flatnonzero(np.abs(samples) > 0.4)
        if len(loud) and (not self.at_s or at_s - self.at_s[-1] > 0.1):
            self.at_s.append(at_s + loud[0] / HEARING_RATE_HZ)


def main(seconds: float) -> None:
    sound = Sound(MicrophoneSettings(kind="virtual"), EarsSettings(device="Understudy (cable)"))
    clicks, heard = Clicks(), Heard()
    open_output, open_ears = sound.output(), sound.ears()
    assert open_ears is not None
    try:
        output = open_output(clicks)
        ears = open_ears(heard, HEARING_RATE_HZ)
        time.sleep(seconds)
        output.close()
        ears.close()
    finally:
        sound.close()
    due_s = np.array(clicks.due_s)
    print(json.dumps([1_000 * float(at_s - due_s[np.argmin(np.abs(due_s - at_s))]) for at_s in heard.at_s]))


if __name__ == "__main__":
    main(float(sys.argv[1]))
