"""Processes that are started, told to end, and end with this one."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from peer_remote.services.errors import ServicesError
from peer_remote.services.guard import GRACE_S, tell
from peer_remote.services.job import end_children_with_us
from peer_remote.services.log_file import LogPipe

_GUARD = Path(__file__).with_name("guard.py")
_GUARD_END_S = GRACE_S + 2.0
_LAST_LINES_S = 1.0


class Guard:
    """Sees to it that nothing outlives this process; see guard.py. On Windows a job object does."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()

    def open(self) -> None:
        """Raises ServicesError when the system does not let us."""
        try:
            if sys.platform == "win32":
                end_children_with_us()
            else:
                self._start()
        except OSError as error:
            raise ServicesError(f"Services that would end with this program cannot be started: {error}.") from None

    def watch(self, group: int) -> None:
        """A process group was started."""
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """It has ended."""
        self._groups.discard(group)
        self._tell(f"-{group}\n")

    def close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GUARD_END_S)

    def _start(self) -> None:
        # A session of its own: what is sent to our process group or comes from our terminal does not reach it.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            start_new_session=True,
        )

    def _tell(self, line: str) -> None:
        if self._process is None:
            return
        try:
            self._write(line)
        except OSError:  # somebody has ended it
            self.close()
            with suppress(OSError):
                self._start()
                for group in self._groups:
                    self._write(f"+{group}\n")

    def _write(self, line: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(line.encode())


class Child(Protocol):
    """A running process with whatever it started itself."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> int:
        """Its exit status, negative for a signal, once nothing of it is left."""
        ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class ChildProcess:
    """A process in a group of its own, so that Ctrl-C does not reach it and its own children end with it."""

    def __init__(self, process: asyncio.subprocess.Process, log: LogPipe, guard: Guard) -> None:
        self._process = process
        self._log = log
        self._guard = guard

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str], log: LogPipe, guard: Guard) -> "Child":
        """Raises OSError when it cannot be started."""
        windows = sys.platform == "win32"
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log.write_end,
                stderr=log.write_end,
                env=dict(environment),
                process_group=None if windows else 0,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        finally:
            os.close(log.write_end)
        guard.watch(process.pid)
        return cls(process, log, guard)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        status = await self._process.wait()
        if sys.platform != "win32":  # whatever it left behind would keep its port
            tell(self.pid, signal.SIGKILL)
        self._guard.forget(self.pid)
        await asyncio.to_thread(self._log.join, _LAST_LINES_S)
        return status

    def terminate(self) -> None:
        """SIGTERM to the process alone, which ends its own children in its own order; on Windows Ctrl-Break."""
        with suppress(ProcessLookupError):
            if sys.platform == "win32":
                self._process.send_signal(signal.CTRL_BREAK_EVENT)
            else:
                self._process.terminate()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                tell(self.pid, signal.SIGKILL)
