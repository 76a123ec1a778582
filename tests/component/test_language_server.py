"""The client with llama-cpp-python's real server, which runs a tiny Gemma 2 of random weights."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from models.errors import EngineFailed, EngineUnavailable
from models.interfaces import Message
from models.llm.openai_server import OpenAiServerModel, create
from models.llm.sampling import Sampling
from models.llm.server import Server
from models.settings import EngineSettings
from tests.language_server import KEY, language_server
from tests.small_gemma import write_adapter, write_model

CONTEXT_TOKENS = 2_048
SYSTEM = Message("system", "You are Olena, an engineer on a call. " * 3)
HELLO = Message("user", "Hello! Who are you?")


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("gemma") / "model.gguf")


@pytest.fixture(scope="module")
def server(gemma: Path) -> Iterator[Server]:
    with language_server(gemma, alias="a stranger", context_tokens=CONTEXT_TOKENS) as server:
        yield server


@asynccontextmanager
async def client(server: Server, *, system_role: bool | None = None) -> AsyncIterator[OpenAiServerModel]:
    sampling = Sampling(temperature=0, repeat_penalty=2)
    model = OpenAiServerModel(server, "any", context_tokens=CONTEXT_TOKENS, sampling=sampling, system_role=system_role)
    try:
        yield model
    finally:
        await model.aclose()


async def said(model: OpenAiServerModel, *messages: Message, max_tokens: int = 12) -> str:
    async with aclosing(model.stream(list(messages) or [SYSTEM, HELLO], max_tokens=max_tokens)) as pieces:
        return "".join([piece async for piece in pieces])


async def test_a_model_whose_name_hides_that_it_has_no_system_role_gets_its_persona_all_the_same(
    server: Server,
) -> None:
    async with client(server) as model, client(server, system_role=False) as told:
        assert await said(model) == await said(told) != ""
        assert await said(told, HELLO) != await said(told)


async def test_an_interrupted_answer_leaves_the_model_ready_and_its_cache_right(server: Server) -> None:
    turn = [SYSTEM, HELLO, Message("assistant", "ba be bi"), Message("user", "Why?")]
    async with client(server, system_role=False) as model:
        await said(model, HELLO)
        cold = await said(model, *turn)
        async with aclosing(model.stream([SYSTEM, HELLO], max_tokens=500)) as pieces:
            await anext(pieces)
        await model.prefill(turn[:-1])
        assert await said(model, *turn) == cold


async def test_another_client_of_the_same_server_cuts_the_answer_off(server: Server) -> None:
    async with client(server, system_role=False) as first, client(server, system_role=False) as second:
        stream = first.stream([HELLO], max_tokens=1_500)
        await anext(stream)
        assert await said(second)
        with pytest.raises(EngineFailed, match=r"for another request|broke the answer off"):
            async for _ in stream:
                pass
        assert await said(first)


async def test_a_long_conversation_is_cut_to_what_the_server_holds(server: Server) -> None:
    turns = [(Message("user", f"question {index}"), Message("assistant", "na ne ni")) for index in range(100)]
    history = [message for turn in turns for message in turn]
    async with client(server) as model:
        assert await said(model, SYSTEM, *history, HELLO)


async def test_a_server_that_is_killed_fails_the_answer_and_its_successor_answers(gemma: Path) -> None:
    with language_server(gemma, context_tokens=CONTEXT_TOKENS) as server:
        async with client(server, system_role=False) as model:
            stream = model.stream([HELLO], max_tokens=1_500)
            await anext(stream)
            server.kill()
            with pytest.raises(EngineFailed, match="broke the answer off"):
                async for _ in stream:
                    pass
            with pytest.raises(EngineFailed, match="cannot be reached"):
                await said(model)
            adapter = write_adapter(gemma.with_name("adapter.gguf"))
            port = int(server.name.rpartition(":")[2])
            with language_server(gemma, context_tokens=CONTEXT_TOKENS, port=port, lora=adapter):
                assert await said(model)


def test_a_wrong_key_is_noticed_at_the_start(server: Server) -> None:
    llm = {"engine": "openai", "url": server.url, "start_wait_s": 0}
    wrong = EngineSettings.model_validate({"llm": {**llm, "key": SecretStr("a-wrong-key")}})
    with pytest.raises(EngineUnavailable, match="UNDERSTUDY_LLM__KEY"):
        create(wrong)
    assert create(EngineSettings.model_validate({"llm": {**llm, "key": KEY}}))
