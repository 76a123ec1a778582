import asyncio
import threading
from collections.abc import Generator
from contextlib import aclosing

import pytest

from models.errors import EngineFailed
from models.worker import Worker


class Steps:
    """A blocking job that counts what it made and knows whether it was closed."""

    def __init__(self, count: int, *, fail_at: int | None = None) -> None:
        self.count, self.fail_at = count, fail_at
        self.made = 0
        self.closed = threading.Event()
        self.thread = ""

    def __call__(self) -> Generator[int, None, None]:
        self.thread = threading.current_thread().name
        try:
            for number in range(self.count):
                if number == self.fail_at:
                    raise ValueError("broke")
                self.made += 1
                yield number
        finally:
            self.closed.set()


async def test_a_stream_keeps_order_and_runs_on_its_own_thread() -> None:
    worker, steps = Worker("voice"), Steps(50)
    assert [item async for item in worker.stream(steps)] == list(range(50))
    assert steps.thread.startswith("voice")
    await worker.aclose()


async def test_a_stream_that_nobody_pulls_rests() -> None:
    worker, steps = Worker("w"), Steps(1_000)
    async with aclosing(worker.stream(steps, ahead=2)) as items:
        assert await anext(items) == 0
        await worker_settles(steps)
        assert steps.made == 3
    assert steps.closed.is_set()
    await worker.aclose()


async def test_closing_a_stream_leaves_the_worker_usable() -> None:
    worker = Worker("w")
    async with aclosing(worker.stream(Steps(1_000))) as items:
        await anext(items)
    assert [item async for item in worker.stream(Steps(3))] == [0, 1, 2]
    await worker.aclose()


async def test_an_error_comes_after_the_items_before_it() -> None:
    worker, seen = Worker("w"), []
    with pytest.raises(ValueError, match="broke"):
        async for item in worker.stream(Steps(10, fail_at=3)):
            seen.append(item)
    assert seen == [0, 1, 2]
    assert await worker.call(lambda: 7) == 7
    await worker.aclose()


async def test_a_worker_with_an_open_stream_can_be_closed() -> None:
    worker, steps = Worker("w"), Steps(1_000)
    items = worker.stream(steps)
    await anext(items)
    async with asyncio.timeout(5):
        await worker.aclose()
    assert steps.closed.is_set()
    await items.aclose()


async def test_nothing_runs_after_close() -> None:
    worker = Worker("w")
    await worker.aclose()
    with pytest.raises(EngineFailed, match="closed"):
        await worker.call(lambda: 1)
    with pytest.raises(EngineFailed, match="closed"):
        await anext(worker.stream(Steps(1)))


async def test_a_cancelled_reader_stops_the_work() -> None:
    worker, steps = Worker("w"), Steps(1_000_000)

    async def read() -> None:
        async for _ in worker.stream(steps):
            pass

    reader = asyncio.create_task(read())
    await worker_settles(steps)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    assert steps.closed.is_set()
    await worker.aclose()


async def worker_settles(steps: Steps) -> None:
    """Give the thread time to run as far ahead as it may."""
    before = -1
    while steps.made != before and steps.made < 500:
        before = steps.made
        await asyncio.sleep(0.02)
