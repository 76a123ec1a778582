"""Blocking work on a thread that nobody has to wait for, not even the end of the program."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial


class AsideThread:
    """Runs `function` on a thread of its own at once; a program that ends does not wait for it."""

    def __init__(self, function: Callable[[], None], *, name: str) -> None:
        self._function = function
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    async def done(self) -> None:
        """Return when it has returned. Raises what it raised."""
        await asyncio.wait((self._done,))
        self._done.result()

    async def ended(self, timeout_s: float) -> None:
        """Wait for its end, but not longer than `timeout_s`."""
        await asyncio.to_thread(self._thread.join, timeout_s)

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._function()
        except Exception as raised:
            error = raised
        try:
            self._loop.call_soon_threadsafe(partial(self._finish, error))
        except RuntimeError:
            pass  # the event loop has ended, and with it everybody who could have waited

    def _finish(self, error: Exception | None) -> None:
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)
            self._done.exception()  # seen, so that asyncio does not report what nobody waits for any more
