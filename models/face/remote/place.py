"""The one place in front of the face, and the connection of who has it."""

import asyncio
import logging
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from models.face.remote.wire import FromPerformer, FromService, Hello, MalformedMessage, Refused, dump, parse

logger = logging.getLogger(__name__)

_LEAVE_S: Final = 10.0
"""Longer than a face takes to stop."""


class Visitor:
    """A performer's connection. Sending to one that does not take it within `send_s` ends it, and is no error."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None, send_s: float) -> None:
        self._socket = socket
        self._transport = transport
        self._send_s = send_s

    async def hears(self) -> FromPerformer | None:
        """The next message, None at the end. Raises MalformedMessage."""
        frame = await self._socket.receive()
        if frame.type is WSMsgType.TEXT:
            raise MalformedMessage("it sends text")
        if frame.type is not WSMsgType.BINARY:
            return None
        message = parse(frame.data)
        if not isinstance(message, FromPerformer):
            raise MalformedMessage("it speaks like a service")
        return message

    async def send(self, message: FromService) -> None:
        try:
            async with asyncio.timeout(self._send_s):
                await self._socket.send_bytes(dump(message))
        except TimeoutError:
            logger.warning("performer_too_slow")
            self.abort()
        except ConnectionError:
            self.abort()

    async def refuse(self, sentence: str) -> None:
        await self.send(Refused(sentence))
        await self.close(WSCloseCode.POLICY_VIOLATION)

    async def close(self, code: WSCloseCode = WSCloseCode.GOING_AWAY) -> None:
        try:
            await self._socket.close(code=code)
        except ConnectionError:
            self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Place:
    """Belongs to one performer at a time, by the number that it keeps while it runs."""

    def __init__(self) -> None:
        self._client: bytes | None = None
        self._visitor: Visitor | None = None
        self._left = asyncio.Event()

    @property
    def taken(self) -> bool:
        return self._visitor is not None

    async def take(self, hello: Hello, visitor: Visitor) -> bool:
        """Whether `visitor` has the place now. A connection of its own that it had before is ended."""
        try:
            async with asyncio.timeout(_LEAVE_S):
                while self._visitor is not None:
                    if self._client != hello.client:
                        return False
                    self._visitor.abort()
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            return False
        self._client, self._visitor = hello.client, visitor
        return True

    def leave(self, visitor: Visitor) -> None:
        if self._visitor is visitor:
            self._client = self._visitor = None
            self._left.set()

    async def clear(self) -> None:
        """Send away who has it."""
        if self._visitor is not None:
            await self._visitor.close()
