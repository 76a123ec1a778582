"""The webcam thread over captures that behave like bad webcams. Nothing here waits for a clock."""

import platform
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.interfaces import Image
from peer_local.devices import webcam as webcam_module
from peer_local.devices.webcam import STALE_S, WARM_UP_S, Webcam, open_webcam
from peer_local.errors import DeviceError
from peer_local.on_air.framing import size_of


def bgr(width_px: int = 64, height_px: int = 48, level: int = 120) -> Image:
    return np.full((height_px, width_px, 3), level, np.uint8)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class FakeCapture:
    """Gives the next of `script` at each read: a picture, None for a failed read, a function that is called first.

    Blocks after the last one, as a driver does, until `unplug`.
    """

    def __init__(self, *script: Image | Callable[[], object] | None, opened: bool = True) -> None:
        self._script = list(script)
        self._opened = opened
        self._unplugged = threading.Event()
        self.done = threading.Event()
        self.released = threading.Event()

    def isOpened(self) -> bool:
        return self._opened

    def read(self) -> tuple[bool, Any]:
        while self._script:
            item = self._script.pop(0)
            if callable(item):
                item()
            else:
                return item is not None, item
        self.done.set()
        self._unplugged.wait(10)
        return False, None

    def unplug(self) -> None:
        self._unplugged.set()

    def release(self) -> None:
        self.released.set()


class Bench:
    """Hands out captures one after the other; the last one again when there are no more."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.captures: list[FakeCapture | Exception] = []
        self.opened = 0
        self._webcams: list[Webcam] = []

    def webcam(self, *captures: FakeCapture | Exception) -> Webcam:
        self.captures = list(captures)
        webcam = Webcam(self._open, now=self.clock, reopen_s=0.001)
        self._webcams.append(webcam)
        return webcam

    def _open(self) -> FakeCapture:
        capture = self.captures[min(self.opened, len(self.captures) - 1)]
        self.opened += 1
        if isinstance(capture, Exception):
            raise capture
        return capture

    def close(self) -> None:
        for capture in self.captures:
            if isinstance(capture, FakeCapture):
                capture.unplug()
        for webcam in self._webcams:
            webcam.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(Clock())
    yield bench
    bench.close()


def test_the_newest_picture_is_given_until_it_is_too_old(bench: Bench) -> None:
    capture = FakeCapture(bgr(level=60), bgr(level=200))
    webcam = bench.webcam(capture)
    assert capture.done.wait(10)
    image = webcam.latest()
    assert image is not None and size_of(image) == (64, 48) and image[0, 0] == pytest.approx(188, abs=2)
    assert webcam.alive and webcam.latest() is image
    bench.clock.now_s += STALE_S + 0.01
    assert webcam.latest() is None and not webcam.alive


def test_a_webcam_that_warms_up_is_not_shown_black(bench: Bench) -> None:
    seen: list[Image | None] = []
    webcam: list[Webcam] = []

    def look() -> None:
        seen.append(webcam[0].latest())

    capture = FakeCapture(bgr(level=0), bgr(level=2), look, bgr(level=90))
    started = threading.Event()
    webcam.append(bench.webcam(FakeCapture(lambda: started.wait(10), None, None, None, None, None), capture))
    started.set()
    assert capture.done.wait(10)
    assert seen == [None]
    assert webcam[0].latest() is not None


def test_a_covered_lens_is_shown_black_after_a_while(bench: Bench) -> None:
    def later() -> None:
        bench.clock.now_s += WARM_UP_S + 0.1

    capture = FakeCapture(bgr(level=0), later, bgr(level=0))
    webcam = bench.webcam(capture)
    assert capture.done.wait(10)
    assert webcam.latest() is not None


def test_a_webcam_that_is_unplugged_and_plugged_in_again_comes_back(bench: Bench) -> None:
    first, second = FakeCapture(bgr(level=60)), FakeCapture(bgr(level=200))
    webcam = bench.webcam(first, FakeCapture(opened=False), OSError("gone"), second)
    assert first.done.wait(10)
    assert webcam.latest() is not None
    first.unplug()
    assert second.done.wait(10)
    image = webcam.latest()
    assert image is not None and image[0, 0] > 150
    assert first.released.is_set()
    assert webcam.losses == 1, "counted once, however often it is tried"


def test_single_failed_reads_are_passed_over(bench: Bench) -> None:
    capture = FakeCapture(bgr(), None, None, bgr())
    webcam = bench.webcam(capture)
    assert capture.done.wait(10)
    assert webcam.losses == 0 and bench.opened == 1


@pytest.mark.parametrize("size", [(48, 64), (641, 481), (32, 24)])
def test_another_size_in_the_middle_is_followed(bench: Bench, size: tuple[int, int]) -> None:
    capture = FakeCapture(bgr(), bgr(*size))
    webcam = bench.webcam(capture)
    assert capture.done.wait(10)
    image = webcam.latest()
    assert image is not None and size_of(image) == (size[0] // 2 * 2, size[1] // 2 * 2)


def test_a_driver_that_gives_nonsense_is_opened_anew(bench: Bench) -> None:
    good = FakeCapture(bgr())
    webcam = bench.webcam(FakeCapture(np.zeros((0, 0), np.uint8)), good)
    assert good.done.wait(10)
    assert webcam.latest() is not None and webcam.losses == 1


def test_closing_does_not_wait_for_a_driver_that_hangs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webcam_module, "_CLOSE_TIMEOUT_S", 0.01)
    capture = FakeCapture(bgr())
    webcam = bench.webcam(capture)
    assert capture.done.wait(10)
    webcam.close()
    assert webcam.latest() is None
    assert not capture.released.is_set()
    capture.unplug()
    assert capture.released.wait(10), "it is let go of as soon as the driver answers"


def test_without_a_device_there_is_no_webcam() -> None:
    assert open_webcam(None, width_px=640, height_px=480, fps=30) is None


def test_names_need_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    with pytest.raises(DeviceError, match="say its number"):
        open_webcam("BRIO", width_px=640, height_px=480, fps=30)


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    for node, name in (("video0", "Integrated Camera"), ("video10", "BRIO"), ("video2", "BRIO"), ("video3", "Virtual")):
        (tmp_path / node).mkdir()
        (tmp_path / node / "name").write_text(name + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("device", "place"),
    [("0", 0), ("2", 2), ("/dev/video4", "/dev/video4"), ("brio", "/dev/video2"), ("Integrated", "/dev/video0")],
)
def test_a_webcam_is_found_by_number_path_or_name(listing: Path, device: str, place: int | str) -> None:
    assert webcam_module._place(device, listing) == place


def test_a_name_that_nothing_has_is_said(listing: Path) -> None:
    with pytest.raises(DeviceError, match="no webcam called Leica"):
        webcam_module._place("Leica", listing)


@pytest.mark.parametrize("name", ["Understudy Camera", "Dummy video device (0x0000)"])
@pytest.mark.parametrize("place", [5, "/dev/video5"])
def test_a_virtual_camera_is_known_by_its_label(listing: Path, place: int | str, name: str) -> None:
    (listing / "video5").mkdir()
    (listing / "video5" / "name").write_text(name + "\n")
    assert webcam_module._is_virtual(place, listing)
    assert not webcam_module._is_virtual(2, listing) and not webcam_module._is_virtual("http://camera", listing)


@pytest.mark.parametrize("device", ["2", "/dev/video2"])
def test_the_virtual_camera_never_shows_itself(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    opened: list[Any] = []
    lost = threading.Event()
    monkeypatch.setattr(webcam_module, "_open_capture", lambda *place: opened.append(place))
    monkeypatch.setattr(webcam_module.logger, "warning", lambda *_, **__: lost.set())
    webcam = open_webcam(device, width_px=640, height_px=480, fps=30, avoid="/dev/video2")
    assert webcam is not None
    assert lost.wait(10)
    webcam.close()
    assert not opened
