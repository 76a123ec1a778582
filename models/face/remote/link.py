"""The performer's connection to the service of a face: made when it is first needed, and made again when it broke."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Final, Protocol

import aiohttp

from models.errors import EngineFailed
from models.face.remote.address import SOCKET_PATH, Address, refuses_key
from models.face.remote.picture import MalformedPicture
from models.face.remote.wire import (
    MAX_TO_PERFORMER_BYTES,
    VERSION,
    FromPerformer,
    FromService,
    Hello,
    MalformedMessage,
    Refused,
    Welcome,
    dump,
    parse,
)

logger = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 1.0
MOST_UNSENT: Final = 256
"""Messages; all but sound are some ten bytes. A service that does not read so many is taken for dead."""
HEARTBEAT_S: Final = 10.0
_CLOSE_S: Final = 1.0


class Receiver(Protocol):
    """Who is told what comes."""

    async def received(self, message: FromService) -> None:
        """Raises MalformedMessage for what was not asked for."""
        ...

    def lost(self) -> None:
        """The connection is gone, and with it everything that was asked for."""
        ...


class _Broken(Exception):
    """The connection cannot go on; the message is the end of a sentence about the service."""


def pauses_s() -> Iterator[float]:
    """How long to wait before each attempt after the first."""
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


class Link:
    """Keeps one connection, by a task of its own. `send` and `drop` belong to the connection of now."""

    def __init__(
        self,
        address: Address,
        receiver: Receiver,
        *,
        size_px: tuple[int, int],
        connect_s: float,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.connections = 0
        self._address = address
        self._receiver = receiver
        self._size_px = size_px
        self._connect_s = connect_s
        self._sleep = sleep
        self._client = os.urandom(16)
        self._task: asyncio.Task[None] | None = None
        self._unsent: asyncio.Queue[bytes] | None = None
        self._dropped: asyncio.Future[str] | None = None
        self._tried = asyncio.Event()
        """The attempt that is going on has ended, or there is none."""
        self._trouble = "is not connected."

    @property
    def up(self) -> bool:
        return self._unsent is not None

    def failure(self) -> EngineFailed:
        """Why there is no connection."""
        return EngineFailed(f"The face's service at {self._address.name} {self._trouble}")

    async def ready(self) -> None:
        """Return when there is a connection. Only the first one is waited for; raises EngineFailed."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name="remote face")
        if not self.up:
            await self._tried.wait()
        if not self.up:
            raise self.failure()

    def send(self, message: FromPerformer) -> None:
        """Say `message`, if there is a connection. Raises ValueError for what the protocol has no room for."""
        if self._unsent is None:
            return
        try:
            self._unsent.put_nowait(dump(message))
        except asyncio.QueueFull:
            self.drop("does not read what it is told; look at its log.")

    def drop(self, trouble: str) -> None:
        """Give the connection up and make a new one."""
        if self._dropped is not None and not self._dropped.done():
            self._dropped.set_result(trouble)
            self._lose(trouble)

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._lose("is closed.")
        self._tried.set()

    async def _keep(self) -> None:
        """Connect, serve, and again after a pause, until cancelled."""
        pauses = pauses_s()
        async with aiohttp.ClientSession(headers=self._address.headers()) as session:
            while True:
                before = self.connections
                try:
                    await self._connection(session)
                except _Broken as broken:
                    self._lose(str(broken))
                except Exception:
                    logger.exception("face_service_failed")
                    self._lose("sent what this program cannot work with; see its log.")
                self._tried.set()
                if self.connections > before:
                    pauses = pauses_s()
                    logger.warning("face_service_lost", extra={"reason": self._trouble})
                await self._sleep(next(pauses))

    async def _connection(self, session: aiohttp.ClientSession) -> None:
        """One connection from its beginning to its end. Raises _Broken."""
        try:
            async with asyncio.timeout(self._connect_s):
                socket = await session.ws_connect(
                    self._address.url + SOCKET_PATH,
                    max_msg_size=MAX_TO_PERFORMER_BYTES,
                    heartbeat=HEARTBEAT_S,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                )
        except TimeoutError:
            raise _Broken(f"does not answer within {self._connect_s:g} s; look at its log.") from None
        except aiohttp.WSServerHandshakeError as error:
            raise self._not_let_in(error.status) from None
        except (aiohttp.ClientError, OSError):
            raise _Broken("cannot be reached; start it with `python -m models.face serve`.") from None
        try:
            await self._greet(socket)
            await self._talk(socket)
        except (MalformedMessage, MalformedPicture) as error:
            raise _Broken(f"cannot be understood ({error}); install the same release there.") from None
        except (aiohttp.ClientError, OSError):
            raise _Broken("broke the connection; look at its log.") from None
        finally:
            with suppress(aiohttp.ClientError, OSError):
                await socket.close()

    def _not_let_in(self, status: int) -> _Broken:
        if status == 401:
            return _Broken(refuses_key(self._address).removeprefix(f"The face's service at {self._address.name} "))
        return _Broken(f"refuses the connection ({status}); check UNDERSTUDY_FACE__URL.")

    async def _greet(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async with asyncio.timeout(self._connect_s):
                await socket.send_bytes(dump(Hello(VERSION, self._client)))
                welcome = await _next(socket)
        except TimeoutError:
            raise _Broken("does not say what it draws; look at its log.") from None
        if not isinstance(welcome, Welcome):
            raise MalformedMessage("it does not begin with a welcome")
        if (welcome.width_px, welcome.height_px) != self._size_px:
            raise _Broken(
                f"draws {welcome.width_px}x{welcome.height_px} px now and not {self._size_px[0]}x{self._size_px[1]}; "
                "start the performer anew."
            )

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Send and receive until either ends, or somebody drops the connection."""
        self._unsent = asyncio.Queue(MOST_UNSENT)
        self._dropped = asyncio.get_running_loop().create_future()
        self.connections += 1
        self._tried.set()
        logger.info("face_service_connected")
        sending = asyncio.create_task(_send(socket, self._unsent), name="remote face sends")
        receiving = asyncio.create_task(self._receive(socket), name="remote face receives")
        try:
            await asyncio.wait((sending, receiving, self._dropped), return_when=asyncio.FIRST_COMPLETED)
            if self._dropped.done():
                raise _Broken(self._dropped.result())
            (receiving if receiving.done() else sending).result()
        finally:
            self._dropped.cancel()
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await self._receiver.received(await _next(socket))

    def _lose(self, trouble: str) -> None:
        self._trouble = trouble
        was_up, self._unsent = self.up, None
        if was_up:
            self._receiver.lost()


async def _send(socket: aiohttp.ClientWebSocketResponse, unsent: "asyncio.Queue[bytes]") -> None:
    while True:
        await socket.send_bytes(await unsent.get())


async def _next(socket: aiohttp.ClientWebSocketResponse) -> FromService:
    """Raises _Broken at the end of the connection, MalformedMessage."""
    frame = await socket.receive()
    if frame.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED):
        raise _Broken("ended the connection; look at its log.")
    if frame.type is aiohttp.WSMsgType.ERROR:
        raise _Broken("broke the connection; look at its log.")
    if frame.type is not aiohttp.WSMsgType.BINARY:
        raise MalformedMessage("it sends text")
    message = parse(frame.data)
    if isinstance(message, Refused):
        raise _Broken(f"says: {message.sentence}")
    if isinstance(message, FromPerformer):
        raise MalformedMessage("it speaks like a performer")
    return message
