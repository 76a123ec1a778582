"""What both peers use to be in a room: join, stay, come back after a lost connection.

    async with SignalingClient(url, room, token) as client:
        async for message in client:
            if isinstance(message, Welcome):
                ...  # first, and again after every re-join: ids are new, connections must be negotiated again

A Welcome after the first one is the only sign that the connection was lost in between.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from pydantic import ValidationError
from yarl import URL

from signaling.errors import (
    BadMessage,
    BadToken,
    ConnectionLost,
    RoomFull,
    SignalingError,
    UnsupportedVersion,
    WrongCertificate,
)
from signaling.limits import Backoff
from signaling.pin import fingerprint
from signaling.protocol import (
    FROM_SERVICE,
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
    Error,
    FromService,
    Join,
    Welcome,
    dump,
    parse,
)
from signaling.rooms import REPLACED, Relayed

log = logging.getLogger(__name__)

PATIENT_VISITS = 2
"""A service that is just being restarted is back after so many tries."""

_HOPELESS: dict[str, type[SignalingError]] = {kind.code: kind for kind in (BadToken, UnsupportedVersion)}


@dataclass(frozen=True, slots=True)
class _End:
    error: Exception | None


class SignalingClient:
    """A place in `room` that survives lost connections; an async context manager and iterator of FromService messages.

    `url` is ws(s)://host:port/ws, or http(s)://host:port as a person writes it; with a `pin` (see pin.py) the service
    must hold exactly this certificate, else one that an authority vouches for. Iteration raises BadToken,
    UnsupportedVersion, or WrongCertificate and RoomFull when the first join fails for it. Later ones are tried again:
    one's own dead connection may still hold the place, and a hotel's network may answer for everybody until one has
    signed in. It ends after an Error with code `replaced`.
    """

    def __init__(
        self,
        url: str,
        room: str,
        token: str,
        *,
        pin: str | None = None,
        session_factory: Callable[[], aiohttp.ClientSession] = aiohttp.ClientSession,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        connect_timeout_s: float = 5.0,
        send_timeout_s: float = 5.0,
        heartbeat_s: float = 15.0,
        inbox_messages: int = 64,
    ) -> None:
        """Raises ValueError, one sentence, for a URL, pin, room or token that cannot be right."""
        self._url = _websocket_url(url)
        if pin is not None and self._url.scheme != "wss":
            raise ValueError(f"A pin needs an address with TLS, and {url} has none; begin it with https:// or wss://.")
        self._trust: aiohttp.Fingerprint | bool = True if pin is None else fingerprint(pin)
        try:
            self._join = Join(version=PROTOCOL_VERSION, room=room, token=token)
        except ValidationError as error:
            what = error.errors(include_url=False, include_input=False)[0]["loc"][0]
            raise ValueError(f"The {what} for the signaling service is not one.") from None
        self._session_factory = session_factory
        self._sleep = sleep
        self._backoff = Backoff(chance)
        self._connect_timeout_s = connect_timeout_s
        self._send_timeout_s = send_timeout_s
        self._heartbeat_s = heartbeat_s
        self._inbox: asyncio.Queue[FromService | _End] = asyncio.Queue(inbox_messages)
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._task: asyncio.Task[None] | None = None
        self._was_in = False
        self._ended = False
        self._missed_visits = 0
        self._trouble: str | None = None

    @property
    def trouble(self) -> str | None:
        """Why the room has not been joined for PATIENT_VISITS tries, a clause without its full stop; else None."""
        return self._trouble if self._missed_visits >= PATIENT_VISITS else None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="signaling-client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait((self._task,))
        self._ended = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FromService:
        if self._ended:
            raise StopAsyncIteration
        item = await self._inbox.get()
        if not isinstance(item, _End):
            return item
        self._ended = True
        if item.error is not None:
            raise item.error
        raise StopAsyncIteration

    async def send(self, message: Relayed) -> None:
        """Send to a peer of the room. Raises ConnectionLost while not joined: wait for the next Welcome."""
        socket = self._socket
        if socket is None:
            raise ConnectionLost("The signaling service is not connected at the moment.")
        try:
            async with asyncio.timeout(self._send_timeout_s):
                await socket.send_str(dump(message))
        except (OSError, aiohttp.ClientError, TimeoutError):
            raise ConnectionLost("The connection to the signaling service was lost while sending.") from None

    async def _run(self) -> None:
        end: Exception | None = None
        try:
            async with self._session_factory() as session:
                while await self._visit(session):
                    delay_s = self._backoff.next_s()
                    log.info("signaling_reconnect", extra={"delay_s": round(delay_s, 2)})
                    await self._sleep(delay_s)
        except Exception as error:  # raised again where the messages are read
            end = error
        await self._inbox.put(_End(end))

    async def _visit(self, session: aiohttp.ClientSession) -> bool:
        """Connect, join and pass messages on until the connection ends; true when it is worth coming back."""
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                socket = await session.ws_connect(
                    self._url,
                    ssl=self._trust,
                    heartbeat=self._heartbeat_s,
                    timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
                    max_msg_size=4 * MAX_MESSAGE_BYTES,
                )
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            address = str(self._url.origin())
            reason = type(error).__name__
            if isinstance(error, aiohttp.WSServerHandshakeError):
                address, reason = f"{address}{self._url.path}", f"HTTP {error.status}"
            self._missed_visits += 1
            self._trouble = f"The signaling service at {address} cannot be reached"
            if isinstance(error, aiohttp.ServerFingerprintMismatch | aiohttp.ClientConnectorCertificateError):
                self._trouble = self._mistrust(error)
            log.warning("signaling_unreachable", extra={"address": address, "reason": reason})
            return True
        async with socket:
            try:
                return await self._converse(socket)
            except (OSError, aiohttp.ClientError, TimeoutError) as error:
                log.warning("signaling_lost", extra={"reason": type(error).__name__})
                return True
            finally:
                self._socket = None

    def _mistrust(self, error: Exception) -> str:
        """What is wrong with the service's certificate. Raises WrongCertificate before the room was ever joined."""
        address = self._url.origin()
        if isinstance(error, aiohttp.ServerFingerprintMismatch):
            what = f"{address} shows another certificate than the one that was agreed on, so it was not trusted"
        else:
            what = f"No authority vouches for the certificate of {address}, so it was not trusted"
        if not self._was_in:
            raise WrongCertificate(f"{what}; take the connection string that its deployment printed last.")
        return what

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse) -> bool:
        async with asyncio.timeout(self._connect_timeout_s) as patience:
            await socket.send_str(dump(self._join))
            async for frame in socket:
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    break
                try:
                    message: FromService = parse(FROM_SERVICE, frame.data)
                except BadMessage:
                    log.warning("signaling_message_not_understood")
                    continue
                if isinstance(message, Welcome):
                    patience.reschedule(None)
                    self._backoff.reset()
                    self._was_in = True
                    self._missed_visits = 0
                    self._socket = socket
                elif isinstance(message, Error) and message.fatal:
                    return await self._refused(message)
                await self._inbox.put(message)
        log.warning("signaling_lost", extra={"close_code": socket.close_code})
        return True

    async def _refused(self, error: Error) -> bool:
        log.warning("signaling_refused", extra={"code": error.code})
        if error.code in _HOPELESS:
            raise _HOPELESS[error.code](error.message)
        if error.code == RoomFull.code and not self._was_in:
            raise RoomFull(error.message)
        if error.code == REPLACED:
            await self._inbox.put(error)
            return False
        return True


def _websocket_url(text: str) -> URL:
    problem = f"{text} is not the address of a signaling service such as http://127.0.0.1:8080."
    try:
        url = URL(text)
    except ValueError:
        raise ValueError(problem) from None
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    if url.scheme not in schemes or not url.host:
        raise ValueError(problem)
    url = url.with_fragment(None).with_scheme(schemes[url.scheme])
    return url if url.path not in ("", "/") else url.with_path("/ws")
