"""What only an operator may do, over a real connection, and calls that outlive the signaling service."""

import asyncio
import time

import pytest

from models.interfaces import SPEECH_RATE_HZ
from models.llm.scripted import ScriptedModel
from signaling import protocol
from signaling.errors import BadToken
from tests.component.signaling_peers import NOW_S, serving, token
from tests.loopback.theatre import ROOM, theatre
from tests.viewer import Viewer, eventually

LONG = "This is a long answer. " * 12


async def alive(viewer: Viewer, ping_id: int) -> None:
    """Fails unless messages, sound and pictures still come."""
    viewer.send(protocol.Ping(id=ping_id))
    await viewer.until(protocol.Pong, id=ping_id)
    sound, video = len(viewer.sound), len(viewer.video.arrivals)
    await eventually(lambda: len(viewer.sound) > sound + 5 and len(viewer.video.arrivals) > video + 5)


async def test_an_operator_holds_the_answer_and_lets_it_go_on() -> None:
    async with theatre(llm=ScriptedModel([LONG])) as house, house.viewer(role="operator") as operator:
        operator.send(protocol.Say(text="Hello"))
        caption = await operator.until(protocol.Caption, index=1)
        await operator.until_heard(loud=True)
        await asyncio.sleep(0.5)
        held_s = operator.send(protocol.Hold())
        silence = await operator.until(protocol.Silence)
        await asyncio.sleep(0.6)
        assert not any(frame.loud for frame in operator.sound if frame.at_s > held_s + 0.3)
        resumed_s = operator.send(protocol.Resume(turn_id=caption.turn_id, samples=caption.start_samples))
        await operator.until_heard(loud=True, after_s=resumed_s)
        again = next(one for at_s, one in operator.messages if at_s >= resumed_s and isinstance(one, protocol.Caption))
        assert again.at_s > caption.at_s and again.turn_id == caption.turn_id
        assert again.at_s + again.duration_ms / 1_000 > silence.at_s
        operator.send(protocol.Interrupt())
        ended = await operator.until(protocol.TurnEnded)
        assert ended.reason == "interrupted"


async def test_drafts_stay_with_the_operator_and_exact_words_reach_everybody() -> None:
    model = ScriptedModel(["Perhaps on Friday."])
    async with theatre(llm=model) as house, house.viewer(role="operator") as operator, house.viewer() as viewer:
        operator.send(protocol.Draft(text="When?"))
        drafted = await operator.until(protocol.Drafted)
        assert drafted == protocol.Drafted(answers="When?", text="Perhaps on Friday.")
        operator.send(protocol.Speak(text="On Monday it is.", answers="When?"))
        assert (await viewer.until(protocol.TurnEnded)).text == "On Monday it is."
        await viewer.until_heard(loud=True)
        assert viewer.of(protocol.Drafted) == []
        assert len(model.calls) == 1


async def test_what_the_double_remembers_is_told_to_every_operator_and_to_nobody_else() -> None:
    notes = "They met on Monday."
    async with theatre() as house, house.viewer(role="operator") as operator, house.viewer() as viewer:
        operator.send(protocol.Restore(exchanges=(), summary=notes))
        operator.send(protocol.Say(text="Hello"))
        await viewer.until(protocol.TurnEnded)
        async with house.viewer(role="operator") as another:
            assert (await another.until(protocol.Remembered)).summary == notes
        assert viewer.of(protocol.Remembered) == []


async def test_a_viewer_is_told_that_only_operators_direct() -> None:
    async with theatre() as house, house.viewer() as viewer:
        viewer.send(protocol.Speak(text="I quit."))
        assert (await viewer.until(protocol.Error)).code == "operators_only"
        viewer.send(protocol.Say(text="Hello"))
        await viewer.until_heard(loud=True)


async def test_captions_and_sender_reports_speak_of_the_same_time() -> None:
    async with theatre(llm=ScriptedModel([LONG])) as house, house.viewer() as viewer:
        began_s = time.time()
        viewer.send(protocol.Say(text="Hello"))
        first = await viewer.until(protocol.Caption)
        second = await viewer.until(protocol.Caption, index=1)
        assert abs(first.at_s - began_s) < 5
        distance_s = (second.start_samples - first.start_samples) / SPEECH_RATE_HZ
        assert second.at_s - first.at_s == pytest.approx(distance_s)


async def test_a_peer_that_loses_the_service_keeps_its_call() -> None:
    async with theatre() as house, house.viewer(role="operator") as operator:
        await operator.until_heard(loud=False)
        await operator.leave_room()
        await asyncio.sleep(0.5)
        await alive(operator, 1)
        operator.send(protocol.Speak(text="Still here."))
        await operator.until_heard(loud=True)
        assert house.figure("understudy_viewers") == 1
    assert house.figure("understudy_viewers") == 0


async def test_a_call_goes_on_while_the_service_is_away_and_after_every_token_has_expired() -> None:
    with pytest.RaisesGroup(BadToken, flatten_subgroups=True):
        async with theatre() as house:
            async with house.viewer() as viewer:
                await viewer.until_heard(loud=False)
                port = house.service.server.port
                await house.service.server.close()
                await alive(viewer, 1)
                async with serving(port=port, clock=lambda: NOW_S + 3_600) as later:
                    async with asyncio.timeout(20):
                        while 'reason="bad_token"} 2.0' not in await later.text("/metrics"):  # noqa: ASYNC110
                            await asyncio.sleep(0.1)
                    await alive(viewer, 2)
            await asyncio.sleep(20)


async def test_a_restarted_service_finds_the_call_still_going_and_lets_others_in() -> None:
    async with theatre() as house, house.viewer() as viewer:
        await viewer.until_heard(loud=False)
        port = house.service.server.port
        await house.service.server.close()
        async with serving(port=port) as later:
            async with asyncio.timeout(20):
                while not await later.rooms():  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            async with Viewer(later.url, ROOM, token("operator")) as operator:
                await operator.until_heard(loud=False)
                operator.send(protocol.Speak(text="Back again."))
                await viewer.until_heard(loud=True)
                await alive(viewer, 1)
                assert house.figure("understudy_viewers") == 2
