"""Runs one service in the foreground: waits for those before it, asks for its health, ends it when it is not well.

supervisord starts the keeper again when it ends; so a service that hangs is restarted like one that died.
"""

import ctypes
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final, Protocol
from urllib.parse import urlsplit

from peer_remote.services.service import Health, Service
from signaling.pin import trusting

UNWELL: Final = 75
"""Exit status of a service that ran and was not well (EX_TEMPFAIL of sysexits.h)."""
POLL_S: Final = 0.25
PR_SET_PDEATHSIG: Final = 1


class Process(Protocol):
    """What is needed of a subprocess."""

    def wait(self, timeout: float) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


def is_well(health: Health, *, certificate: Path | None = None) -> bool:
    """Put the question of a service's health once; `certificate` is whom https may be, beside those of authorities."""
    match health.kind:
        case "process":
            return True
        case "tcp":
            address = urlsplit(health.url)
            try:
                socket.create_connection((address.hostname or "", address.port or 0), health.timeout_s).close()
            except OSError:
                return False
            return True
        case "http":
            return read_http(health.url, health.timeout_s, certificate=certificate) is not None


def read_http(url: str, timeout_s: float, *, certificate: Path | None = None) -> bytes | None:
    """The body of an answer with status 200, or None. Proxies are for other machines."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    try:
        if url.startswith("https"):
            context = trusting(certificate) if certificate else ssl.create_default_context()
            handlers.append(urllib.request.HTTPSHandler(context=context))
        with urllib.request.build_opener(*handlers).open(url, timeout=timeout_s) as answer:
            return bytes(answer.read(1 << 20)) if answer.status == 200 else None
    except (OSError, ValueError, http.client.HTTPException):
        return None


def wait_for(
    services: Sequence[Service],
    well: Callable[[Health], bool],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Wait until all are well, each at most as long as it may take to start; names of those that are not."""
    until_s = clock() + max((service.start_s for service in services), default=0.0)
    missing = list(services)
    while missing := [service for service in missing if not well(service.health)]:
        if clock() >= until_s:
            break
        sleep(POLL_S)
    return [service.name for service in missing]


class Keeper:
    """Holds one running service to its description."""

    def __init__(
        self,
        service: Service,
        process: Process,
        well: Callable[[Health], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._process = process
        self._well = well
        self._clock = clock
        self._told = False

    def told_to_end(self) -> None:
        """Somebody wants the service to end: pass it on."""
        self._told = True
        self._process.terminate()

    def keep(self) -> int:
        """Until the service ends; its exit status, 0 when we were told to end, UNWELL when it had to be ended."""
        health = self._service.health
        began_s = self._clock()
        was_well, misses = False, 0
        while True:
            try:
                status = self._process.wait(health.every_s if was_well else POLL_S)
                return 0 if self._told else _as_exit_status(status)
            except subprocess.TimeoutExpired:
                pass
            if self._told:
                return self._end()
            if self._well(health):
                was_well, misses = True, 0
                continue
            misses += 1
            late = not was_well and self._clock() - began_s > self._service.start_s
            if late or (was_well and misses >= health.failures):
                print(f"{self._service.name} is not well; it is ended and started again.", file=sys.stderr, flush=True)
                self._process.terminate()
                self._end()
                return UNWELL

    def _end(self) -> int:
        try:
            self._process.wait(self._service.stop_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(self._service.stop_s)
        return 0


def run_service(
    service: Service, environment: Mapping[str, str], well: Callable[[Health], bool], *, cwd: Path, pid_file: Path
) -> int:
    """Start the service and keep it. It ends with this process, however this one ends."""
    end_leftover(pid_file, service.command)
    process = subprocess.Popen(
        service.command, cwd=cwd, env=dict(environment), stdin=subprocess.DEVNULL, preexec_fn=_end_with_parent
    )
    note_pid(pid_file, process.pid)
    keeper = Keeper(service, process, well)

    def told(number: int, frame: FrameType | None) -> None:
        keeper.told_to_end()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    return keeper.keep()


def note_pid(pid_file: Path, pid: int) -> None:
    """Where a service's process is found, by people and by the next keeper."""
    pid_file.parent.mkdir(parents=True, exist_ok=True)
    pid_file.write_text(f"{pid}\n")


def end_leftover(pid_file: Path, command: Sequence[str], proc: Path = Path("/proc")) -> bool:
    """End what an earlier keeper, killed before it could, has left; true when there was something.

    The kernel forgets _end_with_parent for programs that change their user, as coturn does.
    """
    try:
        pid = int(pid_file.read_text())
        running = (proc / str(pid) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        if running != [os.fsencode(word) for word in command]:
            return False
        os.kill(pid, signal.SIGKILL)
    except (OSError, ValueError):
        return False
    return True


def _end_with_parent() -> None:
    """Linux: the kernel sends SIGTERM when the parent dies, kill -9 included; two of one service would share a port."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _as_exit_status(status: int) -> int:
    return status if status >= 0 else 128 - status
