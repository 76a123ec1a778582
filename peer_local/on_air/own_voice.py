"""The real microphone, passed through to the call: recorded at one device's pace, played at another's."""

import threading

import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Samples
from peer_local.on_air.meter import Level, Meter
from peer_local.playback.resampling import FractionalReader

_MS = SPEECH_RATE_HZ // 1_000
_FADE_SAMPLES = 5 * _MS
_MARGIN_MS = 6.0
"""What should be left beyond one block of the input when least is left. That block is needed because the two devices'
blocks slide past each other with the drift, once in minutes, and then a whole one is missing from one pull to the next.
With blocks of 10 ms this makes 20 to 40 ms."""
_HIGHEST_MARGIN_MS = 60.0
_MARGIN_STEP_MS = 10.0
_MARGIN_FALL_PER_S = 0.5
_LONGEST_BLOCK = 25 * _MS
"""Longer ones are taken for what piled up during a stall."""
_SURPLUS_MS = 150
"""More than this beyond the margin is jumped over, less is caught up by playing faster."""
_CAPACITY_MS = 1_000
_WINDOW_S = 0.5
_RESPONSE_S = 10.0
"""Time in which a deviation shrinks to 37 %: slow enough for nobody to hear the pitch move."""
_STRONGEST_RATIO = 0.005
"""9 cents: a change of pitch that is not noticed in speech."""
_RISE = np.linspace(0, 1, _FADE_SAMPLES, endpoint=False, dtype=np.float32)
_FALL = 1 - _RISE


class OwnVoice:
    """A SoundListener at SPEECH_RATE_HZ and a SoundSource, each on its device's own thread.

    Drift between the two clocks is absorbed by reading up to 0.5 % faster or slower. Running dry fades out, counts in
    `underruns` and asks for more reserve for a while; being flooded jumps ahead with a crossfade and counts in
    `overflows`. Budget: 0.1 ms for 20 ms of sound, and the lock is held no longer than that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reader = FractionalReader(_CAPACITY_MS * _MS)
        self._meter = Meter()
        self._running = False
        self._margin_ms = _MARGIN_MS
        self._block_samples = 0
        self._ratio = 1.0
        self._lowest_samples = float("inf")
        self._window_s = 0.0
        self._last = 0.0
        self.underruns = 0
        self.overflows = 0

    @property
    def level(self) -> Level:
        """Of the microphone, on air or not."""
        return self._meter.level

    @property
    def waiting_ms(self) -> float:
        """How much sound lies between the two devices: the delay of the voice, their own latencies aside."""
        return self._reader.waiting_samples / _MS

    def push(self, samples: Samples, at_s: float) -> None:
        """Take what the microphone recorded."""
        with self._lock:
            self._reader.push(samples)
            self._block_samples = max(self._block_samples, min(len(samples), _LONGEST_BLOCK))
        self._meter.push(samples)

    def pull(self, count: int, at_s: float) -> Samples:
        """The next `count` samples of the voice; silence while there are not enough."""
        if count <= 0:
            return np.zeros(0, np.float32)
        with self._lock:
            samples = self._read(count)
        self._last = float(samples[-1])
        return samples

    def _read(self, count: int) -> Samples:
        reader = self._reader
        margin_samples = self._margin_ms * _MS + self._block_samples
        ready_samples = count + margin_samples + self._block_samples
        if not self._running:
            if reader.waiting_samples < ready_samples:
                return self._continued(np.zeros(count, np.float32))
            reader.skip(reader.waiting_samples - ready_samples)
            self._start_window()
            self._running = True
            self._ratio = 1.0
            samples = self._fill(count)
            rise = min(count, _FADE_SAMPLES)
            samples[:rise] *= _RISE[:rise]
        elif reader.waiting_samples > count + margin_samples + _SURPLUS_MS * _MS:
            self.overflows += 1
            before = reader.pull(min(count, _FADE_SAMPLES), self._ratio)
            reader.skip(reader.waiting_samples - ready_samples)
            self._start_window()
            samples = self._fill(count)
            fade = len(before)
            samples[:fade] = samples[:fade] * _RISE[:fade] + before * _FALL[:fade]
            return samples
        else:
            samples = self._fill(count)
        self._follow(count)
        return samples

    def _fill(self, count: int) -> Samples:
        """`count` samples, the last ones faded out when the microphone has not sent enough."""
        samples = self._reader.pull(count, self._ratio)
        if len(samples) == count:
            return samples
        self.underruns += 1
        self._running = False
        self._margin_ms = min(self._margin_ms + _MARGIN_STEP_MS, _HIGHEST_MARGIN_MS)
        fade = min(len(samples), _FADE_SAMPLES)
        if fade:
            samples[-fade:] *= 1 - np.arange(1, fade + 1, dtype=np.float32) / fade
        padded = np.concatenate([samples, np.zeros(count - len(samples), np.float32)])
        return padded if fade == _FADE_SAMPLES else self._continued(padded)

    def _continued(self, samples: Samples) -> Samples:
        """`samples`, which begin at or near 0, without a step from what was put out last."""
        step = self._last - float(samples[0])
        if step:
            length = min(len(samples), _FADE_SAMPLES)
            samples[:length] += step * _FALL[:length]
        return samples

    def _start_window(self) -> None:
        self._lowest_samples = float("inf")
        self._window_s = 0.0

    def _follow(self, count: int) -> None:
        """Once per window: read faster when more than the margin was always left, slower when less."""
        self._lowest_samples = min(self._lowest_samples, self._reader.waiting_samples)
        self._window_s += count / SPEECH_RATE_HZ
        if self._window_s < _WINDOW_S:
            return
        self._margin_ms = max(_MARGIN_MS, self._margin_ms - _MARGIN_FALL_PER_S * self._window_s)
        surplus_s = (self._lowest_samples - self._block_samples) / SPEECH_RATE_HZ - self._margin_ms / 1_000
        self._ratio = 1.0 + float(np.clip(surplus_s / _RESPONSE_S, -_STRONGEST_RATIO, _STRONGEST_RATIO))
        self._start_window()
