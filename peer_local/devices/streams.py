"""Open sound streams: what PortAudio calls with each block, whether it still calls, and how it is let go."""

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.interfaces import SPEECH_RATE_HZ, Samples
from peer_local.devices.conversion import RateListener, RateSource
from peer_local.devices.device_clock import DeviceClock
from peer_local.interfaces import SoundListener, SoundSource

CLOSE_S = 2.0
SILENT_S = 1.0
"""A device that has not called back for so long is gone."""
STARTING_S = 3.0
"""So long after its start it may be silent for longer: an idle PulseAudio null sink wakes only after up to 2 s."""

log = logging.getLogger(__name__)


class Times(Protocol):
    currentTime: float
    inputBufferAdcTime: float
    outputBufferDacTime: float


class SoundStream:
    """What outputs and inputs share: whether the device still calls, and how it is let go."""

    def __init__(self, name: str, release: Callable[["SoundStream"], None], now: Callable[[], float]) -> None:
        self._name = name
        self._release = release
        self._now = now
        self._lock = threading.Lock()
        self._closed = False
        self._ended = False
        self._started_s = self._called_s = now()
        self.handle: Any = None
        """PortAudio's stream."""
        self.server_name: str | None = None
        """PulseAudio's own name for the device."""

    @property
    def name(self) -> str:
        return self._name

    @property
    def alive(self) -> bool:
        """False once closed, ended by the driver, or silent for SILENT_S."""
        now_s = self._now()
        patience_s = SILENT_S if now_s - self._started_s > STARTING_S else STARTING_S
        return not self._closed and not self._ended and now_s - self._called_s <= patience_s

    def ended(self) -> None:
        """PortAudio's word that it will not call again."""
        self._ended = True

    def close(self) -> None:
        """Let the device go, within CLOSE_S; the source or listener is not called afterwards."""
        self._closed = True
        if self._lock.acquire(timeout=CLOSE_S):  # the callback in progress has ended
            self._lock.release()
        self._release(self)


class PortAudioOutput(SoundStream):
    """Plays a source."""

    def __init__(
        self, source: SoundSource, name: str, release: Callable[["SoundStream"], None], now: Callable[[], float]
    ) -> None:
        super().__init__(name, release, now)
        self._source = source
        self._clock = DeviceClock(0.0, output=True)
        self.underflows = 0
        """Times that the device ran dry."""
        self.failed_pulls = 0
        """Blocks of silence because the source raised or returned too little."""

    def opened(self, handle: Any, rate_hz: int) -> None:
        """Before the first callback."""
        self.handle = handle
        self._clock = DeviceClock(float(handle.latency), output=True)
        if rate_hz != SPEECH_RATE_HZ:
            self._source = RateSource(self._source, rate_hz)

    def fill(self, out: NDArray[np.float32], frames: int, times: Times, status: Any) -> None:
        """PortAudio's callback: float32 [frames, channels]."""
        now_s = self._now()
        self._called_s = now_s
        if status and status.output_underflow:
            self.underflows += 1
        at_s = self._clock.at_s(now_s, times.currentTime, times.outputBufferDacTime)
        with self._lock:
            if self._closed:
                out[:] = 0
                return
            try:
                out[:] = self._source.pull(frames, at_s).reshape(frames, 1)
            except Exception:
                out[:] = 0
                self.failed_pulls += 1
                if self.failed_pulls == 1:
                    log.exception("sound_source_failed", extra={"device": self._name})


class PortAudioInput(SoundStream):
    """Records for a listener."""

    def __init__(
        self, listener: SoundListener, name: str, release: Callable[["SoundStream"], None], now: Callable[[], float]
    ) -> None:
        super().__init__(name, release, now)
        self._listener = listener
        self._clock = DeviceClock(0.0, output=False)
        self.overflows = 0
        """Times that recorded sound was lost before it was fetched."""
        self.failed_pushes = 0

    def opened(self, handle: Any, rate_hz: int, asked_hz: int) -> None:
        """Before the first callback."""
        self.handle = handle
        self._clock = DeviceClock(float(handle.latency), output=False)
        if rate_hz != asked_hz:
            self._listener = RateListener(self._listener, rate_hz, asked_hz)

    def take(self, recorded: NDArray[np.float32], frames: int, times: Times, status: Any) -> None:
        """PortAudio's callback: float32 [frames, channels], valid only during the call."""
        now_s = self._now()
        self._called_s = now_s
        if status and status.input_overflow:
            self.overflows += 1
        at_s = self._clock.at_s(now_s, times.currentTime, times.inputBufferAdcTime)
        mono: Samples = recorded.mean(axis=1, dtype=np.float32) if recorded.shape[1] > 1 else recorded[:, 0].copy()
        with self._lock:
            if self._closed:
                return
            try:
                self._listener.push(mono, at_s)
            except Exception:
                self.failed_pushes += 1
                if self.failed_pushes == 1:
                    log.exception("sound_listener_failed", extra={"device": self._name})
