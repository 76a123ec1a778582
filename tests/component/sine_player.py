"""Run as a program: plays a sine on the virtual microphone and prints, as JSON, when each block was to be heard.

python -m tests.component.sine_player SECONDS FREQUENCY_HZ
"""

import json
import sys
import time

import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Samples
from peer_local.devices.choose import Sound
from peer_local.devices.streams import PortAudioOutput
from peer_local.settings import EarsSettings, MicrophoneSettings


class Sine:
    """Starts with its first pull; remembers (position in samples, at_s, now_s) of every one."""

    def __init__(self, frequency_hz: float) -> None:
        self._step = 2 * np.pi * frequency_hz / SPEECH_RATE_HZ
        self.position = 0
        self.pulls: list[tuple[int, float, float]] = []

    def pull(self, count: int, at_s: float) -> Samples:
        self.pulls.append((self.position, at_s, time.monotonic()))
        place = np.arange(self.position, self.position + count)
        self.position += count
        return np.asarray(0.5 * np.cos(self._step * place), np.float32)


def main(seconds: float, frequency_hz: float) -> None:
    sound = Sound(MicrophoneSettings(kind="virtual"), EarsSettings(source="none"))
    sine = Sine(frequency_hz)
    try:
        output = sound.output()(sine)
        time.sleep(seconds)
        assert isinstance(output, PortAudioOutput)
        said = {
            "name": output.name,
            "alive": output.alive,
            "underflows": output.underflows,
            "failed_pulls": output.failed_pulls,
        }
        output.close()
    finally:
        sound.close()
    print(json.dumps({**said, "pulls": sine.pulls}))


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
