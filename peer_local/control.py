"""Commands for the running program, over HTTP on this machine's loopback: for the command line, hotkeys and scripts.

GET  /status                                       figures and state
POST /takeover   {"who": "self|double|nobody"}     who is seen and heard
POST /kill /interrupt /veto                        no body needed
POST /mode       {"mode": "repeat"}
POST /say        {"text": "…"}                     as if typed in the terminal
POST /approve    {"text": "…"}                     without `text` the draft as it is
POST /record     {"on": true}

Every request needs `Authorization: Bearer <token>`; the token is new at each start and lies in a file that only the
user can read (control_file.py). A web page in the user's browser can reach loopback too: it is kept out by the token,
by the Host header (DNS rebinding) and by refusing every Origin. A command is carried out on the event loop at once and
costs under 20 ms; texts are never logged.
"""

import hmac
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, get_args

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from peer_local import control_file
from peer_local.errors import ControlRefused, LocalError
from peer_local.interfaces import Who
from peer_local.settings import Mode
from signaling.protocol import Text

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
PORTS_TRIED = 16
"""After the one that is set; then any free one."""
LONGEST_BODY_BYTES = 32 * 1024
"""2,000 characters of text take 24 KiB when all of them are escaped."""
_CLOSE_S = 1.0


class Controls(Protocol):
    """What can be asked of the running program; all on its event loop, at once, without waiting.

    Every method raises ControlRefused, one sentence, when it cannot be done now.
    """

    def status(self) -> dict[str, Any]:
        """State and figures, fit for JSON; no texts of the conversation."""
        ...

    def takeover(self, who: Who) -> None: ...

    def kill(self) -> None: ...

    def set_mode(self, mode: Mode) -> None: ...

    def say(self, text: str) -> None: ...

    def interrupt(self) -> None: ...

    def approve(self, text: str | None) -> None: ...

    def veto(self) -> None: ...

    def record(self, on: bool) -> None: ...


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Nothing(_Body):
    pass


class _Takeover(_Body):
    who: Who


class _Mode(_Body):
    mode: Mode


class _Say(_Body):
    text: Text


class _Approve(_Body):
    text: Text | None = None


class _Record(_Body):
    on: bool


B = TypeVar("B", bound=_Body)


class ControlServer:
    """Takes commands from `start` to `close`; both on the event loop of `controls`."""

    def __init__(self, controls: Controls, port: int, *, places: Sequence[Path] | None = None) -> None:
        """`port` 0 takes any free one; `places` are directories for the token's file, the user's own by default."""
        self._controls = controls
        self._wanted = port
        self._places = places
        self._runner: web.AppRunner | None = None
        self._key: control_file.Key | None = None
        self._path: Path | None = None
        self._names: frozenset[str] = frozenset()
        self.port = 0
        """The real one while it runs, which the token's file names too."""

    async def start(self) -> None:
        """Listen, then leave the token. Raises LocalError; the program can go on without commands."""
        app = web.Application(middlewares=[self._guard], client_max_size=LONGEST_BODY_BYTES)
        app.router.add_get("/status", self._status)
        controls = self._controls
        self._command(app, "/takeover", _Takeover, lambda body: controls.takeover(body.who))
        self._command(app, "/kill", _Nothing, lambda _: controls.kill())
        self._command(app, "/mode", _Mode, lambda body: controls.set_mode(body.mode))
        self._command(app, "/say", _Say, lambda body: controls.say(body.text))
        self._command(app, "/interrupt", _Nothing, lambda _: controls.interrupt())
        self._command(app, "/approve", _Approve, lambda body: controls.approve(body.text))
        self._command(app, "/veto", _Nothing, lambda _: controls.veto())
        self._command(app, "/record", _Record, lambda body: controls.record(body.on))
        try:
            listener = _listen(self._wanted)
        except OSError as error:
            raise LocalError(f"Commands cannot be taken on {HOST}: {error.strerror or error}.") from None
        self.port = listener.getsockname()[1]
        self._names = frozenset(f"{host}:{self.port}" for host in (HOST, "localhost"))
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_CLOSE_S)
        try:
            await self._runner.setup()
            await web.SockSite(self._runner, listener).start()
            self._key, self._path = control_file.leave(self.port, self._places)
        except BaseException as error:
            await self.close()
            listener.close()
            if isinstance(error, OSError):
                raise LocalError(f"The control token cannot be written: {error.strerror or error}.") from None
            raise
        logger.info("control_ready", extra={"port": self.port, "wanted_port": self._wanted})

    async def close(self) -> None:
        """Stop listening and take the token back. Never raises for a second call."""
        key, path, runner = self._key, self._path, self._runner
        self._key = self._path = self._runner = None
        if key is not None and path is not None:
            control_file.take_back(key, path)
        if runner is not None:
            await runner.cleanup()

    def _command(self, app: web.Application, path: str, kind: type[B], act: Callable[[B], None]) -> None:
        async def handle(request: web.Request) -> web.Response:
            try:
                body = kind.model_validate_json(await request.read() or b"{}")
            except ValidationError as error:
                return _refusal(400, "bad_request", _sentence(error))
            act(body)
            logger.info("control_command", extra={"command": path[1:]})
            return web.json_response({"ok": True})

        app.router.add_post(path, handle)

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(self._controls.status())

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        refusal = self._stranger(request)
        if refusal is not None:
            logger.warning("control_stranger", extra={"status": refusal.status})
            return refusal
        try:
            return await handler(request)
        except ControlRefused as error:
            return _refusal(409, error.code, str(error))
        except web.HTTPException as error:
            return _refusal(error.status, "bad_request", f"{error.reason}: see peer_local/control.py for the commands.")
        except Exception:
            logger.exception("control_failed", extra={"command": request.path[1:]})
            return _refusal(500, "internal_error", "The command failed; the log of the program says why.")

    def _stranger(self, request: web.Request) -> web.Response | None:
        """Why this request is not from the user's own programs; None when it is."""
        if request.headers.get("Host", "").lower() not in self._names:
            return _refusal(403, "foreign_host", "The request is for another host.")
        if "Origin" in request.headers:
            return _refusal(403, "foreign_origin", "Web pages may not control this program.")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        key = self._key
        if (
            key is None
            or scheme.lower() != "bearer"
            or not hmac.compare_digest(token.encode(errors="replace"), key.token.encode())
        ):
            return _refusal(401, "bad_token", "The token is not that of the running program.")
        return None


def _listen(wanted: int) -> socket.socket:
    """A listening socket on the wanted port, else on one after it, else on any. Raises OSError."""
    ports = (*range(wanted, min(wanted + PORTS_TRIED, 65_536)), 0) if wanted else (0,)
    for port in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if sys.platform == "win32":  # there another program could bind the same port otherwise
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, port))
            listener.setblocking(False)
            listener.listen(16)
        except OSError:
            listener.close()
            if not port:
                raise
        else:
            return listener
    raise AssertionError("port 0 either binds or raises")


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    key = ".".join(str(part) for part in first["loc"]) or "body"
    choices = {"who": get_args(Who), "mode": get_args(Mode)}.get(key)
    reason = f"is one of {', '.join(choices)}" if choices else first["msg"][:1].lower() + first["msg"][1:]
    return f"{key[:64]}{' ' if choices else ': '}{reason}."


def _refusal(status: int, code: str, sentence: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": sentence}}, status=status)
