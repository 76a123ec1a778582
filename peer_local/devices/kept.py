"""A device that is opened again after it has gone: unplugged, taken by another program, or not there yet."""

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from peer_local.errors import DeviceError

logger = logging.getLogger(__name__)

CHECK_S = 0.25
REOPEN_S = 2.0


class Device(Protocol):
    """What sound outputs, sound inputs and webcams have in common."""

    @property
    def alive(self) -> bool: ...

    def close(self) -> None: ...


D = TypeVar("D", bound=Device)


class KeptDevice(Generic[D]):
    """Holds one device of kind `what`; `run` opens it, watches it and opens it again every REOPEN_S.

    Opening and closing happen on a worker thread, because drivers take their time. While the device is gone,
    `spare` (a paced output, say) takes its place if there is one.
    """

    def __init__(self, what: str, open_device: Callable[[], D], *, spare: Callable[[], D] | None = None) -> None:
        self._what = what
        self._open = open_device
        self._spare = spare
        self.device: D | None = None
        self.problem: str | None = None
        """Why the device is not there, one sentence."""

    async def start(self) -> None:
        """Open the device now. Raises DeviceError when it cannot be opened at the first try."""
        self.device = await asyncio.to_thread(self._open)

    async def run(self) -> None:
        """Watch until cancelled; closes the device then."""
        on_spare = False
        try:
            while True:
                if self.device is None or on_spare or not self.device.alive:
                    on_spare = not await self._replace()
                    await asyncio.sleep(REOPEN_S if on_spare else CHECK_S)
                else:
                    await asyncio.sleep(CHECK_S)
        finally:
            await asyncio.shield(self._close())

    async def _replace(self) -> bool:
        """Try to open the device anew; false when only the spare is there, or nothing."""
        gone = self.device
        if gone is not None and not gone.alive:
            logger.warning("device_gone", extra={"what": self._what})
            await self._close()
        try:
            opened = await asyncio.to_thread(self._open)
        except DeviceError as error:
            if self.problem is None:
                logger.warning("device_not_open", extra={"what": self._what, "reason": str(error)})
            self.problem = str(error)
            if self.device is None and self._spare is not None:
                self.device = await asyncio.to_thread(self._spare)
            return False
        await self._close()
        self.device = opened
        self.problem = None
        return True

    async def _close(self) -> None:
        device, self.device = self.device, None
        if device is not None:
            await asyncio.to_thread(device.close)
