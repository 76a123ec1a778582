"""Pictures on their way between two processes."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.face.host.drawing import HostPainter
from models.face.motion import Expression, pose_at
from models.face.mouth_shape import MouthShape
from models.face.remote.picture import MalformedPicture, compress, expand
from models.interfaces import Image
from tests.pictures import psnr_db

TALKING = Expression(mouth=MouthShape(opening=0.8, teeth=0.5))


def host(size_px: int, position: int = 7) -> Image:
    return HostPainter(size_px).i420(pose_at(position, TALKING))


def wide(width_px: int, height_px: int) -> Image:
    """The host in the middle of a wider picture, in which nothing lines up with blocks of eight."""
    bgr = cv2.cvtColor(host(512), cv2.COLOR_YUV2BGR_I420)
    scaled = cv2.resize(bgr, (width_px, width_px))[:height_px]
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(scaled), cv2.COLOR_BGR2YUV_I420), np.uint8)


def planes(i420: Image) -> list[NDArray[np.uint8]]:
    pixels = i420.shape[0] * 2 // 3 * i420.shape[1]
    return np.split(i420.reshape(-1), [pixels, pixels * 5 // 4])


@pytest.mark.parametrize(
    "picture", [host(512), host(144), wide(1_280, 720), wide(638, 358)], ids=lambda p: str(p.shape)
)
def test_a_picture_comes_back_in_its_size_and_looks_the_same(picture: Image) -> None:
    rows, width = picture.shape
    data = compress(picture)
    back = expand(data, width_px=width, height_px=rows * 2 // 3)
    assert back.dtype == np.uint8 and back.shape == picture.shape and back.flags.c_contiguous
    assert all(psnr_db(one, other) >= 40 for one, other in zip(planes(picture), planes(back), strict=True))
    assert len(data) < picture.size / 5


def test_limited_range_stays_limited_and_no_colour_drifts() -> None:
    picture = np.full((96, 64), 128, np.uint8)
    picture[:32, :32], picture[:32, 32:], picture[32:64] = 16, 235, 110
    picture[64:80], picture[80:] = 90, 200
    back = expand(compress(picture), width_px=64, height_px=64)
    for mine, theirs in zip(planes(picture), planes(back), strict=True):
        assert abs(mine.astype(int) - theirs).max() <= 2


def test_what_is_no_picture_of_this_size_is_refused_before_it_is_unpacked() -> None:
    data = compress(host(144))
    colour = bytes(cv2.imencode(".jpg", np.zeros((216, 144, 3), np.uint8))[1])
    enormous = bytearray(data)
    at = data.index(b"\xff\xc0")
    enormous[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    for wrong in (b"", b"\xff\xd8", data[:50], colour, bytes(enormous), b"\xff\xd8" + bytes(100), compress(host(128))):
        with pytest.raises(MalformedPicture):
            expand(wrong, width_px=144, height_px=144)


def test_noise_is_a_picture_too() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (216, 144), np.uint8)
    back = expand(compress(noise), width_px=144, height_px=144)
    assert psnr_db(noise, back) > 25
