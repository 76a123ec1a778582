"""What the client of a language model's server adds, how soon an interrupted model is free, and what the cache saves.

llama-cpp-python's real server with the small test model, on one thread, so that the client has a core of its own. A
bare request is one over a kept connection whose reply nobody parses.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import numpy as np

from models.interfaces import Message
from models.llm.openai_server import OpenAiServerModel, Timeouts
from models.llm.sampling import Sampling
from models.llm.server import Server
from tests.bench.report import percentiles
from tests.language_server import MODEL, language_server
from tests.openai_stand_in import Exchange, stand_in

CONTEXT_TOKENS = 2_048
PAIRS = 30
ANSWER_TOKENS = 24
PIECES = 300
ABORTS = 15
READ_TIMEOUT_S = 30.0
TURNS = 3
LONG_ANSWER_TOKENS = 300

HELLO = Message("user", "Hello! What do you like about autumn?")
NEXT = Message("user", "And what about winter?")
FACTS = " ".join(f"Fact {number}: the river has {number} bridges and {number + 3} ferries." for number in range(30))


async def measure() -> dict[str, float]:
    with language_server(context_tokens=CONTEXT_TOKENS, threads=1) as server:
        model = OpenAiServerModel(
            server,
            MODEL,
            context_tokens=CONTEXT_TOKENS,
            sampling=Sampling(temperature=0),
            timeouts=Timeouts(first_token_s=120),
        )
        try:
            return await _added(server, model) | await _added_to_pieces() | await _aborted(model) | await _cached(model)
        finally:
            await model.aclose()


def _persona(name: str) -> Message:
    return Message("system", f"You are {name}, a friendly engineer on a video call. {FACTS}")


async def _added(server: Server, model: OpenAiServerModel) -> dict[str, float]:
    """The first token, client and bare request in turn on a warm cache."""
    bare = await _Bare.connected(server)
    ours_ms, bare_ms = [], []
    try:
        await _first_ms(model, [HELLO], ANSWER_TOKENS)
        for _ in range(PAIRS):
            ours_ms.append(await _first_ms(model, [HELLO], ANSWER_TOKENS))
            bare_ms.append(await bare.first_ms([HELLO], ANSWER_TOKENS))
    finally:
        bare.close()
    return {
        **percentiles("bare_first_token_ms", bare_ms),
        **percentiles("added_first_token_ms", np.subtract(ours_ms, bare_ms).tolist()),
    }


async def _added_to_pieces() -> dict[str, float]:
    """From a token that is written to the piece that is handed out, beside what reading its bytes takes.

    The server of this measurement waits for each piece to arrive: no model's own pace is in the figures.
    """
    more = asyncio.Semaphore(0)
    written_s = [0.0]

    async def one_by_one(exchange: Exchange) -> None:
        await exchange.head()
        for _ in range(PIECES):
            written_s[0] = time.perf_counter()
            await exchange.piece("word ")
            await more.acquire()
        await exchange.piece(reason="stop")
        await exchange.event("[DONE]")
        await exchange.end()

    ours_ms, bare_ms = [], []
    async with stand_in([one_by_one, one_by_one]) as slow:
        model = OpenAiServerModel(slow.server, MODEL, context_tokens=CONTEXT_TOKENS)
        async with aclosing(model.stream([HELLO], max_tokens=PIECES)) as pieces:
            async for _ in pieces:
                ours_ms.append(1_000 * (time.perf_counter() - written_s[0]))
                more.release()
        await model.aclose()
        bare = await _Bare.connected(slow.server)
        async for _ in bare.events([HELLO], PIECES):
            bare_ms.append(1_000 * (time.perf_counter() - written_s[0]))
            more.release()
        bare.close()
    return {
        **percentiles("piece_ms", ours_ms),
        "added_piece_ms": round(float(np.median(ours_ms) - np.median(bare_ms)), 3),
    }


async def _aborted(model: OpenAiServerModel) -> dict[str, float]:
    """From closing an answer to the next one's first token, less what that takes when the model is idle."""
    question = [_persona("Olena"), HELLO]
    await _first_ms(model, question, 1)
    idle_ms = float(np.median([await _first_ms(model, question, 1) for _ in range(ABORTS)]))
    free_ms = []
    for _ in range(ABORTS):
        stream = model.stream(question, max_tokens=LONG_ANSWER_TOKENS)
        for _ in range(5):
            await anext(stream)
        closed_s = time.perf_counter()
        await stream.aclose()
        await _first_ms(model, question, 1)
        free_ms.append(max(0.0, 1_000 * (time.perf_counter() - closed_s) - idle_ms))
    return percentiles("abort_free_ms", free_ms)


async def _cached(model: OpenAiServerModel) -> dict[str, float]:
    """The next turn's first token: on a cold cache, after the whole turn before, and after one that was cut short."""
    cold_ms, next_ms, interrupted_ms = [], [], []
    for turn in range(TURNS):
        persona = _persona(f"{turn} Olena")
        said = ""
        async with aclosing(model.stream([persona, HELLO], max_tokens=ANSWER_TOKENS)) as pieces:
            said = "".join([piece async for piece in pieces])
        next_ms.append(await _first_ms(model, [persona, HELLO, Message("assistant", said), NEXT], 1))
        stream = model.stream([persona, HELLO], max_tokens=LONG_ANSWER_TOKENS)
        heard = "".join([await anext(stream) for _ in range(8)])
        await stream.aclose()
        interrupted_ms.append(await _first_ms(model, [persona, HELLO, Message("assistant", heard), NEXT], 1))
        other = _persona(f"{turn} Ivan")  # differs from its beginning
        cold_ms.append(await _first_ms(model, [other, HELLO, Message("assistant", said), NEXT], 1))
    cold = float(np.median(cold_ms))
    return {
        **percentiles("cold_first_token_ms", cold_ms),
        **percentiles("next_turn_first_token_ms", next_ms),
        "next_turn_share": round(float(np.median(next_ms)) / cold, 3),
        "interrupted_turn_share": round(float(np.median(interrupted_ms)) / cold, 3),
    }


async def _first_ms(model: OpenAiServerModel, messages: Sequence[Message], max_tokens: int) -> float:
    """ms to the first piece of an answer that is heard to its end."""
    started_s = time.perf_counter()
    first_ms = 0.0
    async with aclosing(model.stream(messages, max_tokens=max_tokens)) as pieces:
        async for _ in pieces:
            first_ms = first_ms or 1_000 * (time.perf_counter() - started_s)
    return first_ms


class _Bare:
    """One kept connection and no more HTTP than it needs."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connected(cls, server: Server) -> "_Bare":
        host, _, port = server.name.rpartition(":")
        return cls(server, *await asyncio.open_connection(host, int(port)))

    async def first_ms(self, messages: Sequence[Message], max_tokens: int) -> float:
        started_s = time.perf_counter()
        first_ms = 0.0
        async for _ in self.events(messages, max_tokens):
            first_ms = first_ms or 1_000 * (time.perf_counter() - started_s)
        return first_ms

    async def events(self, messages: Sequence[Message], max_tokens: int) -> AsyncIterator[None]:
        """Once for each read that brought some text."""
        told = [{"role": message.role, "content": message.content} for message in messages]
        fields = {"messages": told, "max_tokens": max_tokens, "stream": True, "temperature": 0, "repeat_penalty": 1}
        body = json.dumps(fields).encode()
        headers = {"Host": self._server.name, "Content-Type": "application/json", "Content-Length": str(len(body))}
        headers |= self._server.headers()
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._writer.write(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + body)
        read = b""
        while not read.endswith(b"0\r\n\r\n"):
            async with asyncio.timeout(READ_TIMEOUT_S):
                read = await self._reader.read(1 << 16)
            if b'"content"' in read:
                yield

    def close(self) -> None:
        self._writer.close()
