"""What the call sees and hears: the mixer and the director with their devices, kept alive."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from models.interfaces import SPEECH_RATE_HZ, Image, Samples
from peer_local.devices.kept import KeptDevice, KeptOutput
from peer_local.errors import DeviceError
from peer_local.interfaces import (
    OpenSoundInput,
    OpenSoundOutput,
    PictureInput,
    PictureOutput,
    SoundInput,
    Who,
)
from peer_local.on_air.camera_loop import CameraLoop
from peer_local.on_air.card import FreezeSign, draw_card
from peer_local.on_air.director import Director, Scenes
from peer_local.on_air.mixer import Mixer
from peer_local.on_air.own_voice import OwnVoice
from peer_local.playback.reception import Reception
from peer_local.settings import CameraSettings

logger = logging.getLogger(__name__)


class Recording(PictureOutput, Protocol):
    """A picture output that takes sound too."""

    def tap(self, samples: Samples, at_s: float) -> None: ...

    @property
    def failed(self) -> DeviceError | None:
        """Why nothing more is recorded."""
        ...


@dataclass(frozen=True, slots=True)
class Devices:
    """How the devices are opened, each raising DeviceError; None where there is to be none."""

    sound_output: OpenSoundOutput
    paced_output: OpenSoundOutput
    """Takes the output's place while it is gone, so that time goes on."""
    camera: Callable[[], PictureOutput | None]
    reopen_camera: Callable[[], PictureOutput]
    webcam: Callable[[str | None], PictureInput | None]
    """Gets the virtual camera's name, which it must not show. Comes back by itself."""
    real_microphone: OpenSoundInput | None
    recorder: Callable[[Path], Recording]


class Air:
    """Run it once; the rest may be called from the event loop at any time."""

    def __init__(self, settings: CameraSettings, devices: Devices, *, who: Who) -> None:
        self._devices = devices
        self._reception: Reception | None = None
        self._connected = False
        self._own_voice = OwnVoice() if devices.real_microphone is not None else None
        self.mixer = Mixer(own_voice=self._own_voice, who=who)
        sign = FreezeSign(settings.width_px, settings.height_px)
        scenes = Scenes(
            live=self._live,
            connected=lambda: self._connected,
            webcam=self._webcam_picture,
            card=draw_card(settings.width_px, settings.height_px, settings.card_text),
            freeze=sign.on,
        )
        self.director = Director(
            scenes,
            width_px=settings.width_px,
            height_px=settings.height_px,
            fit=settings.fit,
            stand_in=settings.stand_in,
            who=who,
        )
        self.loop = CameraLoop(self.director.picture, fps=settings.fps)
        self._output = KeptOutput("virtual microphone", self.mixer, devices.sound_output, spare=devices.paced_output)
        self._camera_name: str | None = None
        self._webcam: PictureInput | None = None
        self._microphone = self._kept_microphone(devices)
        self._recorder: Recording | None = None

    # -- who -----------------------------------------------------------------------------------------------------------

    @property
    def who(self) -> Who:
        """Who is on air."""
        return self.mixer.who

    def switch(self, who: Who) -> None:
        """Put `who` on air: sound within 10 ms, the picture with the next frame."""
        self.mixer.switch(who)
        self.director.switch(who)

    def connect(self, reception: Reception) -> None:
        """Take the double's sound and pictures from a new connection."""
        self._reception = reception
        self.mixer.play(reception.player)

    def connected(self, yes: bool) -> None:
        """Whether the performer is reached."""
        self._connected = yes

    def record(self, file: Path | None) -> None:
        """Begin to record to `file`, or end with None. Raises DeviceError."""
        if self._recorder is not None:
            recorder, self._recorder = self._recorder, None
            self.mixer.remove_tap(recorder.tap)
            self.loop.remove(recorder)
            recorder.close()
        if file is not None:
            recorder = self._devices.recorder(file)
            self.mixer.add_tap(recorder.tap)
            self.loop.add(recorder)
            self._recorder = recorder

    # -- what is known -------------------------------------------------------------------------------------------------

    @property
    def recording(self) -> bool:
        return self._recorder is not None and self._recorder.failed is None

    @property
    def microphone_name(self) -> str | None:
        """Of the sound output that is open now."""
        return self._output.device.name if self._output.device is not None else None

    @property
    def camera_name(self) -> str | None:
        """Of the virtual camera, as long as it works."""
        return self._camera_name if self._camera_name in self.loop.showing_on else None

    @property
    def own_voice(self) -> OwnVoice | None:
        return self._own_voice

    @property
    def has_self(self) -> bool:
        """Whether the real user can be seen or heard here."""
        return self._webcam is not None or self._own_voice is not None

    @property
    def webcam_shows(self) -> bool:
        """Whether the real webcam gives pictures."""
        return self._webcam is not None and self._webcam.alive

    @property
    def problems(self) -> tuple[str, ...]:
        """What is missing at the moment, one sentence each."""
        found = [kept.problem for kept in (self._output, self._microphone) if kept is not None]
        if self._recorder is not None and self._recorder.failed is not None:
            found.append(str(self._recorder.failed))
        return tuple(problem for problem in found if problem is not None)

    # -- running -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Open the devices and keep them open until cancelled; then close them all."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, self._close)
            await asyncio.to_thread(self._open)
            async with asyncio.TaskGroup() as tasks:
                for kept in (self._output, self._microphone):
                    if kept is not None:
                        tasks.create_task(kept.run(), name="device")

    def _open(self) -> None:
        camera = self._devices.camera()
        if camera is not None:
            self._camera_name = camera.name
            self.loop.add(camera, reopen=self._devices.reopen_camera)
        self._webcam = self._devices.webcam(camera.name if camera is not None else None)
        self.loop.start()

    def _close(self) -> None:
        self.record(None)
        self.loop.close()
        if self._webcam is not None:
            self._webcam.close()

    def _live(self, at_s: float) -> Image | None:
        reception = self._reception
        return reception.picture(at_s) if reception is not None else None

    def _webcam_picture(self) -> Image | None:
        return self._webcam.latest() if self._webcam is not None else None

    def _kept_microphone(self, devices: Devices) -> KeptDevice[SoundInput] | None:
        opener, voice = devices.real_microphone, self._own_voice
        if opener is None or voice is None:
            return None
        return KeptDevice[SoundInput]("real microphone", lambda: opener(voice, SPEECH_RATE_HZ))
