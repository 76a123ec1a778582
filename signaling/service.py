"""The meeting place itself: WebSockets on one side, the rule book of rooms.py on the other.

    socket ─► parse ─► Rooms.join / route / leave ─► [(peer id, message)] ─► each peer's Connection

A mistake of one peer is answered to that peer; whatever happens to one socket, all others go on.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, web

from signaling import auth
from signaling.connection import CLOSE_TIMEOUT_S, Connection
from signaling.errors import BadMessage, RateLimited, SignalingError, UnsupportedVersion
from signaling.limits import TokenBucket
from signaling.metrics import Metrics
from signaling.protocol import (
    FROM_PEER,
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
    Error,
    FromPeer,
    IceServer,
    Join,
    parse,
)
from signaling.rooms import Deliveries, Rooms
from signaling.settings import SignalingSettings

log = logging.getLogger(__name__)


class Service:
    """All rooms and sockets of one application. `clock` is Unix time, `ticks` is monotonic, both in seconds."""

    def __init__(
        self, settings: SignalingSettings, secret: str, *, clock: Callable[[], float], ticks: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._clock = clock
        self._ticks = ticks
        self._sockets: set[Connection] = set()
        self._connections: dict[str, Connection] = {}
        self.rooms = Rooms(max_viewers=settings.max_viewers, max_rooms=settings.max_rooms)
        self.metrics = Metrics()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket from its first byte to its last."""
        if not _same_origin(request):
            self.metrics.refused.labels(reason="origin").inc()
            raise web.HTTPForbidden(text="This page belongs to another host, which may not use this service.")
        if len(self._sockets) >= self._settings.max_connections:
            self.metrics.refused.labels(reason="busy").inc()
            raise web.HTTPServiceUnavailable(text="The service has too many connections; try again later.")
        socket = web.WebSocketResponse(
            timeout=CLOSE_TIMEOUT_S,
            heartbeat=self._settings.heartbeat_s,
            compress=False,
            # What is a little too long is answered with a sentence; what is far too long is not even read.
            max_msg_size=4 * MAX_MESSAGE_BYTES,
        )
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        async with Connection(socket, transport, queue_messages=self._settings.queue_messages) as connection:
            self._sockets.add(connection)
            try:
                await self._converse(socket, connection)
            except Exception:
                log.exception("signaling_connection_failed")
                await connection.close(WSCloseCode.INTERNAL_ERROR)
            finally:
                self._sockets.discard(connection)
        return socket

    async def close(self) -> None:
        """Tell every peer that the service goes away."""
        async with asyncio.TaskGroup() as group:
            for connection in self._sockets:
                group.create_task(connection.close(WSCloseCode.GOING_AWAY), name="signaling-close")

    async def _converse(self, socket: web.WebSocketResponse, connection: Connection) -> None:
        bucket = TokenBucket(
            rate_per_s=self._settings.messages_per_s, burst=self._settings.burst_messages, now_s=self._ticks()
        )
        peer_id: str | None = None
        try:
            async with asyncio.timeout(self._settings.join_timeout_s) as patience:
                async for frame in socket:
                    if frame.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                        reason = "no_heartbeat" if isinstance(frame.data, TimeoutError) else "unreadable_frame"
                        self.metrics.dropped.labels(reason=reason).inc()
                        return
                    try:
                        if not bucket.take(self._ticks()):
                            raise RateLimited(f"More than {self._settings.messages_per_s:g} messages a second came.")
                        if peer_id is None:
                            peer_id = self._join(_parse_join(frame.data), connection)
                            patience.reschedule(None)
                        else:
                            self._relay(peer_id, parse(FROM_PEER, frame.data))
                    except SignalingError as error:
                        fatal = isinstance(error, RateLimited) or (
                            peer_id is None and not isinstance(error, BadMessage)
                        )
                        self._refuse(connection, error.code, str(error), fatal=fatal)
                        if fatal:
                            return
                    # Frames that came together are read without a pause; the writers must keep up with them.
                    await asyncio.sleep(0)
        except TimeoutError:
            if peer_id is not None:
                raise
            text = f"No valid join came within {self._settings.join_timeout_s:g} seconds."
            self._refuse(connection, "join_timeout", text, fatal=True)
        finally:
            if peer_id is not None:
                self._leave(peer_id)

    def _join(self, join: Join, connection: Connection) -> str:
        if join.version != PROTOCOL_VERSION:
            raise _unsupported(join.version)
        role = auth.check(self._secret, join.token, join.room, self._clock())
        joined = self.rooms.join(join.room, role, self._ice_servers())
        self._connections[joined.peer_id] = connection
        self.metrics.joins.labels(kind=role).inc()
        log.info("peer_joined", extra={"room": join.room, "role": role, "peer_id": joined.peer_id})
        self._deliver(joined.deliveries)
        return joined.peer_id

    def _relay(self, peer_id: str, message: FromPeer) -> None:
        if isinstance(message, Join):
            raise BadMessage("This connection has already joined a room.")
        self._deliver(self.rooms.route(peer_id, message))
        self.metrics.relayed.labels(kind=message.type).inc()

    def _leave(self, peer_id: str) -> None:
        deliveries = self.rooms.leave(peer_id)
        del self._connections[peer_id]
        log.info("peer_left", extra={"peer_id": peer_id})
        self._deliver(deliveries)

    def _deliver(self, deliveries: Deliveries) -> None:
        for peer_id, message in deliveries:
            if isinstance(message, Error) and message.fatal:
                self.metrics.dropped.labels(reason=message.code).inc()
            if not self._connections[peer_id].put(message):
                self.metrics.dropped.labels(reason="slow_reader").inc()
                log.warning("slow_reader_dropped", extra={"peer_id": peer_id})

    def _refuse(self, connection: Connection, code: str, text: str, *, fatal: bool) -> None:
        self.metrics.refused.labels(reason=code).inc()
        log.info("message_refused", extra={"code": code, "fatal": fatal})
        connection.put(Error(code=code, message=text, fatal=fatal))

    def _ice_servers(self) -> tuple[IceServer, ...]:
        settings = self._settings
        servers = tuple(IceServer(urls=(url,)) for url in settings.ice_servers)
        if settings.turn_secret is None:
            return servers
        turn = auth.turn_credentials(
            settings.turn_secret.get_secret_value(),
            settings.turn_urls,
            lifetime_s=settings.turn_lifetime_s,
            now_s=self._clock(),
        )
        return (*servers, turn)


def _parse_join(data: str | bytes) -> Join:
    try:
        message = parse(FROM_PEER, data)
    except BadMessage as error:
        raise _newer_join(data) or error from None
    if not isinstance(message, Join):
        raise BadMessage("The first message must be a join.")
    return message


def _newer_join(data: str | bytes) -> UnsupportedVersion | None:
    """A join of another version may have other fields; say what really is wrong with it."""
    if len(data) > MAX_MESSAGE_BYTES:
        return None
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return None
    version = message.get("version") if isinstance(message, dict) and message.get("type") == "join" else None
    return _unsupported(version) if isinstance(version, int) and version != PROTOCOL_VERSION else None


def _unsupported(version: int) -> UnsupportedVersion:
    return UnsupportedVersion(f"Protocol version {str(version)[:16]} is not supported; it is {PROTOCOL_VERSION} here.")


def _same_origin(request: web.Request) -> bool:
    """Browsers name the page's host in Origin (RFC 6454, 7); other programs send none."""
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == request.host.lower()
    except ValueError:
        return False
