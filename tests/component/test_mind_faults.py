"""Every fault of the language model's server: the turn ends, the stage is empty, and the next line is answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from models.llm.openai_server import Timeouts
from models.llm.scripted import ScriptedModel
from signaling import protocol
from tests.broken_engines import Broken, chain_of
from tests.component.conversation_world import World
from tests.component.fault_world import ANSWER, TROUBLE, answered, world_of
from tests.openai_client import broken_off, client, hanging, raw
from tests.openai_stand_in import Behaviour, Exchange, StandIn, answer, stand_in, status

BEGINNING = "Well then, this is all there is."
WORDS = tuple(f"{word} " for word in ANSWER.split())
BEGUN = WORDS[:8]
SHORT = Timeouts(connect_s=2.0, first_token_s=0.4, between_tokens_s=0.4)


async def reset(exchange: Exchange) -> None:
    exchange.reset()


def slow(*words: str) -> Behaviour:
    """Says `words` and then one more each second."""

    async def behave(exchange: Exchange) -> None:
        await exchange.head()
        for word in words:
            await exchange.piece(word)
        for word in WORDS[len(words) :]:
            await asyncio.sleep(1)
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
    async with client(mind, timeouts=SHORT, system_role=True) as model:
        another = ScriptedModel(["Another " + ANSWER])
        llm = chain_of("llm", model, another, patience_s=0.3, first_pause_s=0.05) if chained else model
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


@pytest.mark.parametrize("words", [1, 2])
async def test_with_a_chain_an_answer_that_breaks_off_before_its_first_clause_begins_anew(
    mind: StandIn, words: int
) -> None:
    async with thinking(mind, chained=True) as world:
        mind.script = [broken_off(*(["Perhaps ", "then "][:words]))]
        assert await answered(world) == ("finished", "Another " + ANSWER)
        assert world.of(protocol.Error) == []


async def test_with_a_chain_an_answer_begins_anew_after_a_bug_as_after_a_failure() -> None:
    broken = Broken(ScriptedModel([ANSWER]), "wrong", after=1)
    async with world_of(llm=chain_of("llm", broken, ScriptedModel(["Another " + ANSWER]))) as world:
        assert await answered(world) == ("finished", "Another " + ANSWER)


async def test_an_answer_begins_anew_only_once(mind: StandIn) -> None:
    async with client(mind, timeouts=SHORT, system_role=True) as model:
        broken = [Broken(ScriptedModel([ANSWER]), "fail", after=1) for _ in range(2)]
        async with world_of(llm=chain_of("llm", *broken, model)) as world:
            assert await answered(world) == ("failed", TROUBLE)
            assert [one.asked for one in broken] == [1, 1]
            assert await answered(world) == ("finished", ANSWER)
