"""Every fault of the voice's server: the turn ends, the stage is empty, and the next line is answered."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from models.llm.scripted import ScriptedModel
from models.settings import FishSpeechSettings
from models.tts.fish_speech import FishSpeechSynthesizer
from models.tts.tone import ToneSynthesizer
from signaling import protocol
from tests.broken_engines import chain_of
from tests.component.conversation_world import World
from tests.component.fault_world import ANSWER, TROUBLE, answered, until, world_of
from tests.fish_server import Fault as VoiceFault
from tests.fish_server import FishServer

RELEASE_S = 1.2
TINY = {
    "connect_timeout_s": 2.0,
    "first_sound_timeout_s": 0.5,
    "stall_timeout_s": 0.5,
    "drain_timeout_s": 0.5,
}
LITTLE, MUCH = 20_000, 140_000
"""Bytes of a clause: a quarter of a second, and more than a second and a half."""
BEFORE_THE_FIRST_SOUND: dict[str, VoiceFault] = {
    "reset": VoiceFault(reset_at=-1),
    "hang": VoiceFault(hold_at=0),
    "no sound": VoiceFault(body=b""),
    "wrong bytes": VoiceFault(body=b"<html>Not a voice.</html>", content_type="text/html"),
    "500": VoiceFault(status=500),
    "429": VoiceFault(status=429),
}
AMID_A_CLAUSE: dict[str, VoiceFault] = {
    "reset": VoiceFault(reset_at=LITTLE),
    "hang": VoiceFault(hold_at=LITTLE),
}


@pytest.fixture
def voice() -> Iterator[FishServer]:
    with FishServer(references={"me": (b"", "")}, part_bytes=10_000) as server:
        yield server


@asynccontextmanager
async def speaking(voice: FishServer, *, chained: bool, text: str = ANSWER) -> AsyncIterator[World]:
    fish = FishSpeechSynthesizer(FishSpeechSettings.model_validate({"url": voice.url, "reference": "me", **TINY}))
    tts = chain_of("tts", fish, ToneSynthesizer(), patience_s=0.4, first_pause_s=0.05) if chained else fish
    releasing = threading.Timer(RELEASE_S, voice.release)
    releasing.start()  # a server that hangs does so for a while
    async with world_of(llm=ScriptedModel([text]), tts=tts) as world:
        yield world
    releasing.cancel()


async def released(voice: FishServer) -> None:
    await asyncio.sleep(RELEASE_S)
    voice.release()


@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_SOUND)
async def test_a_voice_that_fails_before_its_first_sound_ends_the_turn(voice: FishServer, fault: str) -> None:
    async with speaking(voice, chained=False) as world:
        voice.faults.append(BEFORE_THE_FIRST_SOUND[fault])
        reason, text = await answered(world)
        assert reason == "failed" and text in (TROUBLE, ""), "a voice that still hangs cannot own up"
        if fault == "hang":
            await released(voice)
        assert await answered(world) == ("finished", ANSWER)


@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_SOUND)
async def test_with_a_chain_a_voice_that_fails_before_its_first_sound_costs_no_word(
    voice: FishServer, fault: str
) -> None:
    async with speaking(voice, chained=True) as world:
        voice.faults.append(BEFORE_THE_FIRST_SOUND[fault])
        assert await answered(world) == ("finished", ANSWER)
        assert await answered(world) == ("finished", ANSWER)
        assert world.of(protocol.Error) == []


@pytest.mark.parametrize("fault", AMID_A_CLAUSE)
async def test_a_voice_that_breaks_off_amid_a_clause_ends_the_turn(voice: FishServer, fault: str) -> None:
    async with speaking(voice, chained=False) as world:
        voice.faults.append(AMID_A_CLAUSE[fault])
        reason, text = await answered(world)
        assert reason == "failed" and ANSWER not in text
        if fault == "hang":
            await released(voice)
        assert await answered(world) == ("finished", ANSWER)


@pytest.mark.parametrize("fault", AMID_A_CLAUSE)
async def test_with_a_chain_a_clause_that_had_hardly_begun_is_said_by_the_next_voice(
    voice: FishServer, fault: str
) -> None:
    async with speaking(voice, chained=True) as world:
        voice.faults.append(AMID_A_CLAUSE[fault])
        assert await answered(world) == ("finished", ANSWER)
        assert await answered(world) == ("finished", ANSWER)


@pytest.mark.parametrize("chained", [False, True], ids=["alone", "chain"])
@pytest.mark.parametrize("held_at", [0, LITTLE])
async def test_a_voice_that_is_slow_is_waited_for(voice: FishServer, held_at: int, chained: bool) -> None:
    async with speaking(voice, chained=chained) as world:
        voice.faults.append(VoiceFault(hold_at=held_at))
        releasing = threading.Timer(0.1, voice.release)
        releasing.start()
        assert await answered(world) == ("finished", ANSWER)
        assert await answered(world) == ("finished", ANSWER)
        releasing.join()


async def test_with_a_chain_an_answer_goes_on_after_a_clause_that_was_lost_and_claims_none_of_it(
    voice: FishServer,
) -> None:
    long = "One two three four five six seven eight nine ten eleven. And that is more."
    async with speaking(voice, chained=True, text=long) as world:
        voice.faults.append(VoiceFault(reset_at=MUCH))
        reason, text = await answered(world)
        assert reason == "finished"
        assert text.startswith("One two three") and "eleven" not in text and text.endswith("And that is more.")
        assert world.of(protocol.Error) == []


async def test_a_voice_whose_process_is_killed_is_replaced_and_comes_back(voice: FishServer) -> None:
    async with speaking(voice, chained=True) as world:
        assert await answered(world) == ("finished", ANSWER)
        asked = len(voice.requests)
        voice.kill()
        assert await answered(world) == ("finished", ANSWER)
        again = FishServer(references={"me": (b"", "")})
        again.port = voice.port
        with again:
            await until(lambda: bool(again.requests))
            assert await answered(world) == ("finished", ANSWER)
            assert len(again.requests) > 1 and len(voice.requests) == asked
