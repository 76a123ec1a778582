"""Taking items from an engine's stream with a limit to the patience."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Generic, TypeVar

T = TypeVar("T")

LET_GO_S = 2.0
"""How long closing waits for an engine that does not stop."""


class Pull(Generic[T]):
    """One stream in a task of its own, which makes an item when it is asked for one and rests otherwise.

    A hung stream is thereby left behind instead of waited for: `abandon` cancels it and returns at once.
    """

    def __init__(self, stream: AsyncGenerator[T, None], *, name: str) -> None:
        self._wanted = asyncio.Event()
        self._made = asyncio.Event()
        self._item: tuple[T] | None = None
        self._error: Exception | None = None
        self._begun_s = asyncio.get_running_loop().time()
        self.task = asyncio.create_task(self._run(stream), name=name)

    @property
    def waited_s(self) -> float:
        """How long ago it was begun."""
        return asyncio.get_running_loop().time() - self._begun_s

    async def next(
        self, patience_s: float | None = None, *, since_s: Callable[[], float] = lambda: 0.0
    ) -> tuple[T] | None:
        """The next item, or None at the end. Raises TimeoutError, and what the stream raised.

        Patience counts from now, or from `since_s()` of the loop's time when that is later.
        """
        self._wanted.set()
        now_s = asyncio.get_running_loop().time
        asked_s = now_s()
        while not self._made.is_set():
            due_s = None if patience_s is None else max(asked_s, since_s()) + patience_s
            if due_s is not None and due_s <= now_s():
                raise TimeoutError
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due_s):
                    await self._made.wait()
        item, self._item = self._item, None
        if item is None and self._error is not None:
            raise self._error
        if item is not None and not self.task.done():
            self._made.clear()
        return item

    def abandon(self) -> None:
        """Stop the stream without waiting for it."""
        self.task.cancel()

    async def aclose(self, timeout_s: float | None = LET_GO_S) -> None:
        """Stop the stream and wait until its engine has let go, but not longer than `timeout_s`."""
        self.task.cancel()
        await asyncio.wait((self.task,), timeout=timeout_s)

    async def _run(self, stream: AsyncGenerator[T, None]) -> None:
        try:
            async with aclosing(stream):
                await self._wanted.wait()
                async for item in stream:
                    self._wanted.clear()
                    self._item = (item,)
                    self._made.set()
                    await self._wanted.wait()
        except Exception as error:
            self._error = error
        finally:
            self._made.set()
