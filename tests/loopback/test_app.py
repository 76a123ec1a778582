"""The laptop's whole side against a real performer: only the devices are replaced."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from models.asr.scripted import ScriptedRecognizer
from models.interfaces import Image, Samples
from models.llm.scripted import ScriptedModel
from models.tts.tone import ToneSynthesizer
from models.turn.always import AlwaysDone
from models.vad.energy import EnergyVad
from peer_local.air import Devices
from peer_local.app import App, Hearing
from peer_local.devices.paced import PacedOutput
from peer_local.errors import ControlRefused, DeviceError
from peer_local.interfaces import SoundInput, SoundListener
from peer_local.playback.player import SpeechPlayer
from peer_local.settings import Settings
from signaling.client import SignalingClient
from signaling.errors import BadToken
from tests.broken_engines import Broken, chain_of
from tests.component.signaling_peers import NOW_S, serving, token
from tests.loopback.theatre import ROOM, theatre
from tests.viewer import eventually

LOUD = 0.01


class FakeCamera:
    """Remembers when it showed what."""

    name = "fake camera"

    def __init__(self) -> None:
        self.shown = 0
        self.last: Image | None = None

    def show(self, image: Image, at_s: float) -> None:
        self.shown += 1
        self.last = image

    def close(self) -> None:
        pass


class FakeMicrophone:
    """A sound input whose sound the test speaks."""

    name = "fake microphone"
    alive = True

    def __init__(self, listener: SoundListener, rate_hz: int) -> None:
        self.listener = listener
        self.rate_hz = rate_hz

    def close(self) -> None:
        pass


class Laptop:
    def __init__(self) -> None:
        self.camera = FakeCamera()
        self.ears: FakeMicrophone | None = None
        self.peaks: list[tuple[float, float]] = []
        self.app: App

    def devices(self) -> Devices:
        def no_recorder(file: Path) -> None:
            raise DeviceError("There is no disk.")

        return Devices(
            sound_output=PacedOutput,
            paced_output=PacedOutput,
            camera=lambda: self.camera,
            reopen_camera=lambda: self.camera,
            webcam=lambda avoid: None,
            real_microphone=None,
            recorder=no_recorder,  # type: ignore[arg-type]
        )

    def hearing(self, understood: tuple[str, ...]) -> Hearing:
        def open_input(listener: SoundListener, rate_hz: int) -> SoundInput:
            self.ears = FakeMicrophone(listener, rate_hz)
            return self.ears

        return Hearing(EnergyVad(), AlwaysDone(), ScriptedRecognizer(understood), "en", open_input)

    def tap(self, samples: Samples, at_s: float) -> None:
        self.peaks.append((at_s, float(np.abs(samples).max())))

    def heard_since(self, at_s: float) -> bool:
        return any(peak > LOUD for when, peak in self.peaks if when >= at_s)

    async def speak(self, seconds: float) -> None:
        """Somebody in the call says something, then is silent."""
        assert self.ears is not None
        rng = np.random.default_rng(1)
        now = asyncio.get_running_loop().time
        for loud, length_s in ((0.3, seconds), (0.0, 1.0)):
            for _ in range(round(length_s / 0.02)):
                sound = loud * rng.standard_normal(self.ears.rate_hz // 50).astype(np.float32)
                self.ears.listener.push(np.clip(sound, -1, 1), now())
                await asyncio.sleep(0.02)


@asynccontextmanager
async def laptop(url: str, *, understood: tuple[str, ...] = (), **settings: object) -> AsyncIterator[Laptop]:
    one = Laptop()
    program = Settings.model_validate(
        {"camera": {"width_px": 320, "height_px": 180}, "local": {"control_port": 0, **settings}}
    )
    async with asyncio.TaskGroup() as tasks:
        one.app = App(
            program,
            wire=SignalingClient(url, ROOM, token("operator")),
            devices=one.devices(),
            tasks=tasks,
            hearing=one.hearing(understood) if understood else None,
        )
        one.app.air.mixer.add_tap(one.tap)
        running = tasks.create_task(one.app.run(), name="app")
        try:
            yield one
            assert not running.done(), "the program ended by itself"
        finally:
            one.app.quit()


def shows(one: Laptop, what: str) -> Callable[[], bool]:
    return lambda: one.app.air.director.showing == what


async def test_a_typed_line_is_answered_at_the_devices() -> None:
    async with theatre() as house, laptop(house.service.url) as one:
        await eventually(shows(one, "double"))
        one.app.say("hello")
        await eventually(lambda: one.heard_since(0))
        await eventually(lambda: bool(one.app.call.turns))
        view = one.app.view()
        assert [line.speaker for line in view.lines] == ["typed", "double"]
        assert view.turns[0].first_sound_ms > 0
        assert view.av_offset_ms is not None and abs(view.av_offset_ms) < 40


async def test_the_owner_reads_that_another_voice_speaks_until_the_first_one_is_back() -> None:
    first = Broken(ToneSynthesizer(), "fail")
    tts = chain_of("tts", first, ToneSynthesizer(), first_pause_s=0.2)
    async with theatre(tts=tts) as house, laptop(house.service.url) as one:
        await eventually(shows(one, "double"))
        one.app.say("hello")
        await eventually(lambda: bool(one.app.call.turns))
        assert one.app.view().warnings == ("The double speaks with the voice of second, because the first one failed.",)
        first.fault = None
        await eventually(lambda: one.app.view().warnings == ())
    await tts.aclose()


async def test_speech_in_the_call_is_answered_and_interrupts() -> None:
    async with theatre() as house, laptop(house.service.url, understood=("tell me more", "stop it now please")) as one:
        await eventually(shows(one, "double"))
        await eventually(lambda: one.ears is not None)
        await one.speak(0.8)
        await eventually(lambda: one.app.call.turn_taking.state == "speaking")
        await eventually(lambda: one.heard_since(0))
        await one.speak(0.8)
        await eventually(lambda: any(line.interrupted for line in one.app.view().lines))
        texts = [line.clauses[0] for line in one.app.view().lines if line.speaker == "call"]
        assert texts == ["tell me more", "stop it now please"]


async def test_a_performer_that_dies_leaves_a_card_and_its_successor_knows_the_conversation() -> None:
    llm = ScriptedModel(["Good evening."])
    async with theatre(llm=llm) as house, laptop(house.service.url) as one:
        await eventually(shows(one, "double"))
        one.app.say("hello")
        await eventually(lambda: bool(one.app.call.turns))
        await eventually(lambda: one.app.call.turn_taking.state == "listening")
        await house.end_performer()
        await eventually(shows(one, "card"))
        await eventually(lambda: one.app.link.state == "waiting")
        one.app.say("again")
        house.begin_performer()
        await eventually(shows(one, "double"))
        assert one.app.link.losses == 1
        await eventually(lambda: len(llm.calls) == 2)
        assert [message.content for message in llm.calls[1][-3:]] == ["hello", "Good evening.", "again"]


async def test_takeover_needs_a_person_to_show() -> None:
    async with theatre() as house, laptop(house.service.url) as one:
        with pytest.raises(ControlRefused, match="UNDERSTUDY_MICROPHONE__REAL"):
            one.app.takeover("self")
        await eventually(shows(one, "double"))
        one.app.kill()
        await eventually(shows(one, "black"))
        one.app.takeover("double")
        await eventually(shows(one, "double"))


async def test_a_line_that_was_typed_too_early_is_said_once_the_double_is_there() -> None:
    async with theatre() as house, laptop(house.service.url) as one:
        one.app.say("hello")
        await eventually(lambda: one.heard_since(0))
        with pytest.raises(ControlRefused):
            one.app.say("   ")
        with pytest.raises(ControlRefused, match="no disk"):
            one.app.record(True)


async def test_a_draft_waits_for_the_owners_yes() -> None:
    async with theatre() as house, laptop(house.service.url, mode="approve") as one:
        await eventually(shows(one, "double"))
        with pytest.raises(ControlRefused, match="No draft"):
            one.app.approve(None)
        one.app.say("hello")
        await eventually(lambda: one.app.call.draft is not None and one.app.call.draft.text is not None)
        assert not one.heard_since(0)
        one.app.approve("Good evening.")
        await eventually(lambda: one.heard_since(0))
        assert one.app.view().lines[-1].clauses == ("Good evening.",)


async def test_a_call_goes_on_when_the_tokens_have_expired_and_the_service_was_away() -> None:
    with pytest.RaisesGroup(BadToken, flatten_subgroups=True):  # the performer's, once its last guest has gone
        async with theatre() as house:
            async with laptop(house.service.url) as one:
                await eventually(shows(one, "double"))
                port = house.service.server.port
                await house.service.server.close()
                async with serving(port=port, clock=lambda: NOW_S + 3_600) as later:
                    async with asyncio.timeout(20):
                        while 'reason="bad_token"} 2.0' not in await later.text("/metrics"):  # noqa: ASYNC110
                            await asyncio.sleep(0.1)
                    one.app.say("hello")
                    await eventually(lambda: one.heard_since(0))
                assert any("goes on" in warning for warning in one.app.view().warnings)
            await asyncio.sleep(20)


async def test_a_connection_that_brings_no_sound_is_built_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = SpeechPlayer.receive
    monkeypatch.setattr(SpeechPlayer, "receive", lambda player, packet: None)
    monkeypatch.setattr("peer_local.app.MUTE_S", 1.0)
    async with theatre() as house, laptop(house.service.url) as one:
        await eventually(lambda: one.app.link.losses == 1)
        monkeypatch.setattr(SpeechPlayer, "receive", receive)
        await eventually(shows(one, "double"))
        one.app.say("hello")
        await eventually(lambda: one.heard_since(0))
