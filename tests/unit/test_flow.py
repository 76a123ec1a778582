import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from peer_remote.flow import prefetch


class Source:
    def __init__(self, items: int, *, fail: bool = False) -> None:
        self.items, self.fail = items, fail
        self.made = 0
        self.closed = False

    async def stream(self) -> AsyncGenerator[int, None]:
        try:
            for item in range(self.items):
                self.made += 1
                yield item
            if self.fail:
                raise ValueError("broke")
        finally:
            self.closed = True


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_order_is_kept_and_the_end_is_seen() -> None:
    source = Source(5)
    assert [item async for item in prefetch(source.stream(), ahead=2)] == [0, 1, 2, 3, 4]
    assert source.closed


async def test_it_runs_ahead_only_so_far() -> None:
    source = Source(100)
    async with aclosing(prefetch(source.stream(), ahead=2)) as items:
        assert await anext(items) == 0
        await settle()
        assert source.made <= 4


async def test_closing_it_closes_the_source() -> None:
    source = Source(100)
    async with aclosing(prefetch(source.stream(), ahead=2)) as items:
        await anext(items)
    assert source.closed


async def test_an_error_comes_after_the_items_before_it() -> None:
    seen = []
    with pytest.raises(ValueError, match="broke"):
        async for item in prefetch(Source(3, fail=True).stream(), ahead=1):
            seen.append(item)
    assert seen == [0, 1, 2]
