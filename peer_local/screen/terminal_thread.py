"""The one thread that touches the terminal, because a terminal may block: a slow line, a full pipe, a held key."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable

from peer_local.screen.keyboard import Keyboard

logger = logging.getLogger(__name__)

_BETWEEN_KEYS_S = 0.04
"""After typing the picture is drawn again at once, but not more often than this."""
_JOIN_S = 1.0


class TerminalThread:
    """Calls `draw` every `interval_s` on a thread of its own, and `typed` with what was typed on the event loop.

    `open_terminal` runs on the thread; its context is left there, whatever happens, and gives the terminal its old
    state back. What the event loop does between two drawings may be seen a drawing later.
    """

    def __init__(
        self,
        keyboard: Keyboard | None,
        *,
        open_terminal: Callable[[], contextlib.AbstractContextManager[Callable[[], None]]],
        typed: Callable[[str], None],
        interval_s: float,
    ) -> None:
        self._keyboard = keyboard
        self._open = open_terminal
        self._typed = typed
        self._interval_s = interval_s
        self._stop = threading.Event()

    async def run(self, every_interval: Callable[[], None]) -> None:
        """Go on until cancelled, calling `every_interval` on the event loop, too. Ends when the terminal is gone."""
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=self._work, args=(loop,), name="terminal", daemon=True)
        every_interval()
        thread.start()
        try:
            while thread.is_alive():
                every_interval()
                await asyncio.sleep(self._interval_s)
        finally:
            self._stop.set()
            # The thread waits for keys no longer than an interval; asyncio.to_thread would need a free worker for it.
            thread.join(_JOIN_S)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        keyboard = self._keyboard
        try:
            with contextlib.ExitStack() as stack:
                if keyboard is not None:
                    stack.callback(keyboard.close)
                draw = stack.enter_context(self._open())
                while not self._stop.is_set():
                    draw()
                    keyboard = self._wait(keyboard, loop)
                draw()
        except (OSError, ValueError) as error:  # closed under our feet
            logger.warning("terminal_gone", extra={"reason": type(error).__name__})
        except Exception:
            logger.exception("terminal_failed")

    def _wait(self, keyboard: Keyboard | None, loop: asyncio.AbstractEventLoop) -> Keyboard | None:
        """Until the next drawing is due; None instead of the keyboard once it has ended."""
        if keyboard is None:
            self._stop.wait(self._interval_s)
            return None
        try:
            keys, ended = keyboard.read(self._interval_s), False
        except EOFError:
            keys, ended = "\n", True  # a last line without its end
        if keys:
            with contextlib.suppress(RuntimeError):  # the loop was closed in this moment
                loop.call_soon_threadsafe(self._typed, keys)
            self._stop.wait(_BETWEEN_KEYS_S)
        return None if ended else keyboard
