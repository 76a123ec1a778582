"""What the client of a language model's server makes of every failure."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from models.errors import EngineFailed
from models.llm.openai_server import MAX_RETRY_AFTER_S
from tests.openai_client import HELLO, QUICK, broken_off, client, failure, hanging, raw, said
from tests.openai_stand_in import KEY, Behaviour, Exchange, StandIn, answer, stand_in, status


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    async with stand_in() as one:
        yield one


def behaviours_that_pass() -> dict[str, Behaviour]:
    return {
        "500": status(500),
        "503": status(503),
        "429 with a short Retry-After": status(429, Retry_After="1"),
        "reset before the headers": reset_at_once,
        "reset before the first token": broken_off(),
        "an error in the stream": raw(b'data: {"error": {"message": "out of memory"}}\n\n'),
        "silence before the headers": silent,
        "silence before the first token": hanging(),
        "an empty answer that just ends": raw(b""),
    }


async def reset_at_once(exchange: Exchange) -> None:
    exchange.reset()


async def silent(exchange: Exchange) -> None:
    await exchange.until_gone()


@pytest.mark.parametrize("name", behaviours_that_pass())
async def test_what_fails_before_the_first_token_is_tried_once_more(server: StandIn, name: str) -> None:
    behaviours = behaviours_that_pass()
    server.script = [behaviours[name]]
    async with client(server, timeouts=QUICK, system_role=True) as model:
        assert await said(model) == ["Good", " morning", "."]
    server.script = [behaviours[name]] * 2
    sentence = await failure(server, timeouts=QUICK, system_role=True)
    assert sentence.startswith(f"The language model's server at {server.server.name} ")
    assert len(server.requests) == 4


async def test_a_server_that_hangs_is_asked_twice_and_nothing_else(server: StandIn) -> None:
    server.script = [hanging(), silent]
    assert "has sent nothing for 0.1 s" in await failure(server, timeouts=QUICK)
    assert [body["stream"] for body in server.bodies] == [True, True]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (broken_off("Good"), "broke the answer off"),
        (hanging("Good"), "has sent nothing for 0.1 s"),
        (
            raw(b'data: {"choices": [{"delta": {"content": "Good"}}]}\n\ndata: {"error": {}, "choices": 1}\n\n'),
            "sent a chunk",
        ),
        (
            raw(b'data: {"choices": [{"delta": {"content": "Good"}}]}\n\ndata: {"error": "no"}\n\n'),
            "failed in the middle",
        ),
    ],
)
async def test_what_fails_after_the_first_token_is_not_tried_again(
    server: StandIn, behaviour: Behaviour, reason: str
) -> None:
    server.script = [behaviour]
    async with client(server, timeouts=QUICK) as model:
        stream = model.stream([HELLO], max_tokens=8)
        assert await anext(stream) == "Good"
        with pytest.raises(EngineFailed, match=reason):
            await anext(stream)
        assert len(server.requests) == 1
        assert await said(model) == ["Good", " morning", "."]


async def test_pings_are_no_tokens(server: StandIn) -> None:
    async def pinging(exchange: Exchange) -> None:
        await exchange.head()
        gone = asyncio.create_task(exchange.until_gone())
        while not gone.done():
            await exchange.chunk(b": ping\n\n")
            await asyncio.wait([gone], timeout=0.01)

    server.script = [pinging, pinging]
    assert "has sent nothing" in await failure(server, timeouts=QUICK, system_role=True)


@pytest.mark.parametrize(
    "data",
    [b"<html>nothing here</html>\n\n", b"data: {\n\n", b"data: \xff\xfe\n\n", b"data: 7\n\n", b"data: x" * 300_000],
)
async def test_bytes_that_are_no_answer_are_one_sentence_and_no_second_request(server: StandIn, data: bytes) -> None:
    server.script = [raw(data)]
    assert "instead of an answer" in await failure(server)
    assert len(server.requests) == 1


async def test_what_does_not_speak_http_is_one_sentence(server: StandIn) -> None:
    async def rude(exchange: Exchange) -> None:
        await exchange.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    server.otherwise = rude
    assert (await failure(server)).startswith(f"The language model's server at {server.server.name} ")


@pytest.mark.parametrize("value", ["3600", "Fri, 31 Dec 2200 23:59:59 GMT"])
async def test_a_long_pause_is_not_waited_for(server: StandIn, value: str) -> None:
    server.script = [status(429, Retry_After=value)]
    assert "asked too often" in await failure(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("value", "pause_s"), [("2", 2.0), ("0", 0.25), ("soon", 0.25), ("", 0.25)])
async def test_a_short_pause_is_kept(server: StandIn, value: str, pause_s: float) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    server.script = [status(429, Retry_After=value)]
    async with client(server, sleep=sleep, system_role=True) as model:
        assert await said(model)
    assert pauses == [pause_s]
    assert pause_s <= MAX_RETRY_AFTER_S


@pytest.mark.parametrize(
    ("code", "advice"),
    [(401, "LLM__KEY"), (403, "LLM__KEY"), (404, "SERVED_MODEL"), (301, "LLM__URL"), (413, "LLM__URL")],
)
async def test_a_refusal_says_what_to_do_and_is_not_repeated(server: StandIn, code: int, advice: str) -> None:
    server.script = [status(code, f"Incorrect key {KEY.get_secret_value()} for: Hello!", Location="http://127.0.0.2/")]
    sentence = await failure(server)
    assert advice in sentence
    assert server.server.name in sentence
    assert KEY.get_secret_value() not in sentence
    assert "Hello" not in sentence
    assert len(server.requests) == 1


async def test_a_server_that_was_killed_is_one_sentence_and_one_that_came_back_answers() -> None:
    async with stand_in() as killed, client(killed) as model:
        await said(model)
        killed.otherwise = reset_at_once
        with pytest.raises(EngineFailed, match="closed the connection"):
            await said(model)
        killed.otherwise = answer("Back")
        assert await said(model) == ["Back"]
    sentence = await failure(killed.server)
    assert sentence == f"The language model's server at {killed.server.name} cannot be reached; start it."


async def test_a_key_never_shows(server: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with client(server) as model:
        await said(model)
        assert KEY.get_secret_value() not in repr(server.server) + caplog.text
        assert "Hello" not in caplog.text
