"""How much of the drawn mouth is shown, pixel by pixel of the face box: a soft shape made of the mesh alone.

It stands in for the face parsing network of the published code, with the same proportions (its grid of 512 px spans 1.5
box heights): the jaw grown by 6 of 512 downwards, the cheeks beyond 90 columns from the middle pulled in by 24, nothing
above the middle of the box, the nose left out, blurred by 8. Unlike it, the mask reaches zero at the middle and at the
box's edges by itself, so that no seam can show.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.avatar.pack import FACE_PX
from models.face.avatar.smoothing import Floats, smooth
from models.face.landmark_table import FACE_OVAL
from models.interfaces import Image

EDGE_ROW = FACE_PX // 2
"""The mask edge: the networks see nothing of the frame below it."""
_GRID = 0.75
"""Face px by px of the published grid, vertically; horizontally times height by width of the box."""
_CHIN_GROWTH_PX = 6 * _GRID
_CHEEK_COLUMNS_PX = 90 * _GRID
_CHEEK_INSET_PX = 24 * _GRID
_BLUR_PX = 8 * _GRID
_TOP_RAMP_PX = 20
_EDGE_RAMP_PX = 14
_EDGE_ZERO_PX = 2
_WINDOW_FRAMES, _ORDER = 13, 1
_NOSE = (195, 248, 456, 420, 360, 278, 294, 327, 326, 2, 97, 98, 64, 48, 131, 198, 236, 3)
"""Around the nose below its middle: ridge, wings, base."""
_SUB_PIXEL_BITS = 4


def steady(points: Floats, *, loops: bool = False) -> Floats:
    """The meshes of one recording in their face boxes' coordinates, [N, 468, 2] in order of time, slowed for a mask.

    In its box a face changes slowly; what changes fast is the landmarks' noise, which must not make the edge flicker.
    """
    return smooth(points, _WINDOW_FRAMES, _ORDER, loops=loops)


def mask_of(points: Floats, aspect: float) -> Image:
    """uint8 [256, 256] for one mesh [468, 2]; `aspect` is height by width of the face box. Takes 1.5 ms."""
    shape = np.zeros((FACE_PX, FACE_PX), np.uint8)
    _fill(shape, _jaw(points, aspect), 255)
    _fill(shape, points[list(_NOSE)], 0)
    soft = cv2.GaussianBlur(shape, (0, 0), sigmaX=_BLUR_PX * aspect, sigmaY=_BLUR_PX, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(np.rint(soft * _WINDOW), np.uint8)


def _jaw(points: Floats, aspect: float) -> Floats:
    """The lower contour of the face, grown downwards and pulled in at the cheeks."""
    oval = points[list(FACE_OVAL)]
    lower = oval[oval[:, 1] >= EDGE_ROW]
    if len(lower) < 3:
        return lower
    # From the picture's right to its left, as the oval runs; closed along the edge row.
    lower = lower[np.argsort(np.arctan2(lower[:, 1] - EDGE_ROW, lower[:, 0] - FACE_PX / 2))]
    ends = lower[[-1, 0]] * (1, 0) + (0, EDGE_ROW)
    contour = np.concatenate((lower, ends))
    offset = contour[:, 0] - FACE_PX / 2
    depth = np.clip((contour[:, 1] - EDGE_ROW) / (FACE_PX - EDGE_ROW), 0, 1)
    keep, inset = _CHEEK_COLUMNS_PX * aspect, _CHEEK_INSET_PX * aspect
    pulled = np.where(np.abs(offset) > keep, np.maximum(np.abs(offset) - inset, keep), np.abs(offset))
    x = FACE_PX / 2 + np.sign(offset) * pulled
    return np.stack((x, contour[:, 1] + _CHIN_GROWTH_PX * depth), axis=1).astype(np.float32)


def _fill(shape: Image, polygon: Floats, value: int) -> None:
    # Pixel (0, 0) covers face coordinates 0 to 1: its centre is at one half.
    fixed = np.rint((polygon - 0.5) * (1 << _SUB_PIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(shape, [fixed], value, lineType=cv2.LINE_AA, shift=_SUB_PIXEL_BITS)


def _ramp(distance_px: NDArray[np.floating], length_px: float) -> NDArray[np.floating]:
    """0 to 1 over `length_px`, without a corner at either end."""
    share = np.clip(distance_px / length_px, 0, 1)
    return np.asarray(share * share * (3 - 2 * share))


def _window() -> NDArray[np.floating]:
    """[256, 256]: one inside, zero above the edge row and at the box's edges."""
    place = np.arange(FACE_PX) + 0.5
    inwards = np.minimum(place, FACE_PX - place) - _EDGE_ZERO_PX
    across = _ramp(inwards, _EDGE_RAMP_PX)
    down = np.minimum(_ramp(place - EDGE_ROW, _TOP_RAMP_PX), across)
    return np.outer(down, across)


_WINDOW = _window()
