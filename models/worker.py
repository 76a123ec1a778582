"""One named thread for one engine's blocking work.

Engines never run on the event loop, nor on its default executor, where aiortc encodes. A worker runs one job at a time
in the order of arrival. A streaming job is a plain generator of short steps; closing the stream stops it at its next
step, and whatever it produced meanwhile is dropped.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """Owns the thread `name`; create it inside or outside of a running loop, close it once."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def call(self, function: Callable[[], T]) -> T:
        """Run `function` on the thread and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    async def stream(self, steps: Callable[[], Generator[T, None, None]], *, ahead: int = 1) -> AsyncGenerator[T, None]:
        """Yield what the generator made by `steps` yields, holding at most `ahead` items that nobody asked for yet.

        Back-pressure is real: with `ahead` items waiting the thread rests. On close the generator is closed on its own
        thread, and this returns when that has happened.
        """
        loop = asyncio.get_running_loop()
        items: asyncio.Queue[T] = asyncio.Queue()
        room = threading.Semaphore(ahead)
        stop = threading.Event()

        def run() -> None:
            if stop.is_set():
                return
            generator = steps()
            try:
                for item in generator:
                    room.acquire()
                    if stop.is_set():
                        return
                    loop.call_soon_threadsafe(items.put_nowait, item)
            finally:
                generator.close()

        job = asyncio.ensure_future(loop.run_in_executor(self._executor, run))
        try:
            while True:
                waiting = asyncio.ensure_future(items.get())
                try:
                    await asyncio.wait((job, waiting), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not waiting.done():
                        waiting.cancel()
                if waiting.done() and not waiting.cancelled():
                    room.release()
                    yield waiting.result()
                    continue
                while not items.empty():
                    yield items.get_nowait()
                job.result()
                return
        finally:
            stop.set()
            room.release()
            await asyncio.shield(asyncio.wait((job,)))

    async def aclose(self) -> None:
        """Wait for the job in progress, then end the thread."""
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)
