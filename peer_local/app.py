"""The laptop's side, put together once: link, ears, turn-taking, camera and microphone, and the owner's commands."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from models.hearing.listener import Listener
from models.interfaces import SPEECH_RATE_HZ, EndOfTurnDetector, SpeechRecognizer, VoiceActivityDetector
from peer_local.air import Air, Devices
from peer_local.call import Call
from peer_local.control import ControlServer
from peer_local.devices.kept import KeptDevice
from peer_local.errors import ControlRefused, DeviceError, LocalError
from peer_local.gauges import Gauges
from peer_local.interfaces import OpenSoundInput, SoundInput, Who
from peer_local.link import Link, LinkState
from peer_local.listening.ears import OPERATOR_RULES, Ears
from peer_local.listening.echo import EchoCanceller
from peer_local.playback.reception import Reception
from peer_local.screen.view import View, figures
from peer_local.settings import Mode, Settings
from signaling import protocol
from signaling.client import SignalingClient

logger = logging.getLogger(__name__)

TICK_S = 0.05
UNSENT_S = 60.0
"""A line that was typed before the connection is said when it comes, unless it is older than this by then."""
MOST_UNSENT = 8
MUTE_S = 4.0
"""A connection that brings no sound for so long, not even silence, is built anew."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What listens to the call, and how its sound is had."""

    vad: VoiceActivityDetector
    turn: EndOfTurnDetector
    asr: SpeechRecognizer
    language: str
    open_input: OpenSoundInput
    canceller: EchoCanceller | None = None


class App:
    """Implements `Controls`. Everything happens on the event loop, but for what devices do on their threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        wire: SignalingClient,
        devices: Devices,
        tasks: asyncio.TaskGroup,
        hearing: Hearing | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._tasks = tasks
        self._now = now
        self._reception: Reception | None = None
        self._gauges = Gauges()
        self._ears: Ears | None = None
        self._input: KeptDevice[SoundInput] | None = None
        self._watched_s = now()
        self._taken_samples = 0
        self._mute_s = 0.0
        self._unsent: list[tuple[str, float]] = []
        self._quit = asyncio.Event()
        self.air = Air(settings.camera, devices, who=settings.local.on_air)
        self.call = Call(
            settings.local,
            owner_speaks=settings.ears.source != "call",
            greeted=self._send_what_waits,
            send=self._send,
            now=now,
        )
        self.call.put_on_air(settings.local.on_air == "double")
        self.link = Link(
            wire,
            tasks=tasks,
            open_reception=self._open_reception,
            received=self.call.take,
            changed=self._link_changed,
            now=now,
        )
        self.replaced = False
        """Whether another operator has taken the place."""
        if hearing is not None:
            self._listen(hearing)

    async def run(self) -> None:
        """Be in the call until `quit`, or until another operator takes the place. Raises SignalingError."""
        async with AsyncExitStack() as stack:
            await self._take_commands(stack)
            if self._settings.recorder.file is not None:
                self.record(True)
            running = [
                self._tasks.create_task(self.air.run(), name="air"),
                self._tasks.create_task(self._tick(), name="ticks"),
                self._tasks.create_task(self._stay_linked(), name="link"),
                self._tasks.create_task(self._quit.wait(), name="quit"),
            ]
            if self._input is not None:
                running.append(self._tasks.create_task(self._input.run(), name="ears"))
            try:
                # The first to end decides: the place was taken, or the owner has had enough.
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in running:
                    task.cancel()
                await asyncio.wait(running)
                if self._ears is not None:
                    self._ears.close()

    def quit(self) -> None:
        """End the program."""
        self._quit.set()

    # -- Controls ------------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """State and figures, fit for JSON; nothing of what was said."""
        return figures(self.view())

    def takeover(self, who: Who) -> None:
        """Put `who` on air, within a frame; refused when the user has neither webcam nor microphone here."""
        if who == "self" and not self.air.has_self:
            raise ControlRefused("Set UNDERSTUDY_MICROPHONE__REAL and UNDERSTUDY_CAMERA__WEBCAM to take over yourself.")
        self.air.switch(who)
        self.call.put_on_air(who == "double")
        logger.info("on_air", extra={"who": who})

    def kill(self) -> None:
        """The double is off the air at once."""
        self.takeover("self" if self._settings.local.kill_to == "self" and self.air.has_self else "nobody")

    def set_mode(self, mode: Mode) -> None:
        """Let another rule decide what the double says."""
        self.call.switch(mode)

    def say(self, text: str) -> None:
        """A typed line for the double."""
        if not text.strip():
            raise ControlRefused("There is nothing to say in an empty line.")
        if self.link.connected:
            self.call.typed(text.strip())
        elif len(self._unsent) < MOST_UNSENT:
            self._unsent.append((text.strip(), self._now()))
        else:
            raise ControlRefused("The double is not connected; the line was not sent.")

    def interrupt(self) -> None:
        """The double stops and listens."""
        self.call.interrupt()

    def approve(self, text: str | None) -> None:
        """The draft, or `text` in its place, is said."""
        if self.call.draft is None:
            raise ControlRefused("No draft is waiting.")
        if self.call.draft.text is None and text is None:
            raise ControlRefused("The draft is not there yet.")
        self.call.approve(text)

    def veto(self) -> None:
        """The draft is not said."""
        if self.call.draft is None:
            raise ControlRefused("No draft is waiting.")
        self.call.veto()

    def record(self, on: bool) -> None:
        """Record what goes on air, to the file of the settings or one named by the time."""
        file = self._settings.recorder.file or Path(f"understudy-{datetime.now():%Y-%m-%d-%H%M}.mp4")
        try:
            self.air.record(file if on else None)
        except DeviceError as error:
            raise ControlRefused(str(error)) from None

    # -- what is shown -------------------------------------------------------------------------------------------------

    def view(self) -> View:
        """The state of the program at this moment."""
        return self._gauges.view(self._settings, self.air, self.call, self.link, self._ears, self._input, self._now())

    # -- joining the parts ---------------------------------------------------------------------------------------------

    def _send(self, message: protocol.ToPerformer) -> bool:
        return self.link.send(message)

    def _open_reception(self) -> Reception:
        reception = Reception(self._settings.playout)
        self._reception = reception
        self._gauges.connect(reception)
        self.air.connect(reception)
        self.call.connect(reception)
        return reception

    def _link_changed(self, state: LinkState) -> None:
        self.air.connected(state == "connected")
        if state != "connected":
            self.call.lost()

    def _send_what_waits(self) -> None:
        unsent, self._unsent = self._unsent, []
        for text, typed_s in unsent:
            if self._now() - typed_s <= UNSENT_S:
                self.call.typed(text)

    async def _tick(self) -> None:
        failures = 0
        while True:
            try:
                self.call.tick()
                self._watch_sound()
            except Exception:
                if not failures:
                    logger.exception("tick_failed")
                failures += 1
            await asyncio.sleep(TICK_S)

    def _watch_sound(self) -> None:
        """Build the connection anew when the device asks for its sound and gets none, not even silence."""
        now_s = self._now()
        player = self._reception.player if self._reception is not None and self.link.connected else None
        taken, self._taken_samples = self._taken_samples, player.taken_samples if player is not None else 0
        if player is None or player.figures().playing:
            self._mute_s = 0.0
        elif player.taken_samples > taken:
            self._mute_s += now_s - self._watched_s
        self._watched_s = now_s
        if self._mute_s > MUTE_S:
            self._mute_s = 0.0
            self.link.renew("No sound comes from the double.")

    async def _take_commands(self, stack: AsyncExitStack) -> None:
        if not self._settings.local.control_port:
            return
        server = ControlServer(self, self._settings.local.control_port)
        try:
            await server.start()
        except LocalError as error:
            logger.warning("no_commands", extra={"reason": str(error)})
        else:
            stack.push_async_callback(server.close)

    async def _stay_linked(self) -> None:
        await self.link.run()
        self.replaced = True

    def _listen(self, hearing: Hearing) -> None:
        listener = Listener(
            hearing.vad,
            hearing.turn,
            hearing.asr,
            language=hearing.language,
            tasks=self._tasks,
            emit=self.call.hear,
            rules=OPERATOR_RULES,
            now=self._now,
        )
        ears = self._ears = self.call.ears = Ears(listener, canceller=hearing.canceller)
        self.air.mixer.add_tap(ears.played)
        self._input = KeptDevice[SoundInput]("ears", lambda: hearing.open_input(ears, SPEECH_RATE_HZ))
