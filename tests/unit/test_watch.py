"""Whether open devices are still the right ones."""

import threading

import pytest

from peer_local.devices.watch import Watch
from peer_local.errors import DeviceError


class Device:
    name = "Understudy (cable)"

    def __init__(self) -> None:
        self.alive = True

    def close(self) -> None:
        self.alive = False


def refuse() -> bool:
    raise DeviceError("No sound server is running.")


def test_a_device_that_is_out_of_its_place_is_closed_and_others_stay_open(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch(every_s=600)
    moved, right, unknown = Device(), Device(), Device()
    watch.add(unknown, refuse)
    watch.add(moved, lambda: False)
    watch.add(right, lambda: True)
    watch.check()
    watch.check()
    assert [device.alive for device in (moved, right, unknown)] == [False, True, True]
    assert [record.message for record in caplog.records] == ["sound_device_moved"]
    watch.close()


def test_nothing_is_asked_about_a_device_that_is_closed() -> None:
    watch = Watch(every_s=600)
    device = Device()
    watch.add(device, lambda: pytest.fail("asked"))
    device.close()
    watch.check()
    watch.close()


def test_it_looks_by_itself_until_it_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch(every_s=0.001)
    asked = threading.Semaphore(0)

    def fail() -> bool:
        asked.release()
        raise ValueError("nobody foresaw this")

    watch.add(Device(), fail)
    assert all(asked.acquire(timeout=5) for _ in range(3))
    watch.close()
    assert watch._thread is not None
    assert not watch._thread.is_alive()
    assert [record.message for record in caplog.records] == ["sound_watch_failed"]
