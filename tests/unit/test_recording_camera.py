import numpy as np
import pytest
import pyvirtualcam
from pyvirtualcam.camera import BACKENDS

from tests.recording_camera import Recording, recording_camera


def test_every_picture_is_noted_with_its_moment() -> None:
    moments = iter((1.0, 2.0, 3.0))
    recording = Recording(lambda picture: (picture.shape, int(picture[0, 0])), now=lambda: next(moments))
    with (
        recording_camera(recording),
        pyvirtualcam.Camera(64, 32, 30, fmt=pyvirtualcam.PixelFormat.I420) as camera,
    ):
        for value in (10, 20, 30):
            camera.send(np.full((48, 64), value, np.uint8))
    assert recording.shown == [(1.0, ((48, 64), 10)), (2.0, ((48, 64), 20)), (3.0, ((48, 64), 30))]
    assert recording.since(2.0)[0][0] == 2.0
    assert recording.latest() == ((48, 64), 30)
    assert recording.size_px == (64, 32)


def test_the_other_cameras_come_back_and_other_formats_are_refused() -> None:
    before = dict(BACKENDS)
    with recording_camera(Recording(lambda picture: None)):
        assert list(BACKENDS) == ["recording"]
        with pytest.raises(RuntimeError, match="I420"):
            pyvirtualcam.Camera(64, 32, 30)
    assert before == BACKENDS
