"""A device that is opened again after it has gone: unplugged, taken by another program, or not there yet."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from models.interfaces import Samples
from peer_local.errors import DeviceError
from peer_local.interfaces import OpenSoundOutput, SoundOutput, SoundSource

logger = logging.getLogger(__name__)

CHECK_S = 0.25
REOPEN_S = 2.0
SELDOM_S = 16.0


class Device(Protocol):
    """What sound outputs, sound inputs and webcams have in common."""

    @property
    def alive(self) -> bool: ...

    def close(self) -> None: ...


D = TypeVar("D", bound=Device)
OnThread = Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]]


class KeptDevice(Generic[D]):
    """Holds one device of kind `what`; `run` opens it, watches it and opens it again.

    A device that was there is looked for every REOPEN_S; one that never was, ever more seldom, up to SELDOM_S, because
    a new list of the machine's devices takes some systems half a second. Opening and closing happen on a worker thread.
    While the device is gone, `spare` (a paced output, say) takes its place if there is one.
    """

    def __init__(
        self,
        what: str,
        open_device: Callable[[], D],
        *,
        spare: Callable[[], D] | None = None,
        on_thread: OnThread = asyncio.to_thread,
    ) -> None:
        self._what = what
        self._on_thread = on_thread
        self._open = open_device
        self._spare = spare
        self._pause_s = REOPEN_S
        self._was_there = False
        self.device: D | None = None
        self.problem: str | None = None
        """Why the device is not there, one sentence."""

    async def run(self) -> None:
        """Watch until cancelled; closes the device then."""
        on_spare = False
        try:
            while True:
                if self.device is None or on_spare or not self.device.alive:
                    on_spare = not await self._replace()
                    await asyncio.sleep(self._next_pause_s() if on_spare else CHECK_S)
                else:
                    await asyncio.sleep(CHECK_S)
        finally:
            await self._close()

    def _next_pause_s(self) -> float:
        pause_s = self._pause_s
        if not self._was_there:
            self._pause_s = min(2 * pause_s, SELDOM_S)
        return pause_s

    async def _replace(self) -> bool:
        """Try to open the device anew; false when only the spare is there, or nothing."""
        gone = self.device
        if gone is not None and not gone.alive:
            logger.warning("device_gone", extra={"what": self._what})
            await self._close()
        opened = await self._opened(self._open)
        if opened is None:
            if self.device is None and self._spare is not None:
                self.device = await self._opened(self._spare)
                self._begin()
            return False
        before, self.device = self.device, opened
        if before is not None:
            await self._closed(before)
        self._begin()
        self._was_there, self._pause_s = True, REOPEN_S
        self.problem = None
        return True

    def _begin(self) -> None:
        """Called when the device that was opened last is the only one that is open."""

    async def _opened(self, open_device: Callable[[], D]) -> D | None:
        """What `open_device` opens; None when it cannot, and `problem` says why."""
        opening = asyncio.ensure_future(self._on_thread(open_device))
        try:
            await _finished(opening)
            device: D = opening.result()
            return device
        except asyncio.CancelledError:
            if opening.done() and not opening.cancelled() and opening.exception() is None:
                await self._closed(opening.result())
            raise
        except DeviceError as error:
            if self.problem is None:
                logger.warning("device_not_open", extra={"what": self._what, "reason": str(error)})
            self.problem = str(error)
        except Exception as error:
            if self.problem is None:
                logger.exception("device_failed", extra={"what": self._what})
            self.problem = f"The {self._what} does not open ({str(error) or type(error).__name__}); run the doctor."
        return None

    async def _close(self) -> None:
        device, self.device = self.device, None
        if device is not None:
            await self._closed(device)

    async def _closed(self, device: D) -> None:
        try:
            await _finished(asyncio.ensure_future(self._on_thread(device.close)))
        except Exception:
            logger.exception("device_does_not_close", extra={"what": self._what})


class KeptOutput(KeptDevice[SoundOutput]):
    """A kept sound output, whose source is pulled by one device at a time.

    A device that has just been opened plays silence until the one before it, its spare mostly, is closed.
    """

    def __init__(
        self,
        what: str,
        source: SoundSource,
        open_output: OpenSoundOutput,
        *,
        spare: OpenSoundOutput | None = None,
        on_thread: OnThread = asyncio.to_thread,
    ) -> None:
        self._source = source
        self._gate = Gate(source)
        super().__init__(
            what,
            lambda: open_output(self._new_gate()),
            spare=None if spare is None else lambda: spare(self._new_gate()),
            on_thread=on_thread,
        )

    def _new_gate(self) -> "Gate":
        self._gate = Gate(self._source)
        return self._gate

    def _begin(self) -> None:
        self._gate.open()


class Gate:
    """A source that is silence until it is opened, and then `source`."""

    def __init__(self, source: SoundSource) -> None:
        self._source = source
        self._is_open = False

    def open(self) -> None:
        """Let the source through, from the next pull on."""
        self._is_open = True

    def pull(self, count: int, at_s: float) -> Samples:
        """As SoundSource."""
        return self._source.pull(count, at_s) if self._is_open else np.zeros(count, np.float32)


async def _finished(work: asyncio.Future[Any]) -> None:
    """Wait for what happens on a thread, to its end even when cancelled: nothing may be left half open."""
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait((work,))
        if not work.cancelled():
            work.exception()  # who was cancelled does not care
        raise
