"""A stand-in for an OpenAI-compatible server that misbehaves as told, byte by byte.

By default it answers as llama-cpp-python's server does: a chunk with the role, one per token, one with the reason, then
`[DONE]`; connections are kept.
"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from models.llm.server import Server

KEY = SecretStr("open-sesame-to-tests")


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: int
    """Which connection it came by, counted from 1."""


@dataclass
class Exchange:
    """One request and the way back to the client."""

    request: Request
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(
        self, status: int = 200, headers: Mapping[str, str] | None = None, kind: str = "text/event-stream"
    ) -> None:
        lines = {"Content-Type": kind, "Transfer-Encoding": "chunked", **(headers or {})}
        text = f"HTTP/1.1 {status} Status\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        await self.write(text.encode() + b"\r\n")

    async def chunk(self, data: bytes) -> None:
        if data:  # an empty one would be the end
            await self.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def event(self, data: object) -> None:
        text = data if isinstance(data, str) else json.dumps(data)
        await self.chunk(f"data: {text}\n\n".encode())

    async def piece(self, text: str | None = None, *, reason: str | None = None, **delta: str) -> None:
        delta |= {} if text is None else {"content": text}
        await self.event({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

    async def end(self) -> None:
        await self.write(b"0\r\n\r\n")

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until_gone(self) -> None:
        """Wait for the client to close the connection."""
        while await self.reader.read(1024):
            pass

    def reset(self) -> None:
        """End the connection as a killed machine does."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Behaviour = Callable[[Exchange], Awaitable[None]]


def answer(*words: str, reason: str | None = "stop", done: bool = True) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.piece(role="assistant")
        for word in words:
            await exchange.piece(word)
        if reason is not None:
            await exchange.piece(reason=reason)
        if done:
            await exchange.event("[DONE]")
        await exchange.end()

    return behave


def status(code: int, body: str = "", **headers: str) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await exchange.head(code, named, kind="application/json")
        if body:
            await exchange.chunk(body.encode())
        await exchange.end()

    return behave


GOOD_MORNING = answer("Good", " morning", ".")


@dataclass
class StandIn:
    server: Server
    script: list[Behaviour] = field(default_factory=list)
    """What the next completions do, in order; then `otherwise`."""
    otherwise: Behaviour = GOOD_MORNING
    tokens_per_word: int | None = None
    """With a number it counts tokens as llama-cpp-python's server does."""
    requests: list[Request] = field(default_factory=list)
    """Completions that were asked for."""
    counted: list[str] = field(default_factory=list)
    connections: int = 0

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [request.body for request in self.requests]

    def told(self) -> list[list[tuple[str, str]]]:
        """Roles and texts of each request."""
        return [[(entry["role"], entry["content"]) for entry in body["messages"]] for body in self.bodies]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        try:
            while (request := await _read(reader, connection)) is not None:
                await self._behaviour(request)(Exchange(request, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _behaviour(self, request: Request) -> Behaviour:
        if request.path == "/v1/chat/completions":
            self.requests.append(request)
            return self.script.pop(0) if self.script else self.otherwise
        if request.path == "/extras/tokenize/count" and self.tokens_per_word is not None:
            self.counted.append(request.body["input"])
            count = self.tokens_per_word * len(request.body["input"].split())
            return status(200, json.dumps({"count": count}))
        if request.path == "/v1/models":
            return status(200, json.dumps({"data": [{"id": "tiny"}]}))
        return status(404, "{}")


async def _read(reader: asyncio.StreamReader, connection: int) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(first.split(" ")[1], headers, json.loads(body or b"{}"), connection)


@asynccontextmanager
async def stand_in(script: Sequence[Behaviour] = ()) -> AsyncIterator[StandIn]:
    handlers: set[asyncio.Task[None]] = set()
    one = StandIn(Server("", KEY), list(script))

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(one.serve(reader, writer), name="stand-in")
        handlers.add(task)
        task.add_done_callback(handlers.discard)

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    one.server = Server.at(f"http://127.0.0.1:{port}", KEY)
    try:
        yield one
    finally:
        listening.close()
        for task in list(handlers):
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
