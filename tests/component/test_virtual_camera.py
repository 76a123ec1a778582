"""The virtual camera over backends that are registered with pyvirtualcam, good ones and failing ones."""

import platform
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import pyvirtualcam
import pyvirtualcam.camera

from models.interfaces import Image
from peer_local.devices.camera import VirtualCamera, open_camera
from peer_local.errors import DeviceError
from peer_local.on_air.framing import black
from peer_local.settings import CameraSettings


class Recording:
    """What pyvirtualcam asks of a backend; keeps what it is given."""

    made: "list[Recording]"
    refuses: str | None = None

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: str | None, **extra: Any) -> None:
        if self.refuses is not None:
            raise RuntimeError(self.refuses)
        self.format = (width, height, fps, fourcc)
        self._device = device or "Recording Camera"
        self.sent: list[Image] = []
        self.gone = False
        self.closed = 0
        type(self).made.append(self)

    def send(self, frame: Image) -> None:
        if self.gone:
            raise OSError("No such device")
        self.sent.append(frame.copy())

    def close(self) -> None:
        self.closed += 1

    def device(self) -> str:
        return self._device

    def native_fourcc(self) -> int | None:
        return None


@pytest.fixture
def backend() -> Iterator[type[Recording]]:
    made: list[Recording] = []
    kind = type("Recorded", (Recording,), {"made": made})
    pyvirtualcam.register_backend("recording", kind)
    yield kind
    del pyvirtualcam.camera.BACKENDS["recording"]


@pytest.fixture
def small() -> CameraSettings:
    return CameraSettings(width_px=160, height_px=120)


def test_pictures_arrive_as_they_are_in_one_format(backend: type[Recording], small: CameraSettings) -> None:
    camera = open_camera(small, backend="recording")
    assert camera is not None and camera.name == "Recording Camera"
    image = black(160, 120)
    image[:120] = np.arange(160, dtype=np.uint8)
    camera.show(image, 0.0)
    (made,) = backend.made
    assert made.format[:3] == (160, 120, 30)
    assert np.array_equal(made.sent[0].reshape(image.shape), image)
    camera.close()
    camera.close()
    assert made.closed == 1


def test_the_device_of_the_settings_is_taken(backend: type[Recording]) -> None:
    camera = open_camera(CameraSettings(width_px=160, height_px=120, device="/dev/video9"), backend="recording")
    assert camera is not None and camera.name == "/dev/video9"
    camera.close()


def test_a_camera_that_goes_away_says_so(backend: type[Recording], small: CameraSettings) -> None:
    camera = open_camera(small, backend="recording")
    assert camera is not None
    backend.made[0].gone = True
    with pytest.raises(DeviceError, match="Recording Camera is gone"):
        camera.show(black(160, 120), 0.0)
    camera.close()
    with pytest.raises(DeviceError, match="is closed"):
        camera.show(black(160, 120), 0.0)


def test_a_picture_of_the_wrong_size_is_refused(backend: type[Recording], small: CameraSettings) -> None:
    camera = open_camera(small, backend="recording")
    assert camera is not None
    with pytest.raises(DeviceError):
        camera.show(black(64, 48), 0.0)
    camera.close()


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("Device /dev/video0 is busy", "Another program feeds the virtual camera: end it"),
        ("virtual camera output is already in use", "Another program feeds the virtual camera: end it"),
        ("/dev/video0: Permission denied", "add yourself to the group video"),
        ("unsupported format", "refuses 160x120: load it anew or choose another size"),
        ("could not be configured: Invalid argument", "refuses 160x120"),
        ("Device /dev/video0 does not exist", "no virtual camera"),
    ],
)
def test_a_camera_that_cannot_be_opened_says_what_to_do(
    backend: type[Recording], small: CameraSettings, reason: str, sentence: str
) -> None:
    backend.refuses = reason
    with pytest.raises(DeviceError, match=sentence):
        VirtualCamera(160, 120, 30, backend="recording")
    assert open_camera(small, backend="recording") is None, "kind auto goes on without"
    with pytest.raises(DeviceError):
        open_camera(small.model_copy(update={"kind": "virtual"}), backend="recording")


@pytest.mark.parametrize(("system", "word"), [("Linux", "v4l2loopback"), ("Windows", "OBS"), ("Darwin", "OBS")])
def test_each_system_says_how_to_have_a_camera(
    backend: type[Recording], monkeypatch: pytest.MonkeyPatch, system: str, word: str
) -> None:
    backend.refuses = "nothing found"
    monkeypatch.setattr(platform, "system", lambda: system)
    with pytest.raises(DeviceError, match=word):
        VirtualCamera(160, 120, 30, backend="recording")


def test_a_backend_that_does_not_exist_is_named() -> None:
    with pytest.raises(DeviceError, match="kind dream"):
        VirtualCamera(160, 120, 30, backend="dream")


def test_no_camera_is_opened_when_none_is_wanted(backend: type[Recording], small: CameraSettings) -> None:
    assert open_camera(small.model_copy(update={"kind": "none"}), backend="recording") is None
    assert not backend.made
