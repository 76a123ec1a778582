"""The log of one service: what it writes, in a file that does not grow without bound, and in the terminal."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path

LONGEST_LINE_BYTES = 16_384
WITHHELD = b"[withheld]"
_READ_BYTES = 65_536


class LogFile:
    """NAME.log; when it is full it becomes NAME.log.1, that becomes NAME.log.2, and the last one is forgotten.

    Only its owner may read it: what a server logs may be personal. A disk that is full loses lines, never a service.
    """

    def __init__(self, path: Path, *, most_bytes: int, kept: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._kept = kept
        self._lock = threading.Lock()
        self._closed = False
        self._file: FileIO | None = self._open()

    def write(self, line: bytes) -> None:
        """Append one line, which ends with a line break; nothing once it is closed."""
        with self._lock, suppress(OSError):
            if self._closed:
                return
            if self._file is None:
                self._file = self._open()
            size = self._file.tell()
            if size and size + len(line) > self._most_bytes:
                self._put_down()
                with suppress(OSError):  # somebody may have the older ones open: then this one goes on growing
                    self._turn_over()
                self._file = self._open()
            self._file.write(line)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._put_down()

    def _put_down(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _turn_over(self) -> None:
        for number in range(self._kept, 0, -1):
            older = self._numbered(number)
            newer = self._numbered(number - 1) if number > 1 else self._path
            with suppress(FileNotFoundError):
                newer.replace(older)
        if not self._kept:
            self._path.unlink(missing_ok=True)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _open(self) -> FileIO:
        return open(self._path, "ab", buffering=0, opener=lambda path, flags: os.open(path, flags, 0o600))


class LogPipe:
    """Reads what a service writes until the last process that may write has ended, on a thread of its own.

    `secrets` are replaced wherever they stand, lines that contain `noise` are left out. `write_end` is for the service;
    close it here once it is started.
    """

    def __init__(
        self,
        name: str,
        file: LogFile,
        show: Callable[[bytes], None],
        *,
        secrets: Iterable[str] = (),
        noise: str = "",
    ) -> None:
        self._read_end, self.write_end = os.pipe()
        self._file = file
        self._show = show
        self._prefix = f"{name} | ".encode()
        self._noise = noise.encode()
        self._secrets = [secret.encode() for secret in secrets if secret]
        self._thread = threading.Thread(target=self._run, name=f"log-{name}", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for the last line; a process that escaped with the pipe is not waited for."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            for line in lines(iter(lambda: os.read(self._read_end, _READ_BYTES), b"")):
                if self._noise and self._noise in line:
                    continue
                for secret in self._secrets:
                    line = line.replace(secret, WITHHELD)
                self._file.write(line)
                self._show(self._prefix + line)
        finally:
            os.close(self._read_end)


def lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines of what comes in parts, each with its line break; a longer one than LONGEST_LINE_BYTES is cut."""
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            yield line[:LONGEST_LINE_BYTES].rstrip(b"\r") + b"\n"
        while len(rest) > LONGEST_LINE_BYTES:
            yield rest[:LONGEST_LINE_BYTES] + b"\n"
            rest = rest[LONGEST_LINE_BYTES:]
    if rest:
        yield rest + b"\n"
