"""The call's own sound on Windows: WASAPI's loopback, which PortAudio cannot record, by the package `soundcard`."""

import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from models.interfaces import Samples
from peer_local.errors import DeviceError
from peer_local.interfaces import OpenSoundInput, SoundListener

BLOCK_MS = 20
OPEN_S = 8.0
CLOSE_S = 2.0
SILENT_S = 1.0
FOLLOW_S = 2.0
"""How often the system is asked whether its loudspeaker is still the same."""
CABLE_IS_DEFAULT = (
    "The system's default output is the double's own microphone, so the call cannot be heard; choose your loudspeaker "
    "in Windows' sound settings, or name the output that the call plays on with UNDERSTUDY_EARS__DEVICE."
)

log = logging.getLogger(__name__)


class Loopback:
    """Records what one loudspeaker plays; silence, too, while nothing plays.

    Its thread opens, reads and closes, because Windows ties these interfaces to a thread. A block is up to 10 ms late.
    The system's own loudspeaker must not be `cable`, and when another one takes its place, this one ends.
    """

    def __init__(
        self,
        library: Any,
        speaker: str | None,
        listener: SoundListener,
        rate_hz: int,
        *,
        cable: str | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._library = library
        self._listener = listener
        self._rate_hz = rate_hz
        self._cable = cable
        self._now = now
        self._stop = threading.Event()
        self._opened = threading.Event()
        self._error: Exception | None = None
        self._read_s = now()
        self.name = speaker or "the system's loudspeaker"
        self.failed_pushes = 0
        self._thread = threading.Thread(target=self._run, args=(speaker,), name="wasapi-loopback", daemon=True)
        self._thread.start()
        in_time = self._opened.wait(OPEN_S)
        if (error := self._failure()) is not None:
            self.close()
            if isinstance(error, DeviceError):
                raise error
            raise DeviceError(f"The sound of {self.name} cannot be recorded ({error}); choose another output.")
        if not in_time:
            self._stop.set()
            raise DeviceError(f"{self.name} did not answer within {OPEN_S:g} s; reconnect it or choose another output.")

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._stop.is_set() and self._now() - self._read_s <= SILENT_S

    def close(self) -> None:
        """Stop recording, within CLOSE_S."""
        self._stop.set()
        self._thread.join(CLOSE_S)

    def _failure(self) -> Exception | None:
        return self._error

    def _run(self, wanted: str | None) -> None:
        try:
            _join_windows_components()
            speaker = self._library.get_speaker(wanted) if wanted else self._library.default_speaker()
            self.name = str(speaker.name)
            if wanted is None and self._cable is not None and self._cable.lower() in self.name.lower():
                raise DeviceError(CABLE_IS_DEFAULT)
            microphone = self._library.get_microphone(str(speaker.id), include_loopback=True)
            block_samples = self._rate_hz * BLOCK_MS // 1_000
            with microphone.recorder(samplerate=self._rate_hz, channels=1, blocksize=block_samples) as recorder:
                self._opened.set()
                asked_s = self._now()
                while not self._stop.is_set():
                    if wanted is None and self._now() - asked_s >= FOLLOW_S:
                        asked_s = self._now()
                        if self._library.default_speaker().id != speaker.id:
                            log.warning("sound_device_moved", extra={"device": self.name})
                            return
                    recorded = np.asarray(recorder.record(numframes=block_samples), np.float32)
                    self._read_s = self._now()
                    self._push(recorded.reshape(len(recorded), -1)[:, 0].copy(), self._read_s - BLOCK_MS / 1_000)
        except Exception as error:  # soundcard raises RuntimeError, IndexError and more for a device that is gone
            if self._opened.is_set():
                log.warning("sound_device_lost", extra={"device": self.name, "error": str(error)})
            self._error = error
        finally:
            self._opened.set()

    def _push(self, samples: Samples, at_s: float) -> None:
        try:
            self._listener.push(samples, at_s)
        except Exception:
            self.failed_pushes += 1
            if self.failed_pushes == 1:
                log.exception("sound_listener_failed", extra={"device": self.name})


def open_loopback(
    speaker: str | None, load: Callable[[], Any] | None = None, *, cable: str | None = None
) -> OpenSoundInput:
    """An opener for the sound of the output named `speaker`, or part of its name; None: the system's own, not `cable`.

    Opening raises DeviceError.
    """
    return lambda listener, rate_hz: Loopback((load or load_soundcard)(), speaker, listener, rate_hz, cable=cable)


def load_soundcard() -> Any:
    """The package, which exists on Windows only for us. Raises DeviceError."""
    try:
        import soundcard
    except Exception as error:  # whatever it finds missing while it starts
        raise DeviceError(f"The package soundcard does not start ({error}); run `make setup`.") from error
    # It warns about every lost packet, from its own thread; a gap is heard as silence and no more is to be done.
    warnings.filterwarnings("ignore", category=soundcard.SoundcardRuntimeWarning)
    return soundcard


def _join_windows_components() -> None:
    """COM for this thread; the package does it for the thread that imports it only."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.ole32.CoInitializeEx(None, 0)
