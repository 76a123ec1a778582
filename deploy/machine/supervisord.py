"""supervisord.conf out of the descriptions of services, and what a running supervisord tells of them.

Each service is a program `python -m deploy.machine run NAME`: it reads the service's variables, secrets included, from
a file for the owner alone, so that neither this file nor a list of processes shows any.
"""

import hashlib
import http.client
import os
import re
import shlex
import tempfile
import xmlrpc.client
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.parsers.expat import ExpatError

from supervisor.xmlrpc import SupervisorTransport

from peer_remote.services.service import Service

_UNSPEAKABLE = re.compile(r"[\"\\\x00-\x1f]|\s[;#]")
"""What ends a value, a line or all that is not a comment there."""
LOG_BYTES: Final = "10MB"
LOGS_KEPT: Final = 3
LONGEST_SOCKET_PATH: Final = 100
"""A Unix socket's path has 108 bytes on Linux, of which supervisord takes some for a file of its own."""
END_RESERVE_S: Final = 7.0
"""How long after its service's own time the runner of a service may take before it is ended by force."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of one machine are."""

    directory: Path

    @property
    def configuration(self) -> Path:
        return self.directory / "supervisord.conf"

    @property
    def logs(self) -> Path:
        return self.directory / "log"

    @property
    def variables(self) -> Path:
        """What every service of this machine finds in its environment."""
        return self.directory / "machine.env"

    @property
    def socket(self) -> Path:
        """Where supervisord is told what to do; in the directory, unless its path is too long for a socket."""
        near = self.directory / "supervisor.sock"
        if len(os.fsencode(near)) <= LONGEST_SOCKET_PATH:
            return near
        name = hashlib.sha256(os.fsencode(self.directory.resolve())).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"understudy-{os.getuid()}-{name}.sock"

    @property
    def pid(self) -> Path:
        return self.directory / "supervisord.pid"

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def start_order(services: Sequence[Service]) -> list[Service]:
    """Services behind those that they wait for, else in their own order. Raises ValueError for a circle."""
    names = {service.name for service in services}
    ordered: list[Service] = []
    waiting = list(services)
    while waiting:
        placed = {service.name for service in ordered}
        ready = [one for one in waiting if all(name in placed or name not in names for name in one.after)]
        if not ready:
            raise ValueError(f"These services wait for each other: {', '.join(one.name for one in waiting)}.")
        ordered.append(ready[0])
        waiting.remove(ready[0])
    return ordered


def configuration(services: Sequence[Service], layout: Layout, *, python: Path, root: Path) -> str:
    """The text of supervisord.conf. It holds no secret. Raises ValueError for a folder that it cannot name."""
    for folder in (layout.directory, python, root):
        if _UNSPEAKABLE.search(str(folder)):
            raise ValueError(
                f"supervisord's file cannot name {str(folder)!r}; take a folder without quotes and ; and #."
            )
    sections = [
        _section("unix_http_server", file=layout.socket, chmod="0700"),
        _section(
            "supervisord",
            logfile=layout.log_of("supervisord"),
            logfile_maxbytes=LOG_BYTES,
            logfile_backups=LOGS_KEPT,
            pidfile=layout.pid,
            directory=root,
            umask="077",
            **({"user": "root"} if os.geteuid() == 0 else {}),
        ),
        _section(
            "rpcinterface:supervisor",
            **{"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
        _section("supervisorctl", serverurl=f"unix://{layout.socket}"),
    ]
    for place, service in enumerate(start_order(services), start=1):
        sections.append(
            _section(
                f"program:{service.name}",
                command=shlex.join([str(python), "-m", "deploy.machine", "run", service.name]),
                directory=root,
                environment=_environment({"UNDERSTUDY_MACHINE__DIR": str(layout.directory)}),
                priority=100 + place,
                autostart="true",
                autorestart="true",
                startsecs=1,
                # It tries for ever: what is missing (a server elsewhere, a network) may come back.
                startretries=1_000_000,
                stopsignal="TERM",
                stopwaitsecs=round(service.stop_s + END_RESERVE_S),
                killasgroup="true",
                redirect_stderr="true",
                stdout_logfile=layout.log_of(service.name),
                stdout_logfile_maxbytes=LOG_BYTES,
                stdout_logfile_backups=LOGS_KEPT,
            )
        )
    return "\n".join(sections)


def _section(heading: str, **keys: object) -> str:
    lines = [f"[{heading}]", *(f"{key}={_escaped(value)}" for key, value in keys.items())]
    return "\n".join([*lines, ""])


def _escaped(value: object) -> str:
    """A percent sign begins a substitution there."""
    return str(value).replace("%", "%%")


def _environment(variables: dict[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in variables.items())


@dataclass(frozen=True, slots=True)
class Program:
    """What supervisord knows of one program."""

    name: str
    state: str
    """RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL …"""
    started_at: int
    pid: int


class Supervisor:
    """A running supervisord, asked through its socket. Methods raise OSError when there is none."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def runs(self) -> bool:
        """Whether there is one, be it on its way down."""
        try:
            self._call("getState")
        except xmlrpc.client.Fault:  # SHUTDOWN_STATE: it answers nothing more than that
            return True
        except OSError:
            return False
        return True

    def programs(self) -> dict[str, Program]:
        """All programs by name."""
        try:
            entries = self._call("getAllProcessInfo")
        except xmlrpc.client.Fault:
            raise OSError("supervisord is about to end.") from None
        return {
            entry["name"]: Program(entry["name"], entry["statename"], entry["start"], entry["pid"]) for entry in entries
        }

    def shut_down(self) -> None:
        """Let it end all programs and itself."""
        with suppress(xmlrpc.client.Fault):  # it does already
            self._call("shutdown")

    def _call(self, method: str, *arguments: Any) -> Any:
        # No time-out: the socket is a file of this machine, and supervisord answers between two of its steps.
        transport = SupervisorTransport(None, None, f"unix://{self._layout.socket}")
        try:
            server = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
            return getattr(server.supervisor, method)(*arguments)
        except (http.client.HTTPException, xmlrpc.client.ProtocolError, ExpatError):
            raise OSError("supervisord broke off.") from None
        finally:
            transport.close()
