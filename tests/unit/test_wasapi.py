"""Windows' loopback, with the package `soundcard` replaced."""

import threading
from collections.abc import Callable
from types import SimpleNamespace, TracebackType
from typing import Any

import numpy as np
import pytest

from peer_local.devices.wasapi import Loopback, open_loopback
from peer_local.errors import DeviceError
from tests.unit.sound_fakes import Clock, Notes


class FakeRecorder:
    """Gives `blocks` blocks of two equal halves, then fails as a device that is unplugged, or waits to be closed."""

    def __init__(self, blocks: int, then: Callable[[], None]) -> None:
        self._left = blocks
        self._then = then

    def __enter__(self) -> "FakeRecorder":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        pass

    def record(self, numframes: int) -> Any:
        if self._left == 0:
            self._then()
        self._left -= 1
        return np.full((numframes, 1), 0.25)


class FakeSoundcard:
    def __init__(
        self, blocks: int = 3, then: Callable[[], None] = lambda: None, error: Exception | None = None
    ) -> None:
        self.asked: list[Any] = []
        self.default = SimpleNamespace(name="Speakers (Realtek)", id="{0.0.0}")
        self._recorder = FakeRecorder(blocks, then)
        self._error = error

    def default_speaker(self) -> Any:
        return self.default

    def get_speaker(self, wanted: str) -> Any:
        if self._error:
            raise self._error
        return SimpleNamespace(name=f"{wanted} (Realtek)", id="{0.0.0}")

    def get_microphone(self, id: str, include_loopback: bool) -> Any:
        self.asked.append((id, include_loopback))
        return SimpleNamespace(recorder=self._opened)

    def _opened(self, **how: Any) -> FakeRecorder:
        self.asked.append(how)
        return self._recorder


def test_what_the_loudspeaker_plays_is_heard_until_it_is_unplugged(caplog: pytest.LogCaptureFixture) -> None:
    pulled = threading.Event()

    def unplugged() -> None:
        assert pulled.wait(10)
        raise RuntimeError("Error 0x88890004")

    library = FakeSoundcard(3, unplugged)
    notes = Notes()
    clock = Clock()
    loopback = Loopback(library, None, notes, 48_000, now=clock)
    pulled.set()
    loopback._thread.join(5)
    assert library.asked == [("{0.0.0}", True), {"samplerate": 48_000, "channels": 1, "blocksize": 960}]
    assert [len(samples) for samples, _ in notes.pushes] == [960] * 3
    assert [at_s for _, at_s in notes.pushes] == pytest.approx([99.98] * 3)
    assert notes.samples.dtype == np.float32
    assert loopback.name == "Speakers (Realtek)"
    assert not loopback.alive
    assert [record.message for record in caplog.records] == ["sound_device_lost"]
    loopback.close()


def test_a_loudspeaker_that_is_not_there_says_so() -> None:
    library = FakeSoundcard(error=IndexError("no device with id Headset"))
    with pytest.raises(DeviceError, match=r"The sound of Headset cannot be recorded .*; choose another output"):
        open_loopback("Headset", lambda: library)(Notes(), 48_000)


@pytest.mark.parametrize("wanted", [None, "Speakers"])
def test_ears_follow_the_systems_loudspeaker_unless_they_are_told_which(wanted: str | None) -> None:
    clock = Clock()
    opened = threading.Event()

    def unplugged() -> None:
        assert opened.wait(10)
        raise RuntimeError("Error 0x88890004")

    library = FakeSoundcard(50, unplugged)

    class Listener(Notes):
        def push(self, samples: Any, at_s: float) -> None:
            super().push(samples, at_s)
            clock.now_s += 0.5
            if len(self.pushes) == 10:
                library.default = SimpleNamespace(name="Headset", id="{0.0.1}")

    listener = Listener()
    loopback = Loopback(library, wanted, listener, 48_000, now=clock)
    opened.set()
    loopback._thread.join(5)
    assert not loopback.alive
    assert len(listener.pushes) == (12 if wanted is None else 50)


def test_the_double_is_not_made_to_hear_itself() -> None:
    library = FakeSoundcard()
    library.default = SimpleNamespace(name="CABLE Input (VB-Audio Virtual Cable)", id="{0.0.0}")
    cable = "CABLE Input (VB-Audio Virtual Cable)"
    with pytest.raises(DeviceError, match=r"double's own microphone.*choose your loudspeaker"):
        open_loopback(None, lambda: library, cable=cable)(Notes(), 48_000)
    open_loopback("CABLE Input", lambda: library, cable=cable)(Notes(), 48_000).close()


def test_a_loudspeaker_that_stops_delivering_is_dead_after_a_second() -> None:
    clock = Clock()
    waiting, release = threading.Event(), threading.Event()

    def hang() -> None:
        waiting.set()
        assert release.wait(10)

    loopback = Loopback(FakeSoundcard(1, hang), "Speakers", Notes(), 48_000, now=clock)
    assert waiting.wait(5)
    alive = [loopback.alive]
    clock.now_s += 1.1
    alive.append(loopback.alive)
    assert alive == [True, False]
    release.set()
    loopback.close()
    assert not loopback._thread.is_alive()
