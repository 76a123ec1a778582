"""The face box: where the networks look, of one size for the whole avatar, moving smoothly.

MuseTalk's rule (facts of its inference code): landmark 29 of the 68, on the bridge of the nose, lies in the middle of
the box's height; below it the network draws, above it the frame stays. The chin is its lower edge, the ends of the jaw
line are its sides. Version 1.5 adds a margin below the chin.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import AvatarError
from models.face.avatar.pack import FACE_PX, ROI_STEP_PX
from models.face.avatar.rules import DEFAULT_RULES, Rules, Version
from models.face.avatar.smoothing import Floats, smooth
from models.face.landmark_table import FACE_OVAL, MUSETALK_LEFT, MUSETALK_NOSE, MUSETALK_RIGHT
from models.interfaces import BEATS_PER_SECOND, Image

_CHIN_MARGIN = {"1.5": 0.04, "1.0": 0.0}
"""By height of the box: 10 px below a chin of a face of 250 px."""
_MIDDLE = 2
"""Of MUSETALK_NOSE: landmark 29."""
_WINDOW_FRAMES, _ORDER = 11, 2


@dataclass(frozen=True, slots=True)
class BoxSize:
    width_px: float
    height_px: float


def rough_boxes(points: Floats, version: Version) -> Floats:
    """[N, 4]: the rule's box for every frame by itself; x0, y0, x1, y1 in px."""
    left, right = points[:, MUSETALK_LEFT, 0], points[:, MUSETALK_RIGHT, 0]
    middle = points[:, MUSETALK_NOSE[_MIDDLE], 1].mean(axis=1)
    chin = points[:, FACE_OVAL, 1].max(axis=1)
    half = chin - middle
    bottom = chin + 2 * half * _CHIN_MARGIN[version]
    return np.stack((np.minimum(left, right), middle - half, np.maximum(left, right), bottom), axis=1)


def size_of(boxes: Floats) -> BoxSize:
    """The median width and height."""
    width_px, height_px = np.median(boxes[:, 2:] - boxes[:, :2], axis=0)
    return BoxSize(float(width_px), float(height_px))


def steady_boxes(points: Floats, size: BoxSize, version: Version, *, loops: bool = False) -> Floats:
    """[N, 4]: boxes of one size around smoothed centres. `points` [N, 468, 3] are one recording's, in order."""
    rough = rough_boxes(points, version)
    middle = points[:, MUSETALK_NOSE[_MIDDLE], 1].mean(axis=1)
    # Not the middle of the rough box: its lower edge falls with the chin when the mouth opens.
    share = _CHIN_MARGIN[version]
    centres = np.stack(((rough[:, 0] + rough[:, 2]) / 2, middle + size.height_px * share / (1 + share) / 2), axis=1)
    centres = smooth(centres, _WINDOW_FRAMES, _ORDER, loops=loops)
    half = np.array((size.width_px, size.height_px), np.float32) / 2
    return np.concatenate((centres - half, centres + half), axis=1).astype(np.float32)


def refuse_size(name: str, boxes: Floats, picture_px: tuple[int, int], rules: Rules = DEFAULT_RULES) -> list[str]:
    """Warnings about the face's size. Raises AvatarError when it is too large, too small or leaves the picture."""
    height_px = float(boxes[0, 3] - boxes[0, 1])
    if height_px < rules.lowest_face_px:
        raise AvatarError(
            f"The face in {name} is {height_px:.0f} px high and {rules.lowest_face_px} are needed; sit nearer to the "
            "camera or record with more lines."
        )
    if height_px > rules.highest_face_px:
        raise AvatarError(
            f"The face in {name} is {height_px:.0f} px high and at most {rules.highest_face_px} can be drawn sharply; "
            "sit farther from the camera or prepare with a smaller --height."
        )
    width, height = picture_px
    out_px = max(-boxes[:, :2].min(), (boxes[:, 2] - width).max(), (boxes[:, 3] - height).max())
    if out_px > rules.out_share * height_px:
        frame = int(np.argmax(np.maximum(-boxes[:, :2].min(axis=1), (boxes[:, 2:] - (width, height)).max(axis=1))))
        raise AvatarError(
            f"The face in {name} leaves the picture at {frame / BEATS_PER_SECOND:.1f} s; keep your whole head in the "
            "middle of it, farther from the camera."
        )
    if height_px > rules.large_face_px:
        return [
            f"The face is {height_px:.0f} px high: above {rules.large_face_px} the mouth, which is drawn on {FACE_PX}, "
            "looks softer than the rest; sit farther from the camera or prepare with a smaller --height."
        ]
    if height_px < rules.small_face_px:
        return [f"The face is only {height_px:.0f} px high; sit nearer to the camera for a sharper one."]
    return []


def face_of(rgb: Image, box: Floats) -> Image:
    """The face box of a picture as the networks see it: uint8 [256, 256, 3], sampled below the pixel.

    Width and height are stretched each by its own factor, as in training; outside the picture its edge is repeated.
    """
    x0, y0, x1, y1 = (float(edge) for edge in box)
    across, down = (x1 - x0) / FACE_PX, (y1 - y0) / FACE_PX
    matrix = np.array([[across, 0, x0 + across / 2 - 0.5], [0, down, y0 + down / 2 - 0.5]])
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(rgb, matrix, (FACE_PX, FACE_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def to_face(points: Floats, boxes: Floats) -> Floats:
    """`points` [N, K, 2 or 3] in the face boxes' coordinates: [N, K, 2], 0 to 256."""
    corner, size = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None]
    return np.asarray((points[:, :, :2] - corner) * (FACE_PX / size), np.float32)


def mouth_regions(masks: Image, boxes: Floats, picture_px: tuple[int, int]) -> tuple[NDArray[np.int32], int, int]:
    """Top left corners int32 [N, 2], width and height of the regions of the frames that the masks can touch.

    Raises AvatarError when the picture is smaller than the region.
    """
    shown = masks.max(axis=0)
    columns, rows = np.flatnonzero(shown.max(axis=0)), np.flatnonzero(shown.max(axis=1))
    # One face px around, since the mask is sampled bilinearly.
    low = np.array((columns[0] - 1, rows[0] - 1)) / FACE_PX
    high = np.array((columns[-1] + 2, rows[-1] + 2)) / FACE_PX
    size = boxes[:, 2:] - boxes[:, :2]
    starts = np.floor((boxes[:, :2] + low * size) / 2).astype(np.int32) * 2
    ends = np.ceil(boxes[:, :2] + high * size).astype(np.int32)
    needed = (ends - starts).max(axis=0)
    region = -(-needed // ROI_STEP_PX) * ROI_STEP_PX
    if region[0] > picture_px[0] or region[1] > picture_px[1]:
        raise AvatarError(
            f"The picture of {picture_px[0]}x{picture_px[1]} px is too small for its face; sit farther from the camera."
        )
    rois = np.clip(starts, 0, np.asarray(picture_px) - region) // 2 * 2
    return rois.astype(np.int32), int(region[0]), int(region[1])
