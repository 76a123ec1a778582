"""Every fault at every stage of an answer: its turn ends, nothing stays on the stage, and the next line is answered.

The servers are stand-ins on real sockets, so that time is real, but speech is played forty times as fast as it is.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from models.llm.scripted import ScriptedModel
from models.settings import FishSpeechSettings
from models.tts.fish_speech import FishSpeechSynthesizer
from models.tts.tone import ToneSynthesizer
from peer_remote.turn import Cast
from signaling import protocol
from tests.broken_engines import FAULTS, Broken, Fault, chain_of
from tests.component.conversation_world import SlowModel, StillFace, World
from tests.fish_server import Fault as VoiceFault
from tests.fish_server import FishServer
from tests.openai_client import QUICK, broken_off, client, hanging, raw
from tests.openai_stand_in import Behaviour, Exchange, StandIn, answer, stand_in, status

SPEED = 40
PATIENCE_S = 5.0
TROUBLE = "Sorry, I lost my thread. Could you say that again?"
ANSWER = "Well then, this is all there is. And that is more."
BEGINNING = "Well then, this is all there is."
WORDS = tuple(f"{word} " for word in ANSWER.split())
BEGUN = WORDS[:8]
RELEASE_S = 0.4
TINY = {
    "connect_timeout_s": 2.0,
    "first_sound_timeout_s": 0.15,
    "stall_timeout_s": 0.15,
    "drain_timeout_s": 0.3,
}


@asynccontextmanager
async def world_of(llm: Any = None, tts: Any = None, face: Any = None) -> AsyncIterator[World]:
    cast = Cast(llm or ScriptedModel([ANSWER]), tts or ToneSynthesizer(), face or StillFace())
    async with asyncio.TaskGroup() as tasks:
        world = World(tasks, SlowModel(""), {"trouble": TROUBLE}, cast=cast, speed=SPEED)
        yield world
        world.conversation.close()
        world.performing.cancel()
    for engine in (cast.llm, cast.tts, cast.face):
        await engine.aclose()


async def until(happened: Callable[[], bool]) -> None:
    deadline_s = asyncio.get_running_loop().time() + PATIENCE_S
    while not happened():
        assert asyncio.get_running_loop().time() < deadline_s
        await asyncio.sleep(0.005)


async def answered(world: World, line: str = "Hello") -> tuple[str, str]:
    """How the answer to `line` ends, and what was heard of it."""
    turns = len(world.of(protocol.TurnEnded))
    world.conversation.say(line, source="typed")
    await until(lambda: len(world.of(protocol.TurnEnded)) > turns)
    assert world.conversation.at_rest and world.conversation.state == "listening"
    assert world.stage.waiting == 0
    ended = world.last(protocol.TurnEnded)
    return ended.reason, ended.text


# -- the language model ------------------------------------------------------------------------------------------------


async def reset(exchange: Exchange) -> None:
    exchange.reset()


def slow(*words: str) -> Behaviour:
    """Says `words` and then one more each half second."""

    async def behave(exchange: Exchange) -> None:
        await exchange.head()
        for word in words:
            await exchange.piece(word)
        for word in WORDS[len(words) :]:
            await asyncio.sleep(0.5)
            await exchange.piece(word)

    return behave


def garbled(*words: str, data: bytes) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.head()
        for word in words:
            await exchange.piece(word)
        await asyncio.sleep(0.02)  # a part of its own
        await exchange.chunk(data)
        await exchange.end()

    return behave


OVERLOADED = b'data: {"error": {"message": "too many requests", "code": 429}}\n\n'
FAILED = b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'
NONSENSE = b"data: {nonsense\n\n\xff\xfe\n\n"
BEFORE_THE_FIRST_TOKEN: dict[str, Behaviour] = {
    "reset": reset,
    "hang": hanging(),
    "slow": slow(),
    "wrong bytes": raw(NONSENSE),
    "500": status(500),
    "429": status(429),
}
AMID_THE_ANSWER: dict[str, Behaviour] = {
    "reset": broken_off(*BEGUN),
    "hang": hanging(*BEGUN),
    "slow": slow(*BEGUN),
    "wrong bytes": garbled(*BEGUN, data=NONSENSE),
    "500": garbled(*BEGUN, data=FAILED),
    "429": garbled(*BEGUN, data=OVERLOADED),
}


@pytest.fixture
async def mind() -> AsyncIterator[StandIn]:
    async with stand_in() as server:
        server.otherwise = answer(*WORDS)
        yield server


@asynccontextmanager
async def thinking(mind: StandIn, *, chained: bool) -> AsyncIterator[World]:
    async with client(mind, timeouts=QUICK, system_role=True) as model:
        another = ScriptedModel(["Another " + ANSWER])
        llm = chain_of("llm", model, another, patience_s=0.08, first_pause_s=0.05) if chained else model
        async with world_of(llm=llm) as world:
            yield world


@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_TOKEN)
async def test_a_model_that_fails_before_its_first_token_is_owned_up_to(mind: StandIn, fault: str) -> None:
    async with thinking(mind, chained=False) as world:
        mind.script = [BEFORE_THE_FIRST_TOKEN[fault]] * 2
        assert await answered(world) == ("failed", TROUBLE)
        assert [error.code for error in world.of(protocol.Error)] == ["engine_failed"]
        mind.script.clear()
        assert await answered(world) == ("finished", ANSWER)


@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_TOKEN)
async def test_with_a_chain_nobody_notices_a_model_that_fails_before_its_first_token(mind: StandIn, fault: str) -> None:
    async with thinking(mind, chained=True) as world:
        mind.script = [BEFORE_THE_FIRST_TOKEN[fault]] * 2
        assert await answered(world) == ("finished", "Another " + ANSWER)
        assert world.of(protocol.Error) == []
        reason, text = await answered(world)
        assert reason == "finished" and text in (ANSWER, "Another " + ANSWER)


@pytest.mark.parametrize("chained", [False, True], ids=["alone", "chain"])
@pytest.mark.parametrize("fault", AMID_THE_ANSWER)
async def test_what_a_model_said_before_it_broke_off_is_heard_to_its_end(
    mind: StandIn, fault: str, chained: bool
) -> None:
    async with thinking(mind, chained=chained) as world:
        mind.script = [AMID_THE_ANSWER[fault]]
        assert await answered(world) == ("failed", f"{BEGINNING} {TROUBLE}")
        reason, text = await answered(world)
        assert reason == "finished" and text in (ANSWER, "Another " + ANSWER)


# -- the voice ---------------------------------------------------------------------------------------------------------

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
    tts = chain_of("tts", fish, ToneSynthesizer(), patience_s=0.2, first_pause_s=0.05) if chained else fish
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


# -- the face ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("fault", FAULTS)
async def test_with_a_chain_an_answer_is_whole_whatever_befalls_the_face(fault: Fault, after: int) -> None:
    face = chain_of("face", Broken(StillFace(), fault, after), StillFace(), patience_s=0.05)
    async with world_of(face=face) as world:
        assert await answered(world) == ("finished", ANSWER)
        assert await answered(world) == ("finished", ANSWER)


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("fault", ["fail", "wrong"])
async def test_a_face_that_fails_ends_the_turn(fault: Fault, after: int) -> None:
    face = Broken(StillFace(), None, after)
    async with world_of(face=face) as world:
        await until(lambda: bool(world.played))
        face.fault = fault
        reason, _ = await answered(world)
        assert reason == "failed"
        face.fault = None
        assert await answered(world) == ("finished", ANSWER)
