"""One peer's WebSocket: a bounded queue of outgoing messages and the task that writes them."""

import asyncio
from types import TracebackType
from typing import Self

from aiohttp import WSCloseCode, web

from signaling.protocol import Error, FromService, dump

CLOSE_TIMEOUT_S = 2.0
"""Longest wait for a peer to take its last message."""


class Connection:
    """Owns the writer of `socket` from `async with` on. A peer that does not read is cut off, never waited for."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport, *, queue_messages: int) -> None:
        self._socket = socket
        self._transport = transport
        self._queue: asyncio.Queue[FromService] = asyncio.Queue(queue_messages)
        self._writer: asyncio.Task[None] | None = None
        self._ending = False

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write(), name="signaling-writer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._writer is not None
        try:
            if self._ending:
                await asyncio.wait((self._writer,), timeout=CLOSE_TIMEOUT_S)
        finally:
            self._writer.cancel()
            await asyncio.wait((self._writer,))
            if _unsent_bytes(self._transport):
                self._transport.abort()

    def put(self, message: FromService) -> bool:
        """Queue a message; a fatal error is the last one and closes the socket. False when this cut the peer off."""
        if self._ending:
            return True
        self._ending = isinstance(message, Error) and message.fatal
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._ending = True
            self._transport.abort()
            return False
        return True

    async def close(self, code: WSCloseCode) -> None:
        """Close the socket with `code`, within CLOSE_TIMEOUT_S."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._socket.close(code=code)
        except TimeoutError:
            self._transport.abort()

    async def _write(self) -> None:
        try:
            while True:
                message = await self._queue.get()
                await self._socket.send_str(dump(message))
                if isinstance(message, Error) and message.fatal:
                    await self.close(WSCloseCode.POLICY_VIOLATION)
                    return
        except ConnectionError:
            return  # the reader of this socket learns it too and ends the connection


def _unsent_bytes(transport: asyncio.Transport) -> int:
    """What still waits to be sent; one of TLS that was closed no longer knows (its own time-out ends it)."""
    try:
        return transport.get_write_buffer_size()
    except AttributeError:
        return 0
