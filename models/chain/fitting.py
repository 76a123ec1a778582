"""A picture of one size shown as one of another: scaled to fit, with bars where the shapes differ."""

import cv2
import numpy as np

from models.interfaces import Image, Picture

_BLACK, _NO_COLOUR = 16, 128
"""Of the limited range."""


def fitted(picture: Picture, width_px: int, height_px: int) -> Picture:
    """`picture` in `width_px` x `height_px`, both even; the same picture when that is its size already."""
    rows, width = picture.i420.shape
    height = rows * 2 // 3
    if (width, height) == (width_px, height_px):
        return picture
    scale = min(width_px / width, height_px / height)
    inner_width, inner_height = (max(2, round(side * scale / 2) * 2) for side in (width, height))
    left, top = (width_px - inner_width) // 4 * 2, (height_px - inner_height) // 4 * 2
    made = np.full((height_px * 3 // 2, width_px), _NO_COLOUR, np.uint8)
    made[:height_px] = _BLACK
    luma = picture.i420[:height]
    made[top : top + inner_height, left : left + inner_width] = _scaled(luma, inner_width, inner_height)
    chroma = picture.i420[height:].reshape(2, height // 2, width // 2)
    planes = made[height_px:].reshape(2, height_px // 2, width_px // 2)
    for plane, source in zip(planes, chroma, strict=True):
        plane[top // 2 : (top + inner_height) // 2, left // 2 : (left + inner_width) // 2] = _scaled(
            source, inner_width // 2, inner_height // 2
        )
    return Picture(made)


def _scaled(plane: Image, width: int, height: int) -> Image:
    # Averaging areas takes five times as long, and only shows where a picture becomes much smaller.
    much_smaller = width * 2 < plane.shape[1]
    method = cv2.INTER_AREA if much_smaller else cv2.INTER_LINEAR
    scaled: Image = cv2.resize(plane, (width, height), interpolation=method)
    return scaled
