"""The laptop's side as it runs in a call, with devices that can be measured: its own PulseAudio, a recording camera.

What is measured is what an application gets. A picture counts from the moment at which the virtual camera was given
it; a sample of the virtual microphone from when `parec` delivered it, which is up to 5 ms after the server made it
(tests/recorded_sound.py). Nothing is subtracted.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from models.interfaces import Image
from peer_local.app import App
from peer_local.devices.choose import Sound
from peer_local.devices.pulse import CABLE_SOURCE, PulseServer, VirtualMicrophone
from peer_local.interfaces import PictureInput
from peer_local.program import devices_of, load_hearing
from peer_local.settings import Settings
from signaling.client import SignalingClient
from tests.marks import Seen, look
from tests.recorded_sound import RecordedSound
from tests.recording_camera import Recording, recording_camera
from tests.sound_server import Recording as SoundRecording
from tests.sound_server import SoundServer, available, sound_server
from tests.viewer import eventually

CONNECT_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Laptop:
    """A running one."""

    app: App
    camera: Recording[Seen]
    server: SoundServer
    _microphone: SoundRecording

    def heard(self) -> RecordedSound:
        """What the virtual microphone has given so far."""
        return recorded(self._microphone)

    @property
    def figures(self) -> Any:
        """Of the player of the connection of now."""
        reception = self.app.air._reception
        assert reception is not None
        return reception.player.figures()

    @property
    def underflows(self) -> int:
        """How often the virtual microphone ran dry, which is heard as a gap: the machine is too busy to measure."""
        return int(getattr(self.app.air._output.device, "underflows", 0))


def recorded(recording: SoundRecording) -> RecordedSound:
    """The recording so far with its times."""
    ends, arrivals_s = recording.arrived_s()
    return RecordedSound(recording.samples[: int(ends[-1])], ends, arrivals_s)


@contextmanager
def sound_of_its_own() -> Iterator[SoundServer]:
    """A sound server that this process uses; PortAudio must not have been used before. Raises RuntimeError."""
    if not available():
        raise RuntimeError("This bench needs PulseAudio, its tools and PortAudio; tests/README.md names the packages.")
    before = dict(os.environ)
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as peer_local/program.py does
    with sound_server() as server:
        # Not the cache, where the weights are.
        os.environ.update({key: value for key, value in server.environment.items() if key != "XDG_CACHE_HOME"})
        cable = VirtualMicrophone(PulseServer(server.pactl))
        cable.create()
        try:
            yield server
        finally:
            cable.remove()
            os.environ.clear()
            os.environ.update(before)


@asynccontextmanager
async def laptop(
    url: str,
    token: str,
    *,
    server: SoundServer,
    room: str = "main",
    webcam: Callable[[], PictureInput | None] = lambda: None,
    look: Callable[[Image], Seen] = look,
    sections: Mapping[str, Any] | None = None,
    until_connected: bool = True,
) -> AsyncIterator[Laptop]:
    """Join the room as its operator; `sections` are settings by section, without ears unless they name a source."""
    given: dict[str, Any] = {"ears": {"source": "none"}, **(sections or {})}
    given["local"] = {"control_port": 0, **given.get("local", {})}
    settings = Settings(**given)
    camera = Recording(look)
    async with AsyncExitStack() as stack:
        microphone = stack.enter_context(server.recording(CABLE_SOURCE))
        stack.enter_context(recording_camera(camera))
        sound = Sound(settings.microphone, settings.ears, server=PulseServer(server.pactl), directory=server.folder)
        stack.push_async_callback(asyncio.to_thread, sound.close)
        opener = sound.ears()
        hearing = await load_hearing(settings, opener, stack) if opener is not None else None
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        wire = SignalingClient(url, room, token)
        devices = replace(devices_of(settings, sound), webcam=lambda avoid: webcam())
        app = App(settings, wire=wire, devices=devices, tasks=tasks, hearing=hearing)
        running = tasks.create_task(app.run(), name="laptop")
        try:
            if until_connected:
                await eventually(lambda: app.air.director.showing == "double", timeout_s=CONNECT_TIMEOUT_S)
            yield Laptop(app, camera, server, microphone)
        finally:
            app.quit()
            await asyncio.wait((running,))
