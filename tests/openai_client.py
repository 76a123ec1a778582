"""Talking to the stand-in of a language model's server, and how it may misbehave."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from models.errors import EngineFailed
from models.interfaces import Message
from models.llm.openai_server import OpenAiServerModel, Timeouts
from models.llm.server import Server
from tests.openai_stand_in import Behaviour, Exchange, StandIn

PERSONA = Message("system", "You are Olena.")
HELLO = Message("user", "Hello!")
QUICK = Timeouts(connect_s=2.0, first_token_s=0.1, between_tokens_s=0.1)


@asynccontextmanager
async def client(server: StandIn | Server, **options: Any) -> AsyncIterator[OpenAiServerModel]:
    """A model whose pauses take no time."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    at = server.server if isinstance(server, StandIn) else server
    model = OpenAiServerModel(at, "tiny", **{"context_tokens": 512, "sleep": sleep} | options)
    try:
        yield model
    finally:
        await model.aclose()


async def said(model: OpenAiServerModel, *messages: Message, max_tokens: int = 8) -> list[str]:
    async with aclosing(model.stream(list(messages) or [PERSONA, HELLO], max_tokens=max_tokens)) as pieces:
        return [piece async for piece in pieces]


async def failure(server: StandIn | Server, **options: Any) -> str:
    """What is said when the answer fails."""
    async with client(server, **options) as model:
        with pytest.raises(EngineFailed) as failed:
            await said(model)
    return str(failed.value)


def broken_off(*words: str, by: Callable[[Exchange], None] = Exchange.reset) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.head()
        for word in words:
            await exchange.piece(word)
        by(exchange)

    return behave


def hanging(*words: str, gone: asyncio.Event | None = None) -> Behaviour:
    """Says `words` and then nothing until the client has gone."""

    async def behave(exchange: Exchange) -> None:
        await exchange.head()
        for word in words:
            await exchange.piece(word)
        await exchange.until_gone()
        if gone is not None:
            gone.set()

    return behave


def raw(data: bytes) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.chunk(data)
        await exchange.end()

    return behave
