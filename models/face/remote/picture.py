"""A picture on its way: planar I420 as one grey JPEG.

The planes are compressed as they lie in memory, the chroma below the luma, so no value is ever converted: limited range
stays limited range. OpenCV's libjpeg-turbo needs half the time of PyAV's mjpeg encoder for it, whose pictures of
separate planes are a third smaller; the figures are in the README.
"""

from typing import Final

import cv2
import numpy as np

from models.interfaces import Image

QUALITY: Final = 90
_FRAME_HEADERS: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers that begin a frame (ITU-T T.81, table B.1)."""


class MalformedPicture(Exception):
    """What came is no picture of the size that was agreed on."""


def compress(i420: Image, quality: int = QUALITY) -> bytes:
    """The JPEG of `i420`, uint8 [height * 3 // 2, width]."""
    done, data = cv2.imencode(".jpg", i420, (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not done:
        raise ValueError("the picture cannot be compressed")
    return bytes(data)


def expand(data: bytes, *, width_px: int, height_px: int) -> Image:
    """The picture again, uint8 [height_px * 3 // 2, width_px]. Raises MalformedPicture."""
    rows = height_px * 3 // 2
    if _grey_size(data) != (width_px, rows):
        raise MalformedPicture(f"the picture is not one of {width_px}x{height_px} px")
    i420 = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if i420 is None or i420.shape != (rows, width_px):
        raise MalformedPicture("the picture cannot be read")
    return np.asarray(i420, np.uint8)


def _grey_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a JPEG of one component promises, before anything is reserved for it (T.81, B.2.2)."""
    at = 2
    while data[:2] == b"\xff\xd8" and at + 10 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAME_HEADERS:
            height, width = (int.from_bytes(data[place : place + 2], "big") for place in (at + 5, at + 7))
            return (width, height) if data[at + 9] == 1 else None
        at += 2 + length
    return None
