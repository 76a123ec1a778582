"""One named thread for one engine's blocking work.

Engines never run on the event loop, nor on its default executor, where aiortc encodes. A worker runs one job at a time
in the order of arrival. A streaming job is a plain generator of short steps; closing the stream stops it at its next
step, and whatever it produced meanwhile is dropped.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from models.errors import EngineFailed

T = TypeVar("T")


class _Brake:
    """What holds a streaming job back: how many items may still be made, and the word to stop."""

    def __init__(self, ahead: int) -> None:
        self._wanted = threading.Semaphore(ahead)
        self._stopped = False

    def wait(self) -> bool:
        """On the worker's thread: rest until one more item is wanted; false when it is time to stop."""
        self._wanted.acquire()
        return not self._stopped

    def want(self) -> None:
        self._wanted.release()

    def stop(self) -> None:
        self._stopped = True
        self._wanted.release()

    @property
    def stopped(self) -> bool:
        return self._stopped


class Worker:
    """Owns the thread `name`. After `aclose` every request raises EngineFailed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._brakes: set[_Brake] = set()
        self._closed = False

    async def call(self, function: Callable[[], T]) -> T:
        """Run `function` on the thread and return its result."""
        self._require_open()
        job = asyncio.ensure_future(asyncio.get_running_loop().run_in_executor(self._executor, function))
        try:
            await asyncio.wait((job,))
        except asyncio.CancelledError:
            job.cancel()  # skipped if it still waits for its turn
            raise
        self._require_done(job)
        return job.result()

    async def stream(self, steps: Callable[[], Generator[T, None, None]], *, ahead: int = 1) -> AsyncGenerator[T, None]:
        """Yield what the generator made by `steps` yields, making at most `ahead` items that nobody asked for yet.

        Back-pressure is real: with 0 the thread rests between two requests. On close the generator is closed on its own
        thread, and this returns when that has happened.
        """
        self._require_open()
        loop = asyncio.get_running_loop()
        items: asyncio.Queue[T] = asyncio.Queue()  # bounded by the brake
        brake = _Brake(ahead)

        def run() -> None:
            if brake.stopped:
                return
            generator = steps()
            try:
                while brake.wait():
                    loop.call_soon_threadsafe(items.put_nowait, next(generator))
            except StopIteration:
                pass
            finally:
                generator.close()

        job = asyncio.ensure_future(loop.run_in_executor(self._executor, run))
        self._brakes.add(brake)
        try:
            while True:
                brake.want()
                waiting = asyncio.ensure_future(items.get())
                try:
                    await asyncio.wait((job, waiting), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not waiting.done():
                        waiting.cancel()
                if waiting.done() and not waiting.cancelled():
                    yield waiting.result()
                    continue
                while not items.empty():
                    yield items.get_nowait()
                self._require_done(job)
                job.result()
                return
        finally:
            self._brakes.discard(brake)
            brake.stop()
            await asyncio.shield(asyncio.wait((job,)))
            if not job.cancelled():
                job.exception()  # seen, so that asyncio does not report what nobody waits for any more

    async def aclose(self) -> None:
        """Stop the streams at their next step, wait for the job in progress, then end the thread."""
        self._closed = True
        for brake in self._brakes:
            brake.stop()
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)

    def _require_done(self, job: asyncio.Future[Any]) -> None:
        """A job that was still waiting for its turn when the worker closed."""
        if job.cancelled():
            self._require_open()

    def _require_open(self) -> None:
        if self._closed:
            raise EngineFailed(f"The engine {self._name} is closed.")
