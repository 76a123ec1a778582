"""A real signaling service on a free port, and peers that speak to it without the product's client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer
from pydantic import BaseModel, SecretStr

from signaling.app import create_app
from signaling.auth import issue
from signaling.protocol import FROM_SERVICE, PROTOCOL_VERSION, Error, FromService, Join, Role, Welcome, dump, parse
from signaling.settings import SignalingSettings

SECRET = "correct horse battery"
NOW_S = 1_800_000_000.0
PATIENCE_S = 10.0
"""Longest wait for anything; only a failing test ever waits this long."""


def token(role: Role, *, room: str = "main", lifetime_s: float = 60.0, secret: str = SECRET) -> str:
    return issue(secret, room=room, role=role, lifetime_s=lifetime_s, now_s=NOW_S)


class RawPeer:
    """One WebSocket to the service; nothing is read before somebody asks."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.id = ""

    async def send(self, message: BaseModel | str) -> None:
        await self.socket.send_str(message if isinstance(message, str) else dump(message))

    async def receive(self) -> FromService:
        frame = await self.socket.receive(PATIENCE_S)
        assert frame.type is aiohttp.WSMsgType.TEXT, f"closed with {self.socket.close_code}"
        message: FromService = parse(FROM_SERVICE, frame.data)
        return message

    async def error(self) -> Error:
        message = await self.receive()
        assert isinstance(message, Error), message
        return message

    async def closed(self) -> int | None:
        """Wait for the end of the socket, whatever comes before it, and return its close code."""
        async with asyncio.timeout(PATIENCE_S):
            async for _ in self.socket:
                pass
        return self.socket.close_code

    async def join(self, role: Role, *, room: str = "main") -> Welcome:
        await self.send(Join(version=PROTOCOL_VERSION, room=room, token=token(role, room=room)))
        welcome = await self.receive()
        assert isinstance(welcome, Welcome), welcome
        self.id = welcome.peer_id
        return welcome


class Service:
    """A running service and the peers of one test; everything is closed with it."""

    def __init__(self, server: TestServer, session: aiohttp.ClientSession, stack: AsyncExitStack) -> None:
        self.server = server
        self.session = session
        self._stack = stack

    @property
    def url(self) -> str:
        return str(self.server.make_url("/"))

    async def connect(self, **options: Any) -> RawPeer:
        socket = await self.session.ws_connect(self.server.make_url("/ws"), **options)
        self._stack.push_async_callback(socket.close)
        return RawPeer(socket)

    async def joined(self, role: Role, *, room: str = "main", **options: Any) -> RawPeer:
        peer = await self.connect(**options)
        await peer.join(role, room=room)
        return peer

    async def text(self, path: str) -> str:
        async with self.session.get(self.server.make_url(path)) as reply:
            return await reply.text()

    async def rooms(self) -> Any:
        async with self.session.get(self.server.make_url("/healthz")) as reply:
            return (await reply.json())["rooms"]


@asynccontextmanager
async def serving(
    *, port: int | None = None, clock: Callable[[], float] = lambda: NOW_S, **settings: Any
) -> AsyncIterator[Service]:
    """Run a service with `settings`; tokens made by `token` are good at the time of `clock`."""
    app = create_app(SignalingSettings(secret=SecretStr(SECRET), **settings), clock=clock)
    async with AsyncExitStack() as stack:
        server = TestServer(app, port=port)
        await stack.enter_async_context(server)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_S), ws_response_class=_QuickToClose)
        )
        yield Service(server, session, stack)


class _QuickToClose(aiohttp.ClientWebSocketResponse):
    """Does not wait for the other side's close frame when a test is over."""

    async def close(self, *, code: int = 1000, message: bytes = b"") -> bool:
        self._timeout = aiohttp.ClientWSTimeout(ws_close=0.5)
        return await super().close(code=code, message=message)
