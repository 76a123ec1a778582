"""Runs the service of a face until it is told to stop: `python -m models.face serve`."""

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import SecretStr

from models import registry
from models.environment import ProgramSettings, read
from models.errors import EngineUnavailable
from models.face.choice import name_of
from models.face.remote.service import FaceService
from models.servers import is_loopback
from models.settings import EngineSettings, FaceSettings, WeightsSettings
from models.stopping import stop_signals

_OUR_KEY: Final = "UNDERSTUDY_FACE__KEY"
_KEY_CHARACTERS: Final = 16
_END_S: Final = 2.0
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Environment(ProgramSettings):
    weights: WeightsSettings = WeightsSettings()
    face: FaceSettings = FaceSettings()


def service_settings(engine: str | None = None) -> EngineSettings:
    """What the environment and .env say, with `engine` to be drawn; a performer's `remote` stands for auto here.

    Raises EngineUnavailable with the name of a setting that is wrong.
    """
    found = read(_Environment)
    engine = engine or ("auto" if found.face.engine == "remote" else found.face.engine)
    # What is shown when this face is not is the performer's business.
    face = found.face.model_copy(update={"engine": engine, "fallbacks": ()})
    return EngineSettings(weights=found.weights, face=face)


def listening_address(settings: FaceSettings, host: str | None, port: int | None) -> tuple[str, int]:
    """Where to listen: what is named, else what the settings' URL says. Raises EngineUnavailable."""
    parts = urlsplit(settings.url)
    if host is None and parts.scheme == "https":
        raise EngineUnavailable(
            "The service itself speaks http; name the address that it listens at by --host and --port."
        )
    try:
        return host or parts.hostname or "", port if port is not None else parts.port or 80
    except ValueError:
        raise EngineUnavailable("UNDERSTUDY_FACE__URL: the port is a number up to 65535.") from None


def require_key(key: SecretStr | None, host: str) -> None:
    """Raises EngineUnavailable for an address that others reach and no key, or one that they may guess."""
    if not is_loopback(host) and (key is None or len(key.get_secret_value()) < _KEY_CHARACTERS):
        raise EngineUnavailable(
            f"A face that others can reach needs a key of {_KEY_CHARACTERS} characters or more in {_OUR_KEY}, for "
            "example what `openssl rand -hex 16` says."
        )


def serve(options: argparse.Namespace) -> int:
    """Run the command with the options of command.py; returns its exit status. Raises ModelError."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    settings = service_settings(options.engine)
    host, port = listening_address(settings.face, options.host, options.port)
    with _ctrl_c_ends_at_once():
        asyncio.run(draw(settings, host, port, say=partial(print, file=sys.stderr, flush=True)))
    return 0


async def draw(settings: EngineSettings, host: str, port: int, *, say: Callable[[str], None]) -> None:
    """Make the face, draw it for whoever comes, and return when told to stop. Raises ModelError.

    Until the face is made, which may take minutes, a signal does what it does without us: there is nothing to end.
    """
    require_key(settings.face.key, host)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_bound(host, port))
        face = await asyncio.to_thread(registry.create, "face", settings)
        stack.push_async_callback(face.aclose)
        stopped = await stack.enter_async_context(stop_signals())
        service = FaceService(face, engine=name_of(face, settings.face), key=settings.face.key)
        runner = web.AppRunner(service.application(), access_log=None, shutdown_timeout=_END_S)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        say(f"The face is drawn at {_url(listener)}: {face.width_px}x{face.height_px} px.")
        await stopped.wait()


class _Lines(logging.Formatter):
    """The event and its values on one line."""

    def format(self, record: logging.LogRecord) -> str:
        values = [f" {name}={value}" for name, value in vars(record).items() if name not in _STANDARD]
        return super().format(record) + "".join(values)


def _bound(host: str, port: int) -> socket.socket:
    """A socket that owns the address, before seconds are spent on the face; it listens when the face is there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            if sys.platform != "win32":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise EngineUnavailable(
            f"The face's service cannot listen at {host}:{port}: {error.strerror}; choose another address by --host "
            "and --port, or UNDERSTUDY_FACE__URL."
        ) from None
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _ctrl_c_ends_at_once() -> Iterator[None]:
    """Not with an exception, which would wait for what a thread is doing. On Windows there is no other."""
    if sys.platform == "win32":
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
