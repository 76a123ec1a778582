"""Where typed text comes from: a terminal or a pipe, on POSIX and on Windows, behind one Protocol.

A terminal is read key by key without echo; it gets its old state back from `close`, and at the interpreter's end if
nobody came to call it.
"""

import atexit
import codecs
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

_CHUNK_BYTES = 4_096
_POLL_S = 0.02

_WINDOWS_KEYS = {
    "H": "\x1b[A", "P": "\x1b[B", "M": "\x1b[C", "K": "\x1b[D", "G": "\x1b[H", "O": "\x1b[F", "S": "\x1b[3~",
    "t": "\x1b[1;5C", "s": "\x1b[1;5D",
}  # fmt: skip
"""What follows \\x00 or \\xe0 in the Windows console, as the sequences that other terminals send."""


class Keyboard(Protocol):
    def read(self, timeout_s: float) -> str:
        """What was typed, "" when nothing came in time. Raises EOFError once nothing more can come."""
        ...

    def close(self) -> None: ...


class PosixKeyboard:
    """A terminal, pipe or file by its descriptor."""

    def __init__(self, descriptor: int, *, key_by_key: bool = True) -> None:
        """A terminal that is not read key by key stays as it is: whole lines, edited and echoed by itself."""
        import termios
        import tty

        self._descriptor = descriptor
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._before: Any = None
        if key_by_key and os.isatty(descriptor):
            self._before = termios.tcgetattr(descriptor)
            atexit.register(self.close)
            tty.setcbreak(descriptor)  # keys at once and without echo; Ctrl-C still interrupts
            mode = termios.tcgetattr(descriptor)
            mode[6][termios.VSUSP] = b"\0"  # Ctrl-Z would freeze the camera in the middle of a call
            termios.tcsetattr(descriptor, termios.TCSADRAIN, mode)

    def read(self, timeout_s: float) -> str:
        import select

        try:
            if not select.select([self._descriptor], [], [], timeout_s)[0]:
                return ""
            data = os.read(self._descriptor, _CHUNK_BYTES)
        except (OSError, ValueError):  # the terminal was closed
            raise EOFError from None
        if not data:
            raise EOFError
        return self._decode(data)

    def close(self) -> None:
        import termios

        before, self._before = self._before, None
        if before is not None:
            atexit.unregister(self.close)
            with suppress(termios.error, OSError):
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, before)


class WindowsKeyboard:
    """The console by `msvcrt`, whose two functions and the clock are arguments."""

    def __init__(
        self,
        pressed: Callable[[], bool],
        next_key: Callable[[], str],
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pressed = pressed
        self._next_key = next_key
        self._now = now
        self._sleep = sleep

    def read(self, timeout_s: float) -> str:
        until_s = self._now() + timeout_s
        while not self._pressed():
            if self._now() >= until_s:
                return ""
            self._sleep(_POLL_S)
        keys = ""
        while self._pressed() and len(keys) < _CHUNK_BYTES:
            key = self._next_key()
            keys += _WINDOWS_KEYS.get(self._next_key(), "") if key in ("\x00", "\xe0") else key
        # A character beyond the 16-bit plane comes as two halves.
        return keys.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def close(self) -> None:
        pass


class WindowsPipe:
    """Redirected input on Windows, where a pipe cannot be waited for: `waiting` tells how many bytes there are."""

    def __init__(
        self,
        descriptor: int,
        waiting: Callable[[], int],
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._descriptor = descriptor
        self._waiting = waiting
        self._now = now
        self._sleep = sleep
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def read(self, timeout_s: float) -> str:
        """`waiting` raises OSError at the end of a pipe."""
        until_s = self._now() + timeout_s
        try:
            while not (count := self._waiting()):
                if self._now() >= until_s:
                    return ""
                self._sleep(_POLL_S)
            data = os.read(self._descriptor, min(count, _CHUNK_BYTES))
        except OSError:
            raise EOFError from None
        if not data:
            raise EOFError
        return self._decode(data)

    def close(self) -> None:
        pass


def open_keyboard(*, key_by_key: bool = True) -> Keyboard | None:
    """Standard input as it is here; None when the program was started without one, or in the background."""
    try:
        descriptor = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    if sys.platform == "win32":
        import msvcrt

        if os.isatty(descriptor):
            return WindowsKeyboard(msvcrt.kbhit, msvcrt.getwch if key_by_key else msvcrt.getwche)
        return WindowsPipe(descriptor, lambda: _bytes_waiting(msvcrt.get_osfhandle(descriptor)))
    else:
        if os.isatty(descriptor):
            with suppress(OSError):  # a terminal that is not the one that controls us has no background
                if os.tcgetpgrp(descriptor) != os.getpgrp():
                    return None  # started in the background: touching the terminal would stop the program
        return PosixKeyboard(descriptor, key_by_key=key_by_key)


def _bytes_waiting(handle: int) -> int:
    """Bytes in a pipe (PeekNamedPipe), a whole chunk for a file; raises OSError when the other end is closed."""
    import ctypes

    broken_pipe = 109
    api: Any = ctypes
    kernel = api.WinDLL("kernel32", use_last_error=True)
    count = ctypes.c_ulong()
    if kernel.PeekNamedPipe(ctypes.c_void_p(handle), None, 0, None, ctypes.byref(count), None):
        return count.value
    if api.get_last_error() == broken_pipe:
        raise BrokenPipeError
    return _CHUNK_BYTES
