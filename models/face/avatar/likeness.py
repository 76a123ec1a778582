"""How different frames are, and between which ones a fade is not seen.

After Schoedl, Szeliski, Salesin and Essa, Video Textures, SIGGRAPH 2000, section 3: two frames are alike when their
neighbours in time are alike too.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.avatar.film import FADE_FRAMES
from models.face.avatar.smoothing import Floats
from models.face.avatar.tracking import Track
from models.face.landmark_table import (
    BROW_LEFT_UPPER,
    BROW_RIGHT_UPPER,
    EYE_LEFT_LOWER,
    EYE_LEFT_UPPER,
    EYE_RIGHT_LOWER,
    EYE_RIGHT_UPPER,
    FACE_OVAL,
    LIPS_INNER_LOWER,
    LIPS_OUTER_LOWER,
    LIPS_OUTER_UPPER,
    NOSE_BRIDGE,
)

_POSE_POINTS = (
    *(BROW_LEFT_UPPER + BROW_RIGHT_UPPER + EYE_LEFT_UPPER + EYE_LEFT_LOWER + EYE_RIGHT_UPPER + EYE_RIGHT_LOWER),
    *(FACE_OVAL + NOSE_BRIDGE + LIPS_OUTER_UPPER + LIPS_OUTER_LOWER + LIPS_INNER_LOWER),
)
_GREY_SIZE_PX = (20, 12)
_LUMA_WEIGHT = 0.004
"""A mean difference of 2.5 levels in the picture counts like 1 % of the face's height."""
_ALWAYS_ALIKE = 0.012
_NEVER_ALIKE = 0.04
_FADE_SHARE = 0.6
"""Between these, frames are alike when they differ by no more than this share of what the person moves ordinarily in
the time of a fade: in its middle a fade moves one and a half times as fast as in the mean."""


class Clips:
    """Where each clip's frames lie when all are counted through."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = list(lengths)
        self.starts = [sum(lengths[:clip]) for clip in range(len(lengths) + 1)]
        self._of = np.repeat(np.arange(len(lengths)), lengths)

    @property
    def count(self) -> int:
        return self.starts[-1]

    def clip_of(self, frame: int) -> int:
        return int(self._of[frame])

    def parts(self, visits: Sequence[int]) -> list[tuple[int, int]]:
        """From each visit to the next one in the same clip."""
        pairs = zip(sorted(visits), sorted(visits)[1:], strict=False)
        return [(start, end) for start, end in pairs if self.clip_of(start) == self.clip_of(end)]


def pose_distances(tracks: Sequence[Track], face_height_px: float) -> Floats:
    """[N, N]: how different every two frames are, in heights of the face: landmarks, and a little the whole picture."""
    points = np.concatenate([track.points[:, _POSE_POINTS, :2] for track in tracks]) / face_height_px
    greys = np.concatenate([np.stack([cv2.resize(grey, _GREY_SIZE_PX) for grey in track.greys]) for track in tracks])
    return _rms_distances(points) * np.float32(np.sqrt(2)) + _rms_distances(greys) * np.float32(_LUMA_WEIGHT)


def largest_unseen(distance: Floats, clips: Clips) -> float:
    """Up to this distance a fade is not seen."""
    moved = np.diagonal(distance, FADE_FRAMES)
    inside = [clips.clip_of(frame) == clips.clip_of(frame + FADE_FRAMES) for frame in range(len(moved))]
    ordinary = float(np.median(moved[inside])) if any(inside) else 0.0
    return float(np.clip(_FADE_SHARE * ordinary, _ALWAYS_ALIKE, _NEVER_ALIKE))


def fade_costs(distance: Floats, clips: Clips) -> Floats:
    """[N, N]: mean distance of the FADE_FRAMES frames before p and before q; infinite where a clip has none."""
    count = clips.count
    cost = np.full((count, count), np.inf, np.float32)
    total = sum(
        distance[place : count - FADE_FRAMES + place, place : count - FADE_FRAMES + place]
        for place in range(FADE_FRAMES)
    )
    cost[FADE_FRAMES:, FADE_FRAMES:] = np.asarray(total, np.float32) / FADE_FRAMES
    for start in clips.starts[:-1]:
        cost[start : start + FADE_FRAMES] = np.inf
        cost[:, start : start + FADE_FRAMES] = np.inf
    return cost


def _rms_distances(values: NDArray[np.floating]) -> Floats:
    """[N, N]: root of the mean squared difference of every two rows of [N, ...]."""
    flat = values.reshape(len(values), -1).astype(float)
    flat = flat - flat.mean(axis=0)
    squares = (flat**2).sum(axis=1)
    between = np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0) / flat.shape[1]
    return np.asarray(np.sqrt(between), np.float32)
