"""Sound devices by PortAudio: outputs that pull, inputs that push, both at the device's own pace.

    PortAudio (one per process) ── open_output() ──► PortAudioOutput ── pull() ─► source
                                ── open_input() ───► PortAudioInput ─── push() ─► listener

A callback costs under 0.1 ms besides its source and holds Python's lock for that long. One that comes late is an
underrun: the device plays silence, `underflows` counts it, and the next sample's time says that it is heard later.
"""

import atexit
import contextlib
import ctypes
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from models.interfaces import SPEECH_RATE_HZ
from peer_local.devices.conversion import BLOCK_MS
from peer_local.devices.device_thread import DeviceThread, hurried
from peer_local.devices.sound_devices import Direction, Endpoint, NoSuchDevice, SoundDevice, find
from peer_local.devices.streams import CLOSE_S, PortAudioInput, PortAudioOutput, SoundStream
from peer_local.errors import DeviceError
from peer_local.interfaces import SoundListener, SoundSource

OPEN_S = 8.0
INPUT_LATENCY_MS = 20

_BUSY = -9985
_GONE = (-9996, -9992)
_FORMATS = (-9999, -9998, -9997, -9994)
"""Invalid channel count, sample rate, sample format; hosts hide some of these behind -9999."""

log = logging.getLogger(__name__)
S = TypeVar("S", bound=SoundStream)


class PortAudio:
    """The library, which exists once per process and remembers the devices that it saw when it was initialised.

    `prepare` runs before each initialisation and may name devices (peer_local/devices/pulse.py). Nothing is loaded
    before the first use.
    """

    def __init__(
        self,
        prepare: Callable[[], Mapping[str, Endpoint]] = dict,
        *,
        load: Callable[[], Any] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prepare = prepare
        self._load = load or _load_sounddevice
        self._now = now
        self._thread = DeviceThread("portaudio")
        self._library: Any = None
        self._endpoints: Mapping[str, Endpoint] = {}
        self._open: set[SoundStream] = set()

    def devices(self) -> list[SoundDevice]:
        """Every device as it was when the list was last read. Raises DeviceError."""
        return self._thread.call(self._list, timeout_s=OPEN_S, what="The sound system")

    def refresh(self, *, force: bool = False) -> bool:
        """Read the list of devices anew; False, and nothing done, while any stream is open: it would be torn down.

        With `force` the open ones are closed for it, and no longer `alive`.
        """
        return self._thread.call(lambda: self._read_anew(force), timeout_s=OPEN_S, what="The sound system")

    def rates_hz(self, device: SoundDevice, candidates: tuple[int, ...] = (48_000, 44_100, 16_000)) -> tuple[int, ...]:
        """Which of `candidates` the device takes; asks the device, which a busy one refuses."""

        def ask() -> tuple[int, ...]:
            check = getattr(self._sounddevice(), f"check_{device.direction}_settings")
            return tuple(rate for rate in candidates if self._takes(check, device, rate))

        return self._thread.call(ask, timeout_s=OPEN_S, what=device.name)

    def open_output(self, wanted: str, source: SoundSource, latency_ms: int) -> PortAudioOutput:
        """Play `source` on the output that `wanted` names; `latency_ms` is what it is asked to buffer. DeviceError."""
        return self._thread.call(
            lambda: self._open_output(wanted, source, latency_ms),
            timeout_s=OPEN_S,
            what=f"The sound output {wanted!r}",
            discard=self._dispose,
        )

    def open_input(self, wanted: str | None, listener: SoundListener, rate_hz: int) -> PortAudioInput:
        """Record from the input that `wanted` names, None for the system's own. Raises DeviceError."""
        return self._thread.call(
            lambda: self._open_input(wanted, listener, rate_hz),
            timeout_s=OPEN_S,
            what=f"The sound input {wanted or 'of the system'!r}",
            discard=self._dispose,
        )

    def close(self) -> None:
        """Close what is still open, then the thread."""
        for stream in tuple(self._open):
            stream.close()
        if not self._thread.close(CLOSE_S) and self._library is not None:
            # At exit PortAudio would be ended, and wait for the same driver for ever, and then unloaded from under the
            # driver's threads, which crashes.
            atexit.unregister(self._library._exit_handler)
            for kept in (self._library._lib, *(stream.handle for stream in self._open)):
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))

    # Everything below runs on the thread.

    def _sounddevice(self) -> Any:
        if self._library is None:
            self._endpoints = self._prepare()
            self._library = self._load()
        return self._library

    def _read_anew(self, force: bool = False) -> bool:
        if self._open and not force:
            return False
        for stream in tuple(self._open):
            stream.ended()
            self._dispose(stream)
        if self._library is None:
            self._sounddevice()
            return True
        self._endpoints = self._prepare()
        try:
            self._library._terminate()
            self._library._initialize()
        except self._library.PortAudioError as error:
            raise DeviceError(f"The sound system does not start again ({error}); restart Understudy.") from error
        return True

    def _list(self) -> list[SoundDevice]:
        library = self._sounddevice()
        hosts = library.query_hostapis()
        found = []
        for index, info in enumerate(library.query_devices()):
            host = hosts[info["hostapi"]]
            endpoint = self._endpoints.get(info["name"])
            directions: tuple[Direction, ...] = ("output", "input")
            for direction in directions:
                channels = int(info[f"max_{direction}_channels"])
                if channels > 0 and (endpoint is None or endpoint.direction == direction):
                    found.append(
                        SoundDevice(
                            index=index,
                            name=endpoint.name if endpoint else info["name"],
                            host="PulseAudio" if endpoint else host["name"],
                            direction=direction,
                            channels=channels,
                            rate_hz=int(info["default_samplerate"]),
                            default=endpoint.default if endpoint else host[f"default_{direction}_device"] == index,
                            server_name=endpoint.server_name if endpoint else None,
                        )
                    )
        return found

    def _find(self, wanted: str | None, direction: Direction) -> SoundDevice:
        """In a list that is as new as possible: a device may have come since."""
        fresh = self._library is None or self._read_anew()
        try:
            return find(self._list(), wanted, direction)
        except NoSuchDevice as error:
            if fresh:
                raise
            raise NoSuchDevice(f"{error} If it was connected only now, restart Understudy.") from None

    def _open_output(self, wanted: str, source: SoundSource, latency_ms: int) -> PortAudioOutput:
        device = self._find(wanted, "output")
        output = PortAudioOutput(source, device.name, self._closing, self._now)
        output.server_name = device.server_name
        with hurried():
            handle, rate_hz = self._open_stream(device, SPEECH_RATE_HZ, latency_ms, output.fill, output.ended)
            output.opened(handle, rate_hz)
            return self._start(output)

    def _open_input(self, wanted: str | None, listener: SoundListener, rate_hz: int) -> PortAudioInput:
        device = self._find(wanted, "input")
        recorder = PortAudioInput(listener, device.name, self._closing, self._now)
        recorder.server_name = device.server_name
        with hurried():
            handle, got_hz = self._open_stream(device, rate_hz, INPUT_LATENCY_MS, recorder.take, recorder.ended)
            recorder.opened(handle, got_hz, rate_hz)
        # Its thread spins until the first sound; two in a hurry would keep the server, which sends it, from two cores.
        return self._start(recorder)

    def _open_stream(
        self, device: SoundDevice, rate_hz: int, latency_ms: int, callback: Any, ended: Callable[[], None]
    ) -> tuple[Any, int]:
        """The stream, not yet started, and its rate: `rate_hz` if the device takes it, else its own."""
        library = self._sounddevice()
        kind = library.OutputStream if device.direction == "output" else library.InputStream
        # A server mixes mono by itself; elsewhere mono may reach, or come from, the left channel only.
        best = 1 if device.channels == 1 or device.host in ("PulseAudio", "ALSA") else 2
        refused: Exception | None = None
        for rate in dict.fromkeys((rate_hz, device.rate_hz)):
            for channels in dict.fromkeys((best, min(2, device.channels), 1, device.channels)):
                try:
                    stream = kind(
                        device=device.index,
                        samplerate=rate,
                        channels=channels,
                        dtype="float32",
                        blocksize=rate * BLOCK_MS // 1_000,
                        latency=latency_ms / 1_000,
                        callback=callback,
                        finished_callback=ended,
                    )
                except (library.PortAudioError, ValueError, OSError) as error:
                    refused = error
                    if _code(error) not in _FORMATS:
                        raise DeviceError(_sentence(device, error)) from error
                else:
                    return stream, rate
        raise DeviceError(_sentence(device, refused)) from refused

    def _start(self, stream: S) -> S:
        library = self._sounddevice()
        try:
            stream.handle.start()
        except (library.PortAudioError, ValueError, OSError) as error:
            self._dispose(stream)
            raise DeviceError(f"{stream.name} does not start ({error}); reconnect it or choose another.") from error
        self._open.add(stream)
        return stream

    def _release(self, stream: SoundStream) -> None:
        if stream in self._open:  # two threads may have asked
            self._dispose(stream)

    def _dispose(self, stream: SoundStream) -> None:
        with contextlib.suppress(self._library.PortAudioError):
            stream.handle.abort()
        with contextlib.suppress(self._library.PortAudioError):
            stream.handle.close()
        self._open.discard(stream)

    def _closing(self, stream: SoundStream) -> None:
        """On the thread of who closes it. One whose driver hangs stays in `_open`, so that no refresh touches it."""
        if stream in self._open:
            try:
                self._thread.call(lambda: self._release(stream), timeout_s=CLOSE_S, what=stream.name)
            except DeviceError as error:
                log.warning("sound_device_hangs", extra={"device": stream.name, "error": str(error)})

    def _takes(self, check: Callable[..., object], device: SoundDevice, rate_hz: int) -> bool:
        try:
            check(device=device.index, channels=1, dtype="float32", samplerate=rate_hz)
        except (self._library.PortAudioError, ValueError):
            return False
        return True


def _code(error: Exception) -> int:
    """PortAudio's number of an error."""
    return int(error.args[1]) if len(error.args) > 1 and isinstance(error.args[1], int) else 0


def _sentence(device: SoundDevice, error: Exception | None) -> str:
    code = _code(error) if error else 0
    if code == _BUSY:
        return f"{device.name} is in use by another program; close that program or choose another device."
    if code in _GONE:
        return f"{device.name} is gone; reconnect it or choose another device."
    if code in _FORMATS:
        return f"{device.name} takes neither 48 kHz nor its own {device.rate_hz} Hz ({error}); choose another device."
    return f"{device.name} cannot be opened ({error}); reconnect it or choose another device."


def _load_sounddevice() -> Any:
    if sys.platform == "linux":
        _quiet_alsa()
    try:
        import sounddevice
    except ImportError as error:
        raise DeviceError(f"The package sounddevice is missing ({error}); run `make setup`.") from error
    except Exception as error:  # OSError without the library, PortAudioError when it does not start
        raise DeviceError(
            f"PortAudio does not start ({error}); on Debian and Ubuntu `sudo apt-get install -y libportaudio2`."
        ) from error
    return sounddevice


def _quiet_alsa() -> None:
    """ALSA writes its errors to stderr, into the middle of the screen view, although PortAudio reports them too.

    Its handler is replaced by a C function that does nothing: a Python one would run on the device's thread.
    """
    with contextlib.suppress(OSError, AttributeError):
        nothing = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(nothing)
