"""Pictures brought to the camera's size, blended and darkened.

All pictures are planar I420, BT.601, limited range: uint8 [height * 3 // 2, width], width and height even. Nothing is
changed in place, so that whoever was given a picture may keep it. Costs on one 2.5 GHz core at 1280x720: fit from
640x640 under 1 ms, dissolve and darken about 0.3 ms.
"""

from typing import Literal

import cv2
import numpy as np

from models.interfaces import Image

Fit = Literal["letterbox", "crop"]
_BLACK_LUMA = 16
_NO_CHROMA = 128
BAR_LIGHT = 0.55
_BLUR_PX = (32, 18)


def size_of(image: Image) -> tuple[int, int]:
    """Width and height in pixels. Raises ValueError when `image` is not I420."""
    if image.ndim != 2 or image.dtype != np.uint8:
        raise ValueError("a picture is two-dimensional and of bytes")
    width_px, height_px = image.shape[1], image.shape[0] * 2 // 3
    if not width_px or not height_px or width_px % 2 or height_px % 2 or height_px * 3 // 2 != image.shape[0]:
        raise ValueError(f"no I420 picture has the shape {image.shape}")
    return width_px, height_px


def black(width_px: int, height_px: int) -> Image:
    """A black picture."""
    image = np.full((height_px * 3 // 2, width_px), _NO_CHROMA, np.uint8)
    image[:height_px] = _BLACK_LUMA
    return image


def planes_of(image: Image) -> tuple[Image, Image, Image]:
    """Y, U and V: views into `image`, which is contiguous."""
    width_px, height_px = size_of(image)
    chroma = image[height_px:].reshape(2, height_px // 2, width_px // 2)
    return image[:height_px], chroma[0], chroma[1]


def from_bgr(bgr: Image) -> Image:
    """I420 of uint8 [height, width, 3]; an odd last row or column is left out."""
    height_px, width_px = bgr.shape[0] // 2 * 2, bgr.shape[1] // 2 * 2
    return np.asarray(cv2.cvtColor(bgr[:height_px, :width_px], cv2.COLOR_BGR2YUV_I420), np.uint8)


def fit(image: Image, width_px: int, height_px: int, how: Fit = "letterbox") -> Image:
    """`image` at another size without distortion: with bars, or with what is too much cut off on both sides.

    The bars are a dark blur of the picture itself: hard black ones look broken beside the other participants.

    A picture of that size is returned as it is. Raises ValueError when `image` is not I420.
    """
    source_width_px, source_height_px = size_of(image)
    if (source_width_px, source_height_px) == (width_px, height_px):
        return image
    across, down = width_px / source_width_px, height_px / source_height_px
    scale = min(across, down) if how == "letterbox" else max(across, down)
    # What of the source is seen, and where it goes; even everywhere, because chroma is half as fine.
    seen_width_px = min(source_width_px, _even(width_px / scale))
    seen_height_px = min(source_height_px, _even(height_px / scale))
    goes_width_px = min(width_px, _even(seen_width_px * scale))
    goes_height_px = min(height_px, _even(seen_height_px * scale))
    left_px, top_px = (source_width_px - seen_width_px) // 4 * 2, (source_height_px - seen_height_px) // 4 * 2
    x_px, y_px = (width_px - goes_width_px) // 4 * 2, (height_px - goes_height_px) // 4 * 2
    # Down to a half, linear interpolation still sees every pixel, and costs a sixth.
    interpolation = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
    framed = np.empty((height_px * 3 // 2, width_px), np.uint8)
    sources, goals = planes_of(np.ascontiguousarray(image)), planes_of(framed)
    for source, goal, share, rest in zip(sources, goals, (1, 2, 2), (_BLACK_LUMA, _NO_CHROMA, _NO_CHROMA), strict=True):
        if goes_width_px < width_px or goes_height_px < height_px:
            goal[:] = _blur(source, goal.shape[1], goal.shape[0], rest)
        seen = source[
            top_px // share : (top_px + seen_height_px) // share, left_px // share : (left_px + seen_width_px) // share
        ]
        size = (goes_width_px // share, goes_height_px // share)
        goal[y_px // share : y_px // share + size[1], x_px // share : x_px // share + size[0]] = cv2.resize(
            seen, size, interpolation=interpolation
        )
    return framed


def _blur(plane: Image, width_px: int, height_px: int, dark: int) -> Image:
    """The middle of a plane, filling another size, without detail and with BAR_LIGHT of its light."""
    rows, columns = plane.shape
    scale = max(width_px / columns, height_px / rows)
    seen_rows, seen_columns = min(rows, round(height_px / scale)), min(columns, round(width_px / scale))
    top, left = (rows - seen_rows) // 2, (columns - seen_columns) // 2
    small = cv2.resize(plane[top : top + seen_rows, left : left + seen_columns], _BLUR_PX, interpolation=cv2.INTER_AREA)
    small = cv2.convertScaleAbs(cv2.GaussianBlur(small, (0, 0), 1.5), alpha=BAR_LIGHT, beta=dark * (1 - BAR_LIGHT))
    return np.asarray(cv2.resize(small, (width_px, height_px), interpolation=cv2.INTER_LINEAR), np.uint8)


def _even(length_px: float) -> int:
    return max(2, round(length_px / 2) * 2)


def dissolve(before: Image, after: Image, share: float) -> Image:
    """Between two pictures of one size: `before` itself at 0, `after` itself at 1."""
    if share <= 0:
        return before
    if share >= 1:
        return after
    return np.asarray(cv2.addWeighted(before, 1 - share, after, share, 0), np.uint8)


def darken(image: Image, share: float) -> Image:
    """`image` with `share` of its light and colour taken away: itself at 0, black at 1."""
    height_px = size_of(image)[1]
    dark = np.empty_like(image)
    for rows, rest in ((slice(0, height_px), _BLACK_LUMA), (slice(height_px, None), _NO_CHROMA)):
        cv2.convertScaleAbs(image[rows], dst=dark[rows], alpha=1 - share, beta=rest * share)
    return dark


class Framer:
    """Fits a stream of pictures; one that is shown again costs nothing. For one thread."""

    def __init__(self, width_px: int, height_px: int, how: Fit = "letterbox") -> None:
        self._size_px = (width_px, height_px)
        self._how: Fit = how
        self._last: tuple[Image, Image] | None = None

    def fit(self, image: Image) -> Image:
        """`image` at the size of this framer. Raises ValueError when it is not I420."""
        if self._last is None or self._last[0] is not image:
            self._last = (image, fit(image, *self._size_px, self._how))
        return self._last[1]
