"""Runs a supervisor in this process: logs, signals, and what ends with it."""

import asyncio
import logging
import logging.handlers
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

from peer_remote.services.errors import ServicesError
from peer_remote.services.local import environment_of
from peer_remote.services.log_file import LogFile, LogPipe
from peer_remote.services.processes import Child, ChildProcess, Guard
from peer_remote.services.service import Health, Service
from peer_remote.services.settings import ServicesSettings
from peer_remote.services.status import serve_status
from peer_remote.services.supervisor import Supervisor
from signaling import logs

logger = logging.getLogger(__name__)

_OUR_LOG_BYTES: Final = 1_000_000
_STOPS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)
"""Ctrl-C, a supervisor above us, and the terminal's window that closes: SIGHUP, on Windows SIGBREAK."""


def run(services: Sequence[Service], settings: ServicesSettings, *, status_port: int) -> int:
    """Keep the services running until told to end; the exit status is 1 when that had to be by force.

    Raises ServicesError when it cannot be begun.
    """
    with ExitStack() as stack:
        files = _open_logs(settings, [service for service in services if service.command], stack)
        guard = Guard()
        guard.open()
        stack.callback(guard.close)
        return asyncio.run(_supervise(services, files, guard, status_port))


async def _supervise(services: Sequence[Service], files: Mapping[str, LogFile], guard: Guard, status_port: int) -> int:
    async def start(service: Service) -> Child:
        hidden = [secret.get_secret_value() for secret in service.secrets.values()]
        log = LogPipe(service.name, files[service.name], show, secrets=hidden, noise=our_question(service.health))
        return await ChildProcess.start(service.command, environment_of(service, os.environ), log, guard)

    show = _terminal()
    supervisor = Supervisor(services, start=start)
    async with serve_status(supervisor.statuses, status_port):
        keeping = asyncio.create_task(supervisor.run(), name="supervisor")
        with _told(supervisor.end, keeping.cancel):
            try:
                await keeping
            except asyncio.CancelledError:
                keeping.cancel()
                logger.warning("ended_by_force")
                return 1
    logger.info("ended")
    return 0


def our_question(health: Health) -> str:
    """What a server's access log says, every few seconds, of our questions that it answered."""
    return f'"GET {urlsplit(health.url).path} HTTP/1.1" 200' if health.kind == "http" else ""


@contextmanager
def _told(end: Callable[[], object], force: Callable[[], object]) -> Iterator[None]:
    """The first signal lets everything end in order, the second by force."""
    loop = asyncio.get_running_loop()
    told = False

    def take() -> None:
        nonlocal told
        (force if told else end)()
        told = True

    before = {number: signal.getsignal(number) for number in _STOPS}
    heard = [number for number in _STOPS if before[number] is not signal.SIG_IGN]  # nohup
    for number in heard:
        if sys.platform == "win32":
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(take))
        else:
            loop.add_signal_handler(number, take)
    try:
        yield
    finally:
        for number in heard:
            if sys.platform != "win32":
                loop.remove_signal_handler(number)
            signal.signal(number, before[number])


def _terminal() -> Callable[[bytes], None]:
    """Writes whole lines of several threads to standard error; a terminal that is gone loses them."""
    lock = threading.Lock()

    def show(line: bytes) -> None:
        with lock, suppress(OSError, ValueError):
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()

    return show


def _open_logs(settings: ServicesSettings, services: Sequence[Service], stack: ExitStack) -> Mapping[str, LogFile]:
    """The services' logs by name, and our own beside them. Raises ServicesError when they cannot be written."""
    directory = settings.log_dir.expanduser()
    ours = "services" if len(services) > 1 else f"services-{services[0].name}"
    most_bytes = int(settings.log_megabytes * 1_000_000)
    files = {}
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for service in services:
            path = directory / f"{service.name}.log"
            files[service.name] = LogFile(path, most_bytes=most_bytes, kept=settings.logs_kept)
            stack.callback(files[service.name].close)
        handler = logging.handlers.RotatingFileHandler(
            directory / f"{ours}.log", maxBytes=_OUR_LOG_BYTES, backupCount=1, encoding="utf-8"
        )
    except OSError as error:
        raise ServicesError(
            f"The logs cannot be written to {directory}: {error.strerror}; set UNDERSTUDY_SERVICES__LOG_DIR."
        ) from None
    handler.setFormatter(logs.LineFormatter())
    logging.getLogger().addHandler(handler)
    stack.callback(handler.close)
    stack.callback(logging.getLogger().removeHandler, handler)
    logger.info("logs", extra={"folder": str(directory)})
    return files
