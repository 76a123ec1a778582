"""From settings to devices: which output is the virtual microphone, and what the double hears.

| | virtual microphone | the call's own sound |
|---|---|---|
| Linux | our null sink on PulseAudio or PipeWire | the monitor of the default output |
| Windows | VB-Audio Virtual Cable | WASAPI loopback of the default output |
| macOS | BlackHole 2ch | BlackHole 16ch, fed by a Multi-Output Device |

Openers look for their device each time they are called, so that the same opener finds one that was plugged in again. A
device that is no longer the right one (the server moved its stream elsewhere, or the call sounds from another output)
is closed within a second or two; who keeps it opens the right one.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

from peer_local.devices.paced import PacedOutput
from peer_local.devices.pulse import CABLE_SINK, CABLE_SOURCE, PulseServer, VirtualMicrophone, name_devices
from peer_local.devices.sound import PortAudio
from peer_local.devices.sound_devices import Direction, Endpoint, NoSuchDevice, SoundDevice, find
from peer_local.devices.sound_file import open_file
from peer_local.devices.streams import SoundStream
from peer_local.devices.wasapi import open_loopback
from peer_local.devices.watch import Watch
from peer_local.errors import DeviceError
from peer_local.interfaces import (
    OpenSoundInput,
    OpenSoundOutput,
    SoundInput,
    SoundListener,
    SoundOutput,
    SoundSource,
)
from peer_local.settings import EarsSettings, MicrophoneSettings

CABLES = {"win32": "CABLE Input (VB-Audio Virtual Cable)", "darwin": "BlackHole 2ch"}
CALL_CABLE_DARWIN = "BlackHole 16ch"
NO_CABLE = {
    "win32": "VB-Audio Virtual Cable is not installed; install it from vb-audio.com/Cable and restart Windows.",
    "darwin": "BlackHole is not installed; run `brew install blackhole-2ch` and restart the sound system or the Mac.",
}
NO_CALL_CABLE = (
    "The call's sound cannot be recorded; run `brew install blackhole-16ch`, join it and your loudspeaker to a "
    "Multi-Output Device in Audio MIDI Setup, and choose that in the call application."
)

S = TypeVar("S", bound=SoundStream)


class Sound:
    """The sound devices that the settings ask for. One per program; `close` it last."""

    def __init__(
        self,
        microphone: MicrophoneSettings,
        ears: EarsSettings,
        *,
        platform: str = sys.platform,
        server: PulseServer | None = None,
        load: Callable[[], Any] | None = None,
        load_soundcard: Callable[[], Any] | None = None,
        directory: Path | None = None,
    ) -> None:
        self._microphone = microphone
        self._ears = ears
        self._platform = platform
        self._server = server or PulseServer()
        self._cable = VirtualMicrophone(self._server)
        self._cable_wanted = False
        self._directory = directory or platformdirs.user_cache_path("understudy", "understudy") / "sound"
        self._no_server: DeviceError | None = None
        self._named: set[str] = set()
        """The server's devices that PortAudio knows."""
        self._load_soundcard = load_soundcard
        self.watch = Watch()
        self.portaudio = PortAudio(self._prepare, load=load)

    def output(self) -> OpenSoundOutput:
        """The virtual microphone's opener; call it before any device is opened.

        `auto` goes on without a cable just as `virtual` does: the opener raises DeviceError, and finds one that comes.
        """
        if self._microphone.kind == "none":
            return PacedOutput
        self._cable_wanted = self._platform == "linux" and self._microphone.device is None
        return self._open_output

    def real_microphone(self) -> OpenSoundInput | None:
        """The opener of the microphone for the takeover; None when the settings name none."""
        wanted = self._microphone.real
        return None if wanted is None else self._microphone_named(None if wanted == "default" else wanted)

    def ears(self) -> OpenSoundInput | None:
        """The opener of what the double hears; None when it hears nothing. DeviceError if no file is named."""
        wanted = self._ears.device
        match self._ears.source:
            case "none":
                return None
            case "file":
                if self._ears.file is None:
                    raise DeviceError("No sound file is named; set UNDERSTUDY_EARS__FILE.")
                return open_file(self._ears.file)
            case "microphone":
                return self._microphone_named(wanted)
            case "call":
                if self._platform == "win32":
                    return open_loopback(wanted, self._load_soundcard, cable=self._cable_name())
                return self._open_call

    def devices(self) -> list[SoundDevice]:
        """Every device of the machine. Raises DeviceError."""
        return self.portaudio.devices()

    def close(self) -> None:
        """Close what is open and take away the virtual microphone if it was made here and nobody uses it."""
        self.watch.close()
        self.portaudio.close()
        self._cable.remove()

    def _prepare(self) -> Mapping[str, Endpoint]:
        """Before PortAudio lists devices: the server's get names. Without a server ALSA's own devices remain."""
        if self._platform != "linux":
            return {}
        endpoints: Mapping[str, Endpoint] = {}
        try:
            if self._cable_wanted:
                with contextlib.suppress(DeviceError):  # who opens it hears why
                    self._cable.create()
            endpoints = name_devices(self._server, self._directory)
            self._no_server = None
        except DeviceError as error:
            self._no_server = error
        self._named = {endpoint.server_name for endpoint in endpoints.values()}
        return endpoints

    def _open_output(self, source: SoundSource) -> SoundOutput:
        if self._cable_wanted:
            self._cable.create()  # whoever made it may have gone, and the server would take another output instead
        try:
            return self._opened(
                lambda: self.portaudio.open_output(self._cable_name(), source, self._microphone.latency_ms), "output"
            )
        except NoSuchDevice as error:
            if self._microphone.device is None and self._platform in NO_CABLE:
                raise DeviceError(NO_CABLE[self._platform]) from error
            raise

    def _cable_name(self) -> str:
        return self._microphone.device or CABLES.get(self._platform, CABLE_SINK)

    def _opened(
        self, open_stream: Callable[[], S], direction: Direction, right: Callable[[str], bool] = lambda _: True
    ) -> S:
        """What `open_stream` opens, watched: closed when the server has moved it, or by its name is not `right`.

        Raises DeviceError.
        """
        try:
            stream = open_stream()
        except NoSuchDevice as error:
            if self._no_server is not None:
                raise NoSuchDevice(f"{error} {self._no_server}") from error
            if not self._server_has_more():
                raise
            # PortAudio reads its list anew only without any stream; the others are opened again like lost ones.
            self.portaudio.refresh(force=True)
            stream = open_stream()
        if stream.server_name is not None:
            self._keep_in_place(stream, direction, stream.server_name, right)
        return stream

    def _keep_in_place(
        self, stream: SoundStream, direction: Direction, name: str, right: Callable[[str], bool]
    ) -> None:
        """Raises DeviceError when `stream` is not even now at the device that the server calls `name`."""
        try:
            index = self._server.index(direction, name)
            if index is None or self._server.moved(direction, index, os.getpid()):
                raise DeviceError(f"{stream.name} is gone; reconnect it or choose another device.")
        except DeviceError:
            stream.close()
            raise
        self.watch.add(stream, lambda: not self._server.moved(direction, index, os.getpid()) and right(name))

    def _server_has_more(self) -> bool:
        """Whether there is a device that PortAudio does not know yet."""
        if self._platform != "linux":
            return False
        there = {device.name for device in (*self._server.sinks(), *self._server.sources())}
        return not there <= self._named

    def _microphone_named(self, wanted: str | None) -> OpenSoundInput:
        def opened(listener: SoundListener, rate_hz: int) -> SoundInput:
            return self._opened(
                lambda: self.portaudio.open_input(wanted or self._default_microphone(), listener, rate_hz), "input"
            )

        return opened

    def _default_microphone(self) -> str | None:
        """On PulseAudio the default may be the double itself, or a loudspeaker's monitor."""
        if self._platform != "linux":
            return None
        try:
            name = self._server.default_source()
        except DeviceError:  # ALSA alone has a default, too
            return None
        if name in ("", CABLE_SOURCE) or name.endswith(".monitor"):
            raise DeviceError(
                "The system's default microphone is none of a person's; connect one, or name one with "
                "UNDERSTUDY_MICROPHONE__REAL or UNDERSTUDY_EARS__DEVICE."
            )
        return name

    def _open_call(self, listener: SoundListener, rate_hz: int) -> SoundInput:
        if self._platform == "linux":
            return self._opened(
                lambda: self.portaudio.open_input(f"{self._call_sink()}.monitor", listener, rate_hz),
                "input",
                self._hears_the_call,
            )
        try:
            return self.portaudio.open_input(self._ears.device or CALL_CABLE_DARWIN, listener, rate_hz)
        except NoSuchDevice as error:
            raise error if self._ears.device else DeviceError(NO_CALL_CABLE) from error

    def _hears_the_call(self, source: str) -> bool:
        """Whether the call is still played on the output whose monitor `source` is."""
        if self._ears.device is not None:
            return True
        sink = self._server.default_sink()
        return sink == "" or source == f"{sink}.monitor"

    def _call_sink(self) -> str:
        """The server's name of the output whose sound is the call's. Raises DeviceError."""
        default = self._server.default_sink()
        if self._ears.device is not None:
            self.portaudio.refresh()
            sink = find(self.portaudio.devices(), self._ears.device, "output")
            if sink.server_name is None:
                raise DeviceError(f"The sound of {sink.name} cannot be recorded; name an output of the sound server.")
            return sink.server_name
        if default in ("", CABLE_SINK):
            raise DeviceError(
                "The system's default output is no loudspeaker, so the call cannot be heard; connect one, or name "
                "the output that the call application plays on with UNDERSTUDY_EARS__DEVICE."
            )
        return default


def list_devices(platform: str = sys.platform) -> list[SoundDevice]:
    """Every sound device of the machine, nothing created. Raises DeviceError."""
    sound = Sound(MicrophoneSettings(kind="none"), EarsSettings(source="none"), platform=platform)
    try:
        return sound.devices()
    finally:
        sound.close()
