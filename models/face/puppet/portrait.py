"""From a photo to a portrait that can be moved: the face found and judged, the picture framed, the person masked."""

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import AvatarError
from models.face.landmark_table import (
    CHEEK_LEFT,
    CHEEK_RIGHT,
    CHIN,
    EYE_LEFT_LOWER,
    EYE_LEFT_UPPER,
    EYE_RIGHT_LOWER,
    EYE_RIGHT_UPPER,
    FOREHEAD,
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
)
from models.face.landmarks import FaceFinder, FoundFace
from models.face.puppet.person_mask import PersonMask
from models.interfaces import Image

Floats = NDArray[np.float32]

_FRAME_FACES = 2.75
"""Side of the square picture in heights of the face (forehead to chin): head and shoulders, as in a call."""
_EYES_DOWN = 0.41
"""Where the eyes are in the square picture, from its top."""
_LEAST_FACE_PX = 72.0
_OTHER_FACE_SHARE = 0.4
"""A second face smaller than this share of the largest is somebody in the background."""
_MOST_YAW_DEG = 28.0
_MOST_ROLL_DEG = 30.0
_MOST_GAPE = 0.45
"""Gap between the lips in widths of the mouth; a broad smile with teeth has 0.2."""
_MARGIN_SHARE = 0.04
"""The sheet goes on beyond the picture by this share of its longer side, for movements."""
_SHARP_SCALE = 1.35
"""Sheets of photos with px to spare are this much larger than the picture, so that the warp loses no sharpness."""


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A person in a sheet: the picture's part of the photo, with a margin, at `scale` px per px of the picture."""

    pixels: Image
    """RGB uint8 [height, width, 3]."""
    person: NDArray[np.uint8]
    """[height, width]: how much of a px is the person."""
    points: Floats
    """[468, 3] of the face mesh, in px of the sheet."""
    width_px: int
    height_px: int
    """Of the picture."""
    scale: float
    margin_px: int
    """In px of the sheet."""
    softness_px: float
    """How far the photo itself is blurred, by having been enlarged: a sigma in px of the sheet."""


def read_photo(path: Path) -> Image:
    """The RGB picture in a file, turned as its EXIF orientation says. Raises AvatarError."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise AvatarError(f"The photo {path} cannot be read ({error.strerror}); name a JPEG or PNG file.") from None
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:
        bgr = None
    if bgr is None:
        raise AvatarError(f"{path.name} is not a picture that can be read; save the photo as JPEG or PNG.")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def only_face(rgb: Image, finder: FaceFinder) -> FoundFace:
    """The face of the photo, if it can be animated. Raises AvatarError with one sentence that says what is wrong."""
    faces = finder.find(rgb)
    if not faces:
        raise AvatarError("No face was found in the photo; take one that shows your face from the front, well lit.")
    face = faces[0]
    if len(faces) > 1 and faces[1].size_px >= _OTHER_FACE_SHARE * face.size_px:
        raise AvatarError("The photo shows several faces; crop it so that only yours is in it.")
    points = face.points
    height_px = float(np.hypot(*(points[CHIN] - points[FOREHEAD])[:2]))
    if height_px < _LEAST_FACE_PX:
        raise AvatarError(
            f"The face in the photo is only {height_px:.0f} px high; take one from nearer, of {_LEAST_FACE_PX:.0f} px "
            "at least."
        )
    across = points[CHEEK_RIGHT] - points[CHEEK_LEFT]
    if abs(math.degrees(math.atan2(across[2], float(np.hypot(*across[:2]))))) > _MOST_YAW_DEG:
        raise AvatarError("The face in the photo is turned too far to the side; look into the camera.")
    if abs(math.degrees(math.atan2(across[1], across[0]))) > _MOST_ROLL_DEG:
        raise AvatarError("The head in the photo is tilted too far; turn the photo upright or hold your head straight.")
    width = points[LIPS_INNER_UPPER[-1]] - points[LIPS_INNER_UPPER[0]]
    gap = points[list(LIPS_INNER_LOWER), :2][5] - points[list(LIPS_INNER_UPPER), :2][5]
    if np.hypot(*gap) > _MOST_GAPE * np.hypot(*width[:2]):
        raise AvatarError("The mouth in the photo is wide open; take one with a closed mouth.")
    return face


def head_and_shoulders(rgb: Image, face: FoundFace) -> tuple[float, float, float, float]:
    """Left, top, width and height (equal) in px of the photo of a square picture of the face; within the photo."""
    height, width = rgb.shape[:2]
    flat = face.points[:, :2]
    eyes = flat[[*EYE_LEFT_UPPER, *EYE_LEFT_LOWER, *EYE_RIGHT_UPPER, *EYE_RIGHT_LOWER]].mean(axis=0)
    side = min(_FRAME_FACES * float(np.hypot(*(flat[CHIN] - flat[FOREHEAD]))), width, height)
    middle = float(flat[[CHEEK_LEFT, CHEEK_RIGHT], 0].mean())
    left = min(max(middle - side / 2, 0.0), width - side)
    top = min(max(float(eyes[1]) - _EYES_DOWN * side, 0.0), height - side)
    return left, top, side, side


def make_portrait(
    rgb: Image,
    face: FoundFace,
    mask: PersonMask,
    box: tuple[float, float, float, float],
    *,
    width_px: int,
    height_px: int,
) -> Portrait:
    """The part `box` (left, top, width, height) of the photo as a picture of `width_px` x `height_px`."""
    left, top, box_width, box_height = box
    enlarged = min(width_px / box_width, height_px / box_height)
    scale = _SHARP_SCALE if enlarged <= 1 / _SHARP_SCALE else 1.0
    inner = round(width_px * scale), round(height_px * scale)
    margin_px = round(_MARGIN_SHARE * max(inner))
    # The margin shows what the photo has there; where it has nothing, its mirror image.
    x_scale, y_scale = inner[0] / box_width, inner[1] / box_height
    corner = left - margin_px / x_scale, top - margin_px / y_scale
    size = inner[0] + 2 * margin_px, inner[1] + 2 * margin_px
    pixels = _resampled(rgb, corner, (x_scale, y_scale), size)
    points = face.points.copy()
    points[:, 0] = (points[:, 0] + 0.5 - corner[0]) * x_scale - 0.5
    points[:, 1] = (points[:, 1] + 0.5 - corner[1]) * y_scale - 0.5
    points[:, 2] *= x_scale
    person = (255 * mask.of(pixels) + 0.5).astype(np.uint8)
    return Portrait(
        pixels=pixels,
        person=_covering(person, points),
        points=points,
        width_px=width_px,
        height_px=height_px,
        scale=scale,
        margin_px=margin_px,
        softness_px=0.45 * max(1.0, enlarged * scale),
    )


def _resampled(rgb: Image, corner: tuple[float, float], scale: tuple[float, float], size: tuple[int, int]) -> Image:
    """A picture of `size` whose upper left corner is at `corner` of `rgb`, `scale` times as large."""
    # INTER_AREA cannot start between px, warping cannot average: reduce first, then shift.
    reduce = min(1.0, *scale)
    if reduce < 1:
        height, width = rgb.shape[:2]
        small = max(1, round(width * reduce)), max(1, round(height * reduce))
        rgb = np.asarray(cv2.resize(rgb, small, interpolation=cv2.INTER_AREA), np.uint8)
        factors = small[0] / width, small[1] / height
        corner = corner[0] * factors[0], corner[1] * factors[1]
        scale = scale[0] / factors[0], scale[1] / factors[1]
    matrix = np.array(
        [
            [1 / scale[0], 0, corner[0] + 0.5 / scale[0] - 0.5],
            [0, 1 / scale[1], corner[1] + 0.5 / scale[1] - 0.5],
        ]
    )
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(rgb, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101), np.uint8)


def _covering(person: NDArray[np.uint8], points: Floats) -> NDArray[np.uint8]:
    """`person`, if it covers the face; else everything, so that the whole picture moves a little with the head."""
    hull = cv2.convexHull(points[:, :2].round().astype(np.int32))
    inside = np.zeros(person.shape, np.uint8)
    cv2.fillConvexPoly(inside, hull, 255)
    covered = float(person[inside > 0].mean()) / 255 if inside.any() else 0.0
    if covered < 0.9:
        return np.full_like(person, 255)
    return np.asarray(np.maximum(person, inside), np.uint8)
