"""The service of a face: one face, drawn for one performer at a time.

    GET /healthz      200 while the face draws, 503 when it is stuck; tells nothing about anybody
    GET /v1/face      what is drawn, as JSON
    GET /v1/sitting   the WebSocket of wire.py

One performer, because a face is one person's: it remembers what its mouth did last. A second one is refused with a
sentence; the same one, whose connection broke before we noticed, takes its own place again.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from pydantic import SecretStr

from models.face.remote.address import DESCRIPTION_PATH, HEALTH_PATH, SOCKET_PATH
from models.face.remote.place import Place, Visitor
from models.face.remote.sitting import FaceStuck, Sitting
from models.face.remote.wire import MAX_TO_SERVICE_BYTES, VERSION, Hello, MalformedMessage, Welcome
from models.interfaces import Face
from models.worker import Worker

logger = logging.getLogger(__name__)

HELLO_S: Final = 5.0
SEND_S: Final = 5.0
"""A performer that does not take a picture for so long is gone."""
HEARTBEAT_S: Final = 10.0
"""Between pings; after half of it without an answer the performer is gone and another may come."""
STUCK_S: Final = 10.0
_CLOSE_S: Final = 1.0
_BUSY: Final = "The face is drawn for another performer already; stop that one, or start another service."


class FaceService:
    """Draws `face`, which belongs to whoever made it. `engine` is its name."""

    def __init__(
        self,
        face: Face,
        *,
        engine: str,
        key: SecretStr | None,
        hello_s: float = HELLO_S,
        send_s: float = SEND_S,
        stuck_s: float = STUCK_S,
    ) -> None:
        self._face = face
        self._engine = engine
        self._key = key
        self._hello_s = hello_s
        self._send_s = send_s
        self._stuck_s = stuck_s
        self._worker = Worker("face-compress")
        self._place = Place()
        self._sitting: Sitting | None = None
        self._stuck = False

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard])
        application.add_routes(
            [
                web.get(HEALTH_PATH, self._health),
                web.get(DESCRIPTION_PATH, self._describe),
                web.get(SOCKET_PATH, self._sit),
            ]
        )
        application.on_shutdown.append(self._shut)
        application.on_cleanup.append(self._clean_up)
        return application

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """No web page may look at the face, and nobody without the key."""
        if "Origin" in request.headers:
            raise web.HTTPForbidden(text="The face is not for web pages.")
        if self._key is not None and request.path != HEALTH_PATH:
            expected = f"Bearer {self._key.get_secret_value()}".encode()
            if not hmac.compare_digest(request.headers.get("Authorization", "").encode("utf-8", "replace"), expected):
                raise web.HTTPUnauthorized(text="The key is not the one that the service was started with.")
        return await handler(request)

    async def _health(self, request: web.Request) -> web.Response:
        sitting = self._sitting
        well = not self._stuck and (sitting is None or sitting.stuck_for_s() < self._stuck_s)
        return web.json_response({"ok": well, "engine": self._engine}, status=200 if well else 503)

    async def _describe(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "version": VERSION,
                "width_px": self._face.width_px,
                "height_px": self._face.height_px,
                "engine": self._engine,
                "busy": self._place.taken,
            }
        )

    async def _sit(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            timeout=_CLOSE_S, heartbeat=HEARTBEAT_S, compress=False, max_msg_size=MAX_TO_SERVICE_BYTES
        )
        await socket.prepare(request)
        visitor = Visitor(socket, request.transport, self._send_s)
        try:
            hello = await self._hello(visitor)
            if hello is not None and await self._place.take(hello, visitor):
                await self._serve(visitor)
            elif hello is not None:
                await visitor.refuse(_BUSY)
        except MalformedMessage as error:
            logger.warning("performer_not_understood", extra={"reason": str(error)})
            await visitor.refuse(f"The performer cannot be understood: {error}.")
        except FaceStuck as error:
            self._stuck = True
            logger.error("face_stuck")
            await visitor.refuse(str(error))
        finally:
            self._place.leave(visitor)
            await visitor.close()
        return socket

    async def _hello(self, visitor: Visitor) -> Hello | None:
        """None when it went away or was refused. Raises MalformedMessage."""
        try:
            async with asyncio.timeout(self._hello_s):
                hello = await visitor.hears()
        except TimeoutError:
            raise MalformedMessage(f"no hello came within {self._hello_s:g} s") from None
        if hello is None:
            return None
        if not isinstance(hello, Hello):
            raise MalformedMessage("it does not begin with a hello")
        if hello.version != VERSION:
            await visitor.refuse(
                f"The service speaks version {VERSION} and the performer {hello.version}; install the same release."
            )
            return None
        return hello

    async def _serve(self, visitor: Visitor) -> None:
        logger.info("performer_came")
        await visitor.send(Welcome(self._face.width_px, self._face.height_px))
        try:
            async with Sitting(self._face, visitor.send, self._worker) as self._sitting:
                while (message := await visitor.hears()) is not None:
                    await self._sitting.take(message)
        finally:
            self._sitting = None
            logger.info("performer_left")

    async def _shut(self, application: web.Application) -> None:
        await self._place.clear()

    async def _clean_up(self, application: web.Application) -> None:
        await self._worker.aclose()
