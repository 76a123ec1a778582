"""The test call through the path that a call takes, in a program of its own, and then the local peer's connection."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from deploy import connection_file
from deploy.vast.instance import Instance
from deploy.vast.record import Record

COMMAND = (sys.executable, "-m", "deploy", "check")
POLL_S = 0.2
KILL_S = 3.0
SECRETS_OF_OURS = ("VAST_API_KEY", "UNDERSTUDY_DEPLOY__API_KEY")
LONGEST_REASON = 300


class Checking:
    """`python -m deploy check` with the connection in its environment: a token is in it, so that it is no argument."""

    def __init__(
        self,
        record: Record,
        root: Path,
        *,
        limit_s: float,
        stopped: Callable[[], bool],
        tell: Callable[[str], None] = lambda line: None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._record = record
        self._root = root
        self._limit_s = limit_s
        self._stopped = stopped
        self._tell = tell
        self._command = command

    def __call__(self, instance: Instance) -> str | None:
        """Why the double does not answer, or None when it does and `make local` knows where it is."""
        connection = self._record.connection(instance)
        if connection is None:
            return "it has no address"
        environment = {name: value for name, value in os.environ.items() if name not in SECRETS_OF_OURS}
        environment[connection_file.VARIABLE] = str(connection)
        # The connection string says all that these would contradict.
        for key in ("SIGNALING_URL", "SIGNALING_PIN", "ROOM", "TOKEN"):
            environment.pop(f"UNDERSTUDY_LOCAL__{key}", None)
        if (reason := self._run(environment)) is not None:
            return reason
        try:
            connection_file.write(self._root, connection)
        except OSError as error:
            return f"{self._root} cannot be written: {error.strerror}"
        return None

    def _run(self, environment: dict[str, str]) -> str | None:
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            process = subprocess.Popen(
                self._command,
                cwd=self._root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                # Ctrl-C is ours; the child is told by us.
                start_new_session=sys.platform != "win32",
            )
            assert process.stdout is not None
            reader = threading.Thread(target=self._read, args=(process.stdout,), name="check-output", daemon=True)
            reader.start()
            try:
                status = self._wait(process)
            finally:
                _end(process)
                reader.join(KILL_S)
                process.stdout.close()
            if status is None:
                return "you stopped it" if self._stopped() else f"the test call took longer than {self._limit_s:.0f} s"
            if status == 0:
                return None
            errors.seek(0)
            said = errors.read().strip().splitlines()
            return said[-1][:LONGEST_REASON] if said else f"the test call ended with status {status}"

    def _wait(self, process: "subprocess.Popen[str]") -> int | None:
        ends_s = time.monotonic() + self._limit_s
        while time.monotonic() < ends_s and not self._stopped():
            try:
                return process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
        return None

    def _read(self, output: IO[str]) -> None:
        for line in output:
            self._tell(line.strip())


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(KILL_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
