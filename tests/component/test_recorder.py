"""Recordings are read back by PyAV, as a player would."""

import errno
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from models.interfaces import SPEECH_RATE_HZ, Image, Samples
from peer_local.devices import recorder as recorder_module
from peer_local.devices.recorder import Recorder
from peer_local.errors import DeviceError
from peer_local.on_air.framing import black

WIDTH, HEIGHT, FPS, BLOCK = 160, 120, 30, 960


def picture(luma: int) -> Image:
    image = black(WIDTH, HEIGHT)
    image[:HEIGHT] = luma
    return image


DARK, FLASH = picture(40), picture(220)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests push faster than real time: nothing is dropped for that."""
    monkeypatch.setattr(recorder_module, "_MOST_PICTURES", 100_000)
    monkeypatch.setattr(recorder_module, "_MOST_SOUNDS", 100_000)


def perform(recorder: Recorder, seconds: float, *, ppm: float = 0.0, start_s: float = 100.0) -> None:
    """A flash and a click at every full second, the sound by a device whose clock is `ppm` fast."""
    pace = 1 + ppm * 1e-6
    block = 0
    for tick in range(round(seconds * FPS)):
        at_s = tick / FPS
        while block * BLOCK / SPEECH_RATE_HZ / pace <= at_s:
            heard_s = (block * BLOCK + np.arange(BLOCK)) / SPEECH_RATE_HZ / pace
            click = (heard_s % 1.0 < 0.01) * np.sin(2 * np.pi * 2_000 * heard_s)
            recorder.tap((0.8 * click).astype(np.float32), start_s + heard_s[0])
            block += 1
        recorder.show(FLASH if tick % FPS < 3 else DARK, start_s + at_s)


def onsets(moments: Iterator[tuple[float, bool]]) -> list[float]:
    found: list[float] = []
    before_s = -1.0
    for at_s, on in moments:
        if on and at_s - before_s > 0.5:
            found.append(at_s)
        before_s = at_s if on else before_s
    return found


def flashes(file: Path) -> list[float]:
    with av.open(str(file)) as container:
        return onsets((f.time or 0.0, f.to_ndarray(format="gray").mean() > 120) for f in container.decode(video=0))


def clicks(file: Path) -> list[float]:
    with av.open(str(file)) as container:
        return onsets(
            ((frame.time or 0.0) + place / SPEECH_RATE_HZ, True)
            for frame in container.decode(audio=0)
            for place in np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.2)
        )


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("ppm", [0.0, 300.0])
def test_flash_and_click_are_at_the_same_time(tmp_path: Path, ppm: float) -> None:
    recorder = Recorder(tmp_path / "call.mp4", WIDTH, HEIGHT, FPS)
    perform(recorder, 10, ppm=ppm)
    recorder.close()
    assert recorder.failed is None and recorder.dropped_pictures == 0
    seen, heard = flashes(recorder.file), clicks(recorder.file)
    assert len(seen) == len(heard) == 10
    assert np.abs(np.array(seen) - heard).max() <= 0.02


@pytest.mark.usefixtures("patient")
def test_a_recording_that_is_cut_off_is_readable_and_in_time(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "call.mp4", WIDTH, HEIGHT, FPS)
    perform(recorder, 8)
    while recorder.waiting:
        time.sleep(0.01)
    cut = tmp_path / "cut.mp4"
    shutil.copy(recorder.file, cut)  # what a killed process leaves behind
    recorder.close()
    seen, heard = flashes(cut), clicks(cut)
    assert len(seen) >= 5 and len(heard) >= 5
    assert all(abs(flash - click) <= 0.02 for flash, click in zip(seen, heard, strict=False))


@pytest.mark.usefixtures("patient")
def test_pictures_alone_make_a_recording(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "call.mp4", WIDTH, HEIGHT, FPS)
    for tick in range(90):
        recorder.show(FLASH if tick < 3 else DARK, tick / FPS)
    recorder.close()
    assert recorder.failed is None
    assert len(flashes(recorder.file)) == 1


def test_nothing_at_all_is_no_failure(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "call.mp4", WIDTH, HEIGHT, FPS)
    recorder.close()
    recorder.close()
    assert recorder.failed is None
    assert not list(tmp_path.iterdir())
    recorder.show(DARK, 0.0)
    recorder.tap(np.zeros(960, np.float32), 0.0)


@pytest.mark.usefixtures("patient")
def test_a_hole_in_the_sound_is_silence_and_the_rest_stays_in_time(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "call.mp4", WIDTH, HEIGHT, FPS)
    perform(recorder, 3)
    perform(recorder, 3, start_s=105.0)
    recorder.close()
    seen, heard = flashes(recorder.file), clicks(recorder.file)
    assert len(seen) == len(heard) == 6
    assert np.abs(np.array(seen) - heard).max() <= 0.02


def test_a_recording_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "call.mp4").write_text("precious")
    recorder = Recorder(tmp_path / "call.mp4", WIDTH, HEIGHT, FPS)
    recorder.close()
    assert recorder.file.name == "call-2.mp4"
    assert (tmp_path / "call.mp4").read_text() == "precious"


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="does not exist: make it or record to another one"):
        Recorder(tmp_path / "nowhere" / "call.mp4", WIDTH, HEIGHT, FPS)


def test_what_is_no_mp4_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="is a folder: name a file in it"):
        Recorder(tmp_path, WIDTH, HEIGHT, FPS)
    with pytest.raises(DeviceError, match=r"call it call\.mp4"):
        Recorder(tmp_path / "call.txt", WIDTH, HEIGHT, FPS)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(tmp_path / "call.mp4", WIDTH, HEIGHT, FPS)

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(recorder, "_write_sound", full)
    recorder.tap(np.zeros(960, np.float32), 0.0)
    recorder.close()
    with pytest.raises(DeviceError, match="The disk is full: make room"):
        recorder.show(DARK, 0.0)
    recorder.tap(np.zeros(960, np.float32), 0.0)


def test_a_machine_that_is_too_slow_loses_pictures_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(tmp_path / "call.mp4", WIDTH, HEIGHT, FPS)
    release = threading.Event()
    write = recorder._write_sound

    def slow(samples: Samples, at_s: float) -> None:
        release.wait(10)
        write(samples, at_s)

    monkeypatch.setattr(recorder, "_write_sound", slow)
    perform(recorder, 2)
    assert 40 <= recorder.dropped_pictures <= 60
    assert recorder.dropped_sounds == 0
    perform(recorder, 12, start_s=102.0)
    assert recorder.dropped_sounds > 100
    release.set()
    recorder.close()
    assert recorder.failed is None
    assert len(clicks(recorder.file)) >= 9
