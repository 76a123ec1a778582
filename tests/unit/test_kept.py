"""Devices that are opened again, in virtual time and without threads."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from peer_local.devices.kept import REOPEN_S, SELDOM_S, KeptDevice, KeptOutput
from peer_local.errors import DeviceError
from peer_local.interfaces import SoundSource
from tests.unit.sound_fakes import Ramp
from tests.virtual_time import run


class Plug:
    """A device's place: who opens it finds it there or not."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.opened: list[FakeOutput] = []
        self.tried_s: list[float] = []

    def open(self, source: SoundSource | None = None) -> "FakeOutput":
        self.tried_s.append(asyncio.get_running_loop().time())
        if self.error is not None:
            raise self.error
        self.opened.append(FakeOutput(source or Ramp()))
        return self.opened[-1]


class FakeOutput:
    name = "fake"

    def __init__(self, source: SoundSource) -> None:
        self.source = source
        self.alive = True
        self.closed = False
        self.close_error: Exception | None = None
        self.on_close: Callable[[], None] = lambda: None

    def close(self) -> None:
        self.on_close()
        self.alive = False
        self.closed = True
        if self.close_error is not None:
            raise self.close_error

    def plays(self) -> bool:
        """Whether what the device pulls now is more than silence."""
        return bool(np.any(self.source.pull(480, 0.0)))


async def inline(function: Callable[[], Any]) -> Any:
    return function()


async def for_s(seconds: float, *kept: KeptDevice[Any]) -> None:
    running = [asyncio.create_task(each.run()) for each in kept]
    await asyncio.sleep(seconds)
    for task in running:
        task.cancel()
    await asyncio.wait(running)


def test_a_device_that_went_away_is_there_again_within_seconds_of_its_return() -> None:
    plug = Plug()
    kept = KeptDevice[FakeOutput]("ears", plug.open, on_thread=inline)

    async def main() -> None:
        running = asyncio.create_task(kept.run())
        await asyncio.sleep(5)
        plug.opened[0].alive = False
        plug.error = DeviceError("It is unplugged.")
        await asyncio.sleep(60)
        assert kept.device is None
        assert kept.problem == "It is unplugged."
        plug.error = None
        await asyncio.sleep(REOPEN_S)
        assert kept.device is plug.opened[1]
        assert kept.problem is None
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        assert plug.opened[1].closed

    run(main())


def test_a_device_that_never_was_there_is_looked_for_quietly_and_found_when_it_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plug, spare = Plug(DeviceError("No sound server is running.")), Plug()
    kept = KeptDevice[FakeOutput]("virtual microphone", plug.open, spare=spare.open, on_thread=inline)

    async def main() -> None:
        running = asyncio.create_task(kept.run())
        await asyncio.sleep(600)
        assert kept.device is spare.opened[0]
        assert len(plug.tried_s) < 45
        assert [record.message for record in caplog.records] == ["device_not_open"]
        plug.error = None
        await asyncio.sleep(SELDOM_S)
        assert kept.device is plug.opened[0]
        assert spare.opened[0].closed
        running.cancel()
        await asyncio.wait((running,))

    run(main())


@pytest.mark.parametrize("with_spare", [False, True])
def test_a_full_disk_or_another_surprise_does_not_end_the_call(
    with_spare: bool, caplog: pytest.LogCaptureFixture
) -> None:
    plug, spare = Plug(OSError(28, "No space left on device")), Plug(RuntimeError())
    kept = KeptDevice[FakeOutput](
        "virtual microphone", plug.open, spare=spare.open if with_spare else None, on_thread=inline
    )
    run(for_s(20, kept))
    assert len(plug.tried_s) > 2
    assert str(kept.problem).startswith("The virtual microphone does not open (")
    assert [record.message for record in caplog.records] == ["device_failed"]


def test_a_device_that_does_not_close_does_not_end_the_call_either(caplog: pytest.LogCaptureFixture) -> None:
    plug = Plug()
    kept = KeptDevice[FakeOutput]("ears", plug.open, on_thread=inline)

    async def main() -> None:
        running = asyncio.create_task(kept.run())
        await asyncio.sleep(1)
        plug.opened[0].close_error = OSError("input/output error")
        plug.opened[0].alive = False
        await asyncio.sleep(REOPEN_S)
        assert kept.device is plug.opened[1]
        running.cancel()
        await asyncio.wait((running,))

    run(main())
    assert [record.message for record in caplog.records] == ["device_gone", "device_does_not_close"]


def test_a_device_that_opens_while_the_program_ends_is_closed() -> None:
    plug = Plug()

    async def slow(function: Callable[[], Any]) -> Any:
        await asyncio.sleep(3)
        return function()

    run(for_s(1, KeptDevice[FakeOutput]("ears", plug.open, on_thread=slow)))
    assert [device.closed for device in plug.opened] == [True]


def test_a_spare_that_closes_while_the_program_ends_leaves_no_device_open() -> None:
    plug, spare = Plug(DeviceError("It is unplugged.")), Plug()

    async def slow(function: Callable[[], Any]) -> Any:
        if function not in (plug.open, spare.open):
            await asyncio.sleep(3)
        return function()

    async def main() -> None:
        running = asyncio.create_task(KeptDevice[FakeOutput]("ears", plug.open, spare=spare.open, on_thread=slow).run())
        await asyncio.sleep(1)
        plug.error = None
        await asyncio.sleep(2)
        running.cancel()
        await asyncio.wait((running,))
        assert [device.closed for device in (*plug.opened, *spare.opened)] == [True, True]

    run(main())


def test_the_source_is_never_pulled_by_the_spare_and_the_device_at_once() -> None:
    plug, spare = Plug(DeviceError("It is unplugged.")), Plug()
    kept = KeptOutput("virtual microphone", Ramp(), plug.open, spare=spare.open, on_thread=inline)
    at_close: list[tuple[bool, bool]] = []

    async def main() -> None:
        running = asyncio.create_task(kept.run())
        await asyncio.sleep(5)
        (stand_in,) = spare.opened
        assert stand_in.plays()
        stand_in.on_close = lambda: at_close.append((stand_in.plays(), plug.opened[0].plays()))
        plug.error = None
        await asyncio.sleep(SELDOM_S)
        assert kept.device is plug.opened[0]
        assert at_close == [(True, False)]
        assert plug.opened[0].plays()

        plug.opened[0].alive = False
        plug.error = DeviceError("It is unplugged.")
        await asyncio.sleep(REOPEN_S)
        assert kept.device is spare.opened[1]
        assert spare.opened[1].plays()
        running.cancel()
        await asyncio.wait((running,))

    run(main())


def test_a_spare_plays_on_while_the_device_still_does_not_open() -> None:
    plug, spare = Plug(DeviceError("It is unplugged.")), Plug()
    kept = KeptOutput("virtual microphone", Ramp(), plug.open, spare=spare.open, on_thread=inline)

    async def main() -> None:
        running = asyncio.create_task(kept.run())
        for _ in range(30):
            await asyncio.sleep(1)
            assert spare.opened[0].plays()
        assert len(spare.opened) == 1
        running.cancel()
        await asyncio.wait((running,))

    run(main())
