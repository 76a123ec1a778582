"""Joining asynchronous generators."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def prefetch(source: AsyncGenerator[T, None], *, ahead: int) -> AsyncGenerator[T, None]:
    """Yield what `source` yields while a task of our own pulls up to `ahead` items in advance.

    An error of the source is raised here after the items before it. Closing this cancels the task and closes the
    source.
    """
    items: asyncio.Queue[tuple[T] | None] = asyncio.Queue(ahead)

    async def pull() -> None:
        try:
            async with aclosing(source):
                async for item in source:
                    await items.put((item,))
        finally:
            if not asyncio.current_task().cancelling():  # type: ignore[union-attr]
                await items.put(None)

    task = asyncio.create_task(pull(), name="prefetch")
    try:
        while (item := await items.get()) is not None:
            yield item[0]
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
