"""`python -m peer_remote`: load the engines, join the room as its performer, and perform until stopped.

`python -m peer_remote persona me.md` checks who it would be; `python -m peer_remote services` starts the servers of its
engines too, and keeps everything running.
"""

import signal
import sys

if __name__ == "__main__":
    # Ctrl-C during the imports below, which take a second, ends the program without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:2] == ["services"]:  # a supervisor that runs for weeks needs none of what is imported below
        from peer_remote.services import command

        sys.exit(command.main(sys.argv[2:]))

import argparse
import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Protocol, TypeVar

from prometheus_client import start_http_server

from models import registry
from models.errors import ModelError
from models.settings import EngineSettings
from peer_remote import persona_command
from peer_remote.metrics import Metrics
from peer_remote.performer import Ears, perform
from peer_remote.persona_file import PersonaError
from peer_remote.settings import Settings
from peer_remote.turn import Cast
from signaling import logs
from signaling.client import SignalingClient
from signaling.errors import SignalingError
from signaling.settings import SettingsError

logger = logging.getLogger("peer_remote")


FORESEEN = (ModelError, SignalingError, ValueError, OSError)
"""What a person can do something about; each says in one sentence what."""


class Closable(Protocol):
    async def aclose(self) -> None: ...


Engine = TypeVar("Engine", bound=Closable)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the exit status is 1 when it cannot start or go on, 2 when its settings are wrong."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["persona"]:
        return persona_command.main(words[1:])
    parser = argparse.ArgumentParser(
        prog="python -m peer_remote",
        description="The double on stage: joins a room of the signaling service and answers whoever is there. "
        "All settings are environment variables UNDERSTUDY_<SECTION>__<KEY>, or lines of a file named .env.",
        epilog="`python -m peer_remote persona [FILE]` checks a persona's file and shows what it becomes; "
        "`python -m peer_remote services` starts the servers of the engines too, and keeps everything running.",
    )
    parser.add_argument("--signaling-url", help="WebSocket of the signaling service (ws://127.0.0.1:8080/ws)")
    parser.add_argument("--room", help="room to perform in (main)")
    parser.add_argument("--print-config", action="store_true", help="print the settings, secrets hidden, and exit")
    options = parser.parse_args(words)
    try:
        settings = Settings.load()
    except SettingsError as error:
        return _refuse(error, 2)
    changes = {"signaling_url": options.signaling_url, "room": options.room}
    remote = settings.remote.model_copy(update={key: value for key, value in changes.items() if value})
    settings = settings.model_copy(update={"remote": remote})
    if options.print_config:
        print(settings.model_dump_json(indent=2))
        return 0
    if remote.token is None:
        message = "UNDERSTUDY_REMOTE__TOKEN is not set; make one with `python -m signaling token --role performer`."
        return _refuse(message, 2)
    try:
        settings.persona.persona()
    except PersonaError as error:
        return _refuse(error, 2)
    logs.setup(remote.log_level)
    # OpenMP threads that spin at a barrier take the cores from the face and the encoder; read once, at loading.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        asyncio.run(_run(settings))
    except FORESEEN as error:
        return _refuse(error, 1)
    except BaseExceptionGroup as group:
        foreseen, rest = group.split(FORESEEN)
        if rest is not None or foreseen is None:
            raise
        return _refuse(_first(foreseen), 1)
    return 0


def _refuse(reason: object, status: int) -> int:
    print(f"peer_remote: {reason}", file=sys.stderr, flush=True)
    return status


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _run(settings: Settings) -> None:
    remote = settings.remote
    task = asyncio.current_task()
    assert task is not None and remote.token is not None
    metrics = Metrics()
    if remote.metrics_port:
        try:
            start_http_server(remote.metrics_port, addr="127.0.0.1", registry=metrics.registry)
        except OSError as error:
            raise OSError(f"Metrics cannot be served on port {remote.metrics_port}: {error.strerror}.") from None
    wire = SignalingClient(remote.signaling_url, remote.room, remote.token.get_secret_value(), pin=remote.signaling_pin)
    loop = asyncio.get_running_loop()
    for stop in (signal.SIGINT, signal.SIGTERM):
        if sys.platform == "win32":
            signal.signal(stop, lambda *_: loop.call_soon_threadsafe(task.cancel))
        else:
            loop.add_signal_handler(stop, task.cancel)
    try:
        async with AsyncExitStack() as stack:
            cast, ears = await load(settings, stack)
            await perform(settings, cast, ears, wire=wire, metrics=metrics)
    except asyncio.CancelledError:
        logger.info("stopped")


async def load(settings: EngineSettings, stack: AsyncExitStack) -> tuple[Cast, Ears]:
    """Make all engines at once, each on a thread of its own; `stack` closes them. Raises ModelError."""

    async def make(kind: str, maker: Callable[[], Engine]) -> Engine:
        started_s = time.monotonic()
        engine = await asyncio.to_thread(maker)
        stack.push_async_callback(engine.aclose)
        logger.info("engine_ready", extra={"kind": kind, "took_s": round(time.monotonic() - started_s, 1)})
        return engine

    make_vad = partial(registry.create, "vad", settings)
    make_vad()
    async with asyncio.TaskGroup() as making:
        turn = making.create_task(make("turn", lambda: registry.create("turn", settings)))
        asr = making.create_task(make("asr", lambda: registry.create("asr", settings)))
        llm = making.create_task(make("llm", lambda: registry.create("llm", settings)))
        tts = making.create_task(make("tts", lambda: registry.create("tts", settings)))
        face = making.create_task(make("face", lambda: registry.create("face", settings)))
    return Cast(llm.result(), tts.result(), face.result()), Ears(make_vad, turn.result(), asr.result())


if __name__ == "__main__":
    sys.exit(main())
